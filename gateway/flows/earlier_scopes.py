"""What a person gave before, and their latest sign-in did not ask for: kept, regained once, or given up.

TikTok's tokens have the scopes that their own sign-in asked for, and all devices of a person share one grant. So where
more was given before, the earlier tokens stay, if they can still be renewed, which is tried at once. Else the person
goes through TikTok once more, for all of it: TikTok lets somebody pass unasked who has agreed before. They are signed
in by then, and stay so whatever comes of it.
"""

from __future__ import annotations

from collections.abc import Set

from gateway.core.authorization import Wish
from gateway.core.grant import Grant
from gateway.core.sign_in import SignInAttempt
from gateway.errors import AccessDenied, GatewayError, ProviderError
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn
from gateway.flows.sign_in_report import SignInReport
from gateway.telemetry.logs import log


class EarlierScopes:
    """Of the scopes that this gateway knows."""

    def __init__(self, sessions: Sessions, refresh: Refresh, known: Set[str], report: SignInReport) -> None:
        self._sessions = sessions
        self._refresh = refresh
        self._known = known
        self._report = report

    async def keep(self, grant: Grant) -> Grant:
        """Renew the earlier tokens, which shows whether they live; unless they are renewed, the spare ones take over.

        They may also be left as they are: a grant is renewed ahead of need once a minute only.
        """
        if grant.spare is None:
            return grant
        key = self._sessions.grant_key_of(grant.subject)
        try:
            renewed = await self._refresh.renew(key, force=True)
            if renewed is not None and renewed.spare is None:
                return renewed
        except ProviderError as error:
            log.info("earlier_tokens_not_renewed", reason=str(error), code=error.code)
        stored = await self._sessions.read_grant(key)
        return (await self._refresh.fall_back(stored) if stored is not None else None) or grant

    def wish_for(self, grant: Grant, attempt: SignInAttempt) -> Wish | None:
        """Return what to ask TikTok for so that the tokens have all scopes again; None when there is nothing to regain.

        It is asked for once, and not of a screen with a code to be scanned, which is none to type on.
        """
        lost = (grant.all_scopes & self._known).difference(grant.tokens.scopes)
        if not lost or attempt.regains_for or attempt.qr is not None:
            return None
        return Wish(scopes=tuple({*grant.tokens.scopes, *lost}), regains_for=grant.subject)

    async def leave(self, stays: SignedIn, error: GatewayError) -> None:
        """Leave everything as it is, since nothing was regained; who has said no is not asked again."""
        log.info("scopes_not_regained", reason=str(error), code=error.code)
        if isinstance(error, AccessDenied):
            stored = await self._sessions.read_grant(stays.session.grant_key)
            if stored is not None:
                given_up = stored.grant.give_up()
                if await self._sessions.replace_grant(stored, given_up):
                    self._report.scopes_changed(given_up, stored.grant)
