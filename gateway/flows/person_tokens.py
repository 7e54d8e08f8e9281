"""Access tokens for an app in this process: of somebody who is signed in, for as long as they are.

The app's own code asks in the name of a session that the gate has let in, so it needs no key and is not counted; see
`token_desk` for programs that know an open_id only. Every call reads session and grant: a token is never given for a
session that has ended, and asking is no use of the session, which would keep alive what nobody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.errors import InsufficientScope, SessionEnded
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions


class PersonTokens:
    """Gives out access tokens to the app."""

    def __init__(self, sessions: Sessions, refresh: Refresh, *, clock: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._refresh = refresh
        self._clock = clock

    async def issue(self, session_key: str, scopes: Sequence[str]) -> str:
        """Return an access token that serves now, and has `scopes`; it is refreshed as for a request.

        Raises `SessionEnded`, `InsufficientScope`, `StoreUnavailable`, or a `ProviderError` when the token has expired
        and cannot be renewed now.
        """
        signed_in = await self._sessions.read(session_key, self._clock())
        if signed_in is None:
            raise SessionEnded("an access token was asked for, and the session has ended")
        grant = await self._refresh.fresh(signed_in.session.grant_key, signed_in.grant)
        if grant is None or grant.subject != signed_in.session.subject:
            raise SessionEnded("an access token was asked for, and the grant has ended at TikTok")
        missing = set(scopes).difference(grant.tokens.scopes)
        if missing:
            raise InsufficientScope(f"the person has not granted {', '.join(sorted(missing))}", tuple(missing))
        return grant.tokens.access_token
