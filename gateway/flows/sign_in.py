"""Sign-in (login, OAuth authorization code flow): begin an attempt, complete it at the callback.

The order at the callback is the defence (RFC 9700 §4.7): the state names the attempt, the browser's cookie proves whose
it is, the attempt is taken (once, atomically), and only then is the code redeemed. The session is always a
new one: what the browser had before ends, and is never taken over (session fixation).

What a person gave before, and is not asked for now, is the business of `earlier_scopes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.core.authorization import USUAL, AuthorizationPlan, Wish, prepare
from gateway.core.binding import Binding, choose_binding
from gateway.core.grant import Grant
from gateway.core.session import build_session_key
from gateway.core.sign_in import Callback, VerifiedCode, read_callback_error
from gateway.core.tiktok import Profile, TokenSet
from gateway.core.urls import ReturnTo
from gateway.errors import (
    AccessDenied,
    AttemptUnknown,
    CodeRefused,
    GatewayError,
    GrantDead,
    ProviderError,
    ProviderUnavailable,
    ScopeRefused,
)
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.attempts import Attempts, FoundAttempt
from gateway.flows.authentication import build_identity
from gateway.flows.disconnect import Disconnect
from gateway.flows.earlier_scopes import EarlierScopes
from gateway.flows.ports import Provider
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.flows.sign_in_hook import NewSignIn, SignInHook, call_hook
from gateway.flows.sign_in_report import SignInReport
from gateway.flows.visitor import Visitor
from gateway.telemetry.logs import log

_NEVER: Final = datetime.fromtimestamp(0, UTC)


class Begun(msgspec.Struct, frozen=True):
    """A sign-in that has begun: where to send the visitor, and the binding cookie."""

    location: str
    binding: Binding
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Do not show the address, which has the state."""
        return f"Begun({self.binding!r})"


class Completed(msgspec.Struct, frozen=True):
    """A sign-in that is complete: the new session's id, and the binding cookie.

    `location` is where to send the visitor: where they wanted to go, or to TikTok once more. `refused` are scopes that
    a page has asked them for, and that they have left out.
    """

    session_id: str
    subject: str
    location: str
    binding: Binding
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show neither the session id nor the address, which may have a state."""
        return f"Completed(subject={self.subject!r}, {self.binding!r})"


class Unchanged(msgspec.Struct, frozen=True):
    """The person stays signed in as before: scopes were not regained, or the callback was opened once more."""

    return_to: str


class _Course:
    """How far a callback has got."""

    taken = False  # the attempt is over, whatever becomes of it


class SignIn:
    """The sign-in flow."""

    def __init__(
        self,
        attempts: Attempts,
        sessions: Sessions,
        provider: Provider,
        plan: AuthorizationPlan,
        limit: AttemptLimit,
        disconnect: Disconnect,
        refresh: Refresh,
        *,
        clock: Callable[[], datetime],
        report: SignInReport | None = None,
        on_sign_in: SignInHook | None = None,
    ) -> None:
        self._report = report or SignInReport()
        self._on_sign_in = on_sign_in
        self._attempts = attempts
        self._earlier = EarlierScopes(sessions, refresh, plan.known_scopes, self._report)
        self._sessions = sessions
        self._provider = provider
        self._plan = plan
        self._limit = limit
        self._disconnect = disconnect
        self._clock = clock

    def next_turn(self, bindings: Sequence[Binding]) -> Binding:
        """Return the binding of a sign-in that would begin now; one that `loops` should not."""
        return choose_binding(bindings).begin(self._clock())

    async def begin(self, return_to: ReturnTo, *, binding: Binding, client_address: str, wish: Wish = USUAL) -> Begun:
        """Write an attempt and return TikTok's address for it.

        `binding` is that of `next_turn`. Raises `TooManyAttempts` or `SignInsBusy` beyond a limit.
        """
        location = await self._begin(return_to.url, binding, client_address, wish)
        return Begun(location=location, binding=binding)

    async def _begin(self, return_to: str, binding: Binding, client_address: str, wish: Wish) -> str:
        await self._limit.count(client_address)
        prepared = prepare(self._plan, wish, return_to=return_to, binding=binding.value, now=self._clock())
        await self._attempts.keep(prepared.key, prepared.attempt)
        self._report.begun()
        return prepared.location

    async def complete(self, callback: Callback, visitor: Visitor) -> Completed | Unchanged:
        """Finish the attempt that the callback names.

        A callback that is opened again by somebody who is signed in leads to where the sign-in ended.
        Raises a `SignInRefused` (nothing was redeemed), or a `ProviderError` from the redemption; its `return_to` says
        where the person wanted to go, once the attempt has proved to be theirs.
        """
        course = _Course()
        try:
            return await self._complete(callback, course, visitor)
        except GatewayError as error:
            return await self.end(callback.state, error, visitor, taken=course.taken)

    async def end(self, state: str | None, error: GatewayError, visitor: Visitor, *, taken: bool) -> Unchanged:
        """Tell of the end of an attempt (`taken`), or of what belongs to none, and raise the error.

        Who is signed in and opens an attempt once more that they have finished is led to where that ended.
        """
        if isinstance(error, AttemptUnknown):
            return_to = await self._attempts.read_finished(state, bindings=visitor.bindings)
            if return_to is not None and visitor.presented:
                return Unchanged(return_to=return_to)
            error.return_to = error.return_to or return_to
        self._report.refused(error, visitor.presented, taken=taken)
        raise error

    async def _complete(self, callback: Callback, course: _Course, visitor: Visitor) -> Completed | Unchanged:
        if callback.state is None:
            # without a state nothing proves whose attempt this is: nothing is touched
            raise (read_callback_error(callback) if callback.error else AttemptUnknown("the callback has no state"))
        found = await self._attempts.find(callback.state, visitor.bindings)
        attempt = found.attempt
        stays = visitor.find_session_of(attempt.regains_for)
        try:
            await self._attempts.take(found)
            course.taken = True
            code = attempt.verify(callback, found.binding.value, self._clock())
            return await self.finish(found, code, visitor)
        except GatewayError as error:
            if stays is not None:
                if course.taken:
                    self._report.unchanged(error)
                await self._earlier.leave(stays, error)
                return Unchanged(return_to=attempt.return_to)
            if isinstance(error, AccessDenied) and attempt.extra and visitor.presented:
                error = ScopeRefused("the person did not give more than before", refused=attempt.extra)
            error.return_to = attempt.return_to
            raise error from None

    async def finish(self, found: FoundAttempt, code: VerifiedCode, visitor: Visitor) -> Completed:
        """Redeem the code of an attempt that was taken, and begin the session. Raises as `complete` does."""
        await self._attempts.remember_finished(found)
        tokens = await self._redeem(code, found.attempt.regains_for)
        return await self._sign_in(tokens, found, visitor)

    async def _redeem(self, code: VerifiedCode, regains_for: str) -> TokenSet:
        try:
            tokens = await self._provider.redeem(code)
        except GrantDead as error:
            raise CodeRefused(str(error), log_id=error.log_id) from None
        if regains_for not in {"", tokens.open_id}:
            raise AccessDenied("TikTok let somebody else pass than who is signed in")
        return tokens

    async def _sign_in(self, tokens: TokenSet, found: FoundAttempt, visitor: Visitor) -> Completed:
        before = await self._sessions.find_grant(tokens.open_id)
        known = before.grant if before is not None else None
        grant = (await self._read_grant(tokens, known)).follow(known, found.attempt.scopes).reach(known)
        await self._disconnect.withdraw(grant.subject)
        session_id = await self._sessions.begin(grant, user_agent=visitor.user_agent, now=self._clock())
        for each in visitor.presented:
            await self._sessions.end(each)
        grant = await self._earlier.keep(grant)
        if self._on_sign_in is not None:
            await self._tell_app(self._on_sign_in, session_id, first=known is None)
        binding = found.binding.complete(self._clock())
        onward = await self._regain(grant, found, binding, visitor)
        left_out = tuple(sorted(set(found.attempt.extra).difference(grant.all_scopes)))
        self._report.completed(session_id, grant, known, visitor.presented)
        return Completed(
            session_id=session_id,
            subject=tokens.open_id,
            location=onward or found.attempt.return_to,
            binding=binding,
            refused=left_out if onward is None else (),
        )

    async def _tell_app(self, hook: SignInHook, session_id: str, *, first: bool) -> None:
        key = build_session_key(session_id.encode())
        signed_in = await self._sessions.read(key, self._clock()) if key is not None else None
        if signed_in is not None:  # else it has ended meanwhile
            await call_hook(hook, NewSignIn(build_identity(signed_in), first))

    async def _regain(self, grant: Grant, found: FoundAttempt, binding: Binding, visitor: Visitor) -> str | None:
        """Return TikTok's address for scopes that the new tokens lack; None when there is nothing to regain."""
        wish = self._earlier.wish_for(grant, found.attempt)
        if wish is None:
            return None
        try:
            return await self._begin(found.attempt.return_to, binding, visitor.client_address, wish)
        except GatewayError as error:  # a limit, or the store: the sign-in itself is complete
            log.info("scopes_not_regained", reason=str(error), code=error.code)
            return None

    async def _read_grant(self, tokens: TokenSet, known: Grant | None) -> Grant:
        """Add the profile to the tokens; a person whose profile cannot be read now is signed in all the same."""
        try:
            profile = await self._provider.user_info(tokens.access_token, tokens.scopes, open_id=tokens.open_id)
        except ProviderError as error:
            log.warning("profile_not_read", reason=str(error), code=error.code)
            profile = known.profile if known is not None else Profile(open_id=tokens.open_id)
            return Grant(tokens=tokens, profile=profile, profile_read_at=_NEVER, granted_at=self._clock())
        if profile.open_id != tokens.open_id:
            raise ProviderUnavailable("TikTok's user info is about somebody else than its tokens")
        now = self._clock()
        return Grant(tokens=tokens, profile=profile, profile_read_at=now, granted_at=now)
