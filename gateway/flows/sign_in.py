"""Sign-in: begin an attempt, complete it at the callback.

The order at the callback is the defence (RFC 9700 §4.7): the state names the attempt, the browser's cookie proves whose
it is, the attempt is taken (once, atomically), and only then is the code redeemed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.core.binding import Binding, is_opaque, new_binding
from gateway.core.grant import Grant
from gateway.core.keyring import Keyring
from gateway.core.pkce import ChallengeForm, build_challenge, new_verifier
from gateway.core.record import read_record, seal_record
from gateway.core.sign_in import (
    ATTEMPT_LASTS,
    FINISHED_LASTS,
    Callback,
    FinishedSignIn,
    SignInAttempt,
    begin_attempt,
    build_attempt_key,
    build_finished_key,
    hash_binding,
    new_state,
    read_callback_error,
)
from gateway.core.tiktok import Profile, TokenSet, build_authorization_url
from gateway.core.urls import ReturnTo
from gateway.errors import AttemptUnknown, AttemptWithoutCookie, ProviderError, ProviderUnavailable
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.disconnect import Disconnect
from gateway.flows.ports import Provider, Store
from gateway.flows.sessions import Sessions, SignedIn
from gateway.telemetry.logs import log

_NEVER: Final = datetime.fromtimestamp(0, UTC)


class AuthorizationPlan(msgspec.Struct, frozen=True):
    """What every authorization request of this gateway has in common."""

    authorize_url: str
    client_key: str
    redirect_uri: str
    scopes: tuple[str, ...]
    pkce: ChallengeForm
    always_ask: bool


class Begun(msgspec.Struct, frozen=True):
    """A sign-in that has begun: where to send the visitor, and the binding cookie."""

    location: str
    binding: Binding


class Completed(msgspec.Struct, frozen=True):
    """A sign-in that is complete: the new session's id, where the visitor wanted to go, and the binding cookie."""

    session_id: str
    subject: str
    return_to: str
    binding: Binding


class SignIn:
    """The sign-in flow."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        provider: Provider,
        keyring: Keyring,
        plan: AuthorizationPlan,
        limit: AttemptLimit,
        disconnect: Disconnect,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._provider = provider
        self._keyring = keyring
        self._plan = plan
        self._limit = limit
        self._disconnect = disconnect
        self._clock = clock

    def next_turn(self, binding: Binding | None) -> Binding:
        """Return the binding of a sign-in that would begin now; one that `loops` should not."""
        return binding.begin(self._clock()) if binding is not None else new_binding()

    async def begin(
        self, return_to: ReturnTo, *, binding: Binding, client_address: str, scopes: Collection[str] = ()
    ) -> Begun:
        """Write an attempt and return TikTok's address for it.

        `binding` is that of `next_turn`: all tabs of a browser share it. `scopes` are asked for instead of the usual
        ones, and TikTok is to show its page for them, which it would leave out for whoever has consented before.
        Raises `TooManyAttempts` or `SignInsBusy` beyond a limit.
        """
        await self._limit.count(client_address)
        plan, state = self._plan, new_state()
        asked = tuple(sorted(scopes)) or plan.scopes
        verifier = new_verifier() if plan.pkce != "off" else None
        attempt = begin_attempt(
            binding_cookie=binding.value,
            code_verifier=verifier,
            return_to=return_to.url,
            scopes=asked,
            now=self._clock(),
        )
        key = build_attempt_key(state)
        await self._store.write(key, seal_record(self._keyring, key, attempt), int(ATTEMPT_LASTS.total_seconds()))
        location = build_authorization_url(
            plan.authorize_url,
            client_key=plan.client_key,
            redirect_uri=plan.redirect_uri,
            scopes=asked,
            state=state,
            code_challenge=build_challenge(verifier, plan.pkce) if verifier is not None else None,
            always_ask=plan.always_ask or bool(scopes),
        )
        return Begun(location=location, binding=binding)

    async def complete(
        self, callback: Callback, *, binding: Binding | None, presented: SignedIn | None, user_agent: str
    ) -> Completed:
        """Finish the attempt that the callback names.

        `presented` is the session the browser still has: it ends, and its id is never taken over.
        Raises a `SignInRefused` (nothing was redeemed), or a `ProviderError` from the redemption.
        """
        attempt, key, sealed = await self._read_attempt(callback)
        now = self._clock()
        if binding is None:
            raise AttemptWithoutCookie("the binding cookie did not come back to the callback's address")
        if not attempt.belongs_to(binding.value):
            # not consumed: it is the other browser's, and that one may still finish
            attempt.verify(callback, binding.value, now)
        if await self._store.take(key) != sealed:
            raise AttemptUnknown("the sign-in attempt was used a moment ago")
        code = attempt.verify(callback, binding.value, now)
        await self._remember_finished(callback, attempt)
        tokens = await self._provider.redeem(code)
        grant = await self._read_grant(tokens)
        await self._disconnect.withdraw(grant.subject)
        session_id = await self._sessions.begin(grant, user_agent=user_agent, now=self._clock())
        if presented is not None:
            await self._sessions.end(presented)
        return Completed(
            session_id=session_id,
            subject=tokens.open_id,
            return_to=attempt.return_to,
            binding=binding.complete(self._clock()),
        )

    async def read_finished(self, callback: Callback, *, binding: Binding | None) -> str | None:
        """Return where a callback that is reloaded led, if this browser did finish it; redeems nothing."""
        if callback.state is None or binding is None:
            return None
        key = build_finished_key(callback.state)
        sealed = await self._store.read(key)
        finished = read_record(self._keyring, key, sealed, FinishedSignIn)
        if finished is None or finished.binding != hash_binding(binding.value):
            return None
        return finished.return_to

    async def _read_attempt(self, callback: Callback) -> tuple[SignInAttempt, str, bytes]:
        if callback.state is None:
            # without a state nothing proves whose attempt this is: nothing is touched
            raise (read_callback_error(callback) if callback.error else AttemptUnknown("the callback has no state"))
        if not is_opaque(callback.state):
            raise AttemptUnknown("the state is not one of ours")
        key = build_attempt_key(callback.state)
        sealed = await self._store.read(key)
        attempt = read_record(self._keyring, key, sealed, SignInAttempt)
        if attempt is None or sealed is None:
            raise AttemptUnknown("no sign-in attempt has this state: it expired or was used")
        return attempt, key, sealed

    async def _remember_finished(self, callback: Callback, attempt: SignInAttempt) -> None:
        assert callback.state is not None  # noqa: S101 -- the attempt was found by it
        key = build_finished_key(callback.state)
        record = FinishedSignIn(binding=attempt.binding, return_to=attempt.return_to)
        await self._store.write(key, seal_record(self._keyring, key, record), int(FINISHED_LASTS.total_seconds()))

    async def _read_grant(self, tokens: TokenSet) -> Grant:
        """Add the profile to the tokens; a person whose profile cannot be read now is signed in all the same."""
        try:
            profile = await self._provider.user_info(tokens.access_token, tokens.scopes)
        except ProviderError as error:
            log.warning("profile_not_read", reason=str(error), code=error.code)
            known = await self._sessions.read_profile(tokens.open_id)
            profile = known or Profile(open_id=tokens.open_id)
            return Grant(tokens=tokens, profile=profile, profile_read_at=_NEVER, granted_at=self._clock())
        if profile.open_id != tokens.open_id:
            raise ProviderUnavailable("TikTok's user info is about somebody else than its tokens")
        now = self._clock()
        return Grant(tokens=tokens, profile=profile, profile_read_at=now, granted_at=now)
