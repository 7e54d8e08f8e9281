"""Sign-in (login, OAuth authorization code flow): begin an attempt, complete it at the callback.

The order at the callback is the defence (RFC 9700 §4.7): the state names the attempt, the browser's cookie proves whose
it is, the attempt is taken (once, atomically), and only then is the code redeemed. The session is always a
new one: what the browser had before ends, and is never taken over (session fixation).

TikTok's tokens have the scopes that their own sign-in asked for, and all devices of a person share one grant. So where
more was given before, the earlier tokens stay, if they can still be renewed, which is tried at once. Else the person
goes through TikTok once more, for all of it: TikTok lets somebody pass unasked who has agreed before. They are signed
in by then, and stay so whatever comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.core.authorization import USUAL, AuthorizationPlan, Wish, prepare
from gateway.core.binding import Binding, choose_binding, is_opaque
from gateway.core.grant import Grant
from gateway.core.keyring import Keyring
from gateway.core.record import read_record, seal_record
from gateway.core.session import build_session_key
from gateway.core.sign_in import (
    ATTEMPT_KEPT,
    FINISHED_LASTS,
    Callback,
    FinishedSignIn,
    SignInAttempt,
    VerifiedCode,
    build_attempt_key,
    build_finished_key,
    hash_binding,
    read_callback_error,
)
from gateway.core.tiktok import Profile, TokenSet
from gateway.core.urls import ReturnTo
from gateway.errors import (
    AccessDenied,
    AttemptOfOtherBrowser,
    AttemptUnknown,
    AttemptWithoutCookie,
    CodeRefused,
    GatewayError,
    GrantDead,
    ProviderError,
    ProviderUnavailable,
    ScopeRefused,
)
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.authentication import build_identity
from gateway.flows.disconnect import Disconnect
from gateway.flows.ports import Provider, Records
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn
from gateway.flows.sign_in_hook import NewSignIn, SignInHook, call_hook
from gateway.flows.sign_in_report import SignInReport
from gateway.telemetry.logs import log

_NEVER: Final = datetime.fromtimestamp(0, UTC)


class Begun(msgspec.Struct, frozen=True):
    """A sign-in that has begun: where to send the visitor, and the binding cookie."""

    location: str
    binding: Binding

    def __repr__(self) -> str:
        """Do not show the address, which has the state."""
        return f"Begun({self.binding!r})"


class Completed(msgspec.Struct, frozen=True):
    """A sign-in that is complete: the new session's id, and the binding cookie.

    `location` is where to send the visitor: where they wanted to go, or to TikTok once more.
    """

    session_id: str
    subject: str
    location: str
    binding: Binding

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
        store: Records,
        sessions: Sessions,
        provider: Provider,
        keyring: Keyring,
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
        self._store = store
        self._sessions = sessions
        self._provider = provider
        self._keyring = keyring
        self._plan = plan
        self._limit = limit
        self._disconnect = disconnect
        self._refresh = refresh
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
        sealed = seal_record(self._keyring, prepared.key, prepared.attempt)
        await self._store.write(prepared.key, sealed, int(ATTEMPT_KEPT.total_seconds()))
        self._report.begun()
        return prepared.location

    async def complete(
        self,
        callback: Callback,
        *,
        bindings: Sequence[Binding],
        presented: Sequence[SignedIn],
        user_agent: str,
        client_address: str,
    ) -> Completed | Unchanged:
        """Finish the attempt that the callback names.

        `presented` are the sessions the browser still has: they end, and their ids are never taken over. A callback
        that is opened again by somebody who is signed in leads to where the sign-in ended.
        Raises a `SignInRefused` (nothing was redeemed), or a `ProviderError` from the redemption; its `return_to` says
        where the person wanted to go, once the attempt has proved to be theirs.
        """
        course = _Course()
        try:
            return await self._complete(callback, course, bindings, presented, user_agent, client_address)
        except GatewayError as error:
            return await self.end(callback.state, error, bindings, presented, taken=course.taken)

    async def end(
        self,
        state: str | None,
        error: GatewayError,
        bindings: Sequence[Binding],
        presented: Sequence[SignedIn],
        *,
        taken: bool,
    ) -> Unchanged:
        """Tell of the end of an attempt (`taken`), or of what belongs to none, and raise the error.

        Who is signed in and opens an attempt once more that they have finished is led to where that ended.
        """
        if isinstance(error, AttemptUnknown):
            return_to = await self.read_finished(state, bindings=bindings)
            if return_to is not None and presented:
                return Unchanged(return_to=return_to)
            error.return_to = error.return_to or return_to
        self._report.refused(error, presented, taken=taken)
        raise error

    async def _complete(
        self,
        callback: Callback,
        course: _Course,
        bindings: Sequence[Binding],
        presented: Sequence[SignedIn],
        user_agent: str,
        client_address: str,
    ) -> Completed | Unchanged:
        if callback.state is None:
            # without a state nothing proves whose attempt this is: nothing is touched
            raise (read_callback_error(callback) if callback.error else AttemptUnknown("the callback has no state"))
        attempt, key, sealed, binding = await self.find_attempt(callback.state, bindings)
        stays = next((each for each in presented if each.session.subject == attempt.regains_for), None)
        try:
            if await self._store.take(key) != sealed:
                raise AttemptUnknown("the sign-in attempt was used a moment ago")
            course.taken = True
            code = attempt.verify(callback, binding.value, self._clock())
            return await self.finish(callback.state, code, attempt, binding, presented, user_agent, client_address)
        except GatewayError as error:
            if stays is not None:
                if course.taken:
                    self._report.unchanged(error)
                return await self._leave(stays, attempt, error)
            if isinstance(error, AccessDenied) and attempt.extra and presented:
                error = ScopeRefused("the person did not give more than before", refused=attempt.extra)
            error.return_to = attempt.return_to
            raise error from None

    async def finish(
        self,
        state: str,
        code: VerifiedCode,
        attempt: SignInAttempt,
        binding: Binding,
        presented: Sequence[SignedIn],
        user_agent: str,
        client_address: str,
    ) -> Completed:
        """Redeem the code of an attempt that was taken, and begin the session. Raises as `complete` does."""
        await self._remember_finished(state, attempt)
        tokens = await self._redeem(code, attempt)
        return await self._sign_in(tokens, attempt, binding, presented, user_agent, client_address)

    async def _redeem(self, code: VerifiedCode, attempt: SignInAttempt) -> TokenSet:
        try:
            tokens = await self._provider.redeem(code)
        except GrantDead as error:
            raise CodeRefused(str(error), log_id=error.log_id) from None
        if attempt.regains_for not in {"", tokens.open_id}:
            raise AccessDenied("TikTok let somebody else pass than who is signed in")
        return tokens

    async def _sign_in(
        self,
        tokens: TokenSet,
        attempt: SignInAttempt,
        binding: Binding,
        presented: Sequence[SignedIn],
        user_agent: str,
        client_address: str,
    ) -> Completed:
        before = await self._sessions.find_grant(tokens.open_id)
        known = before.grant if before is not None else None
        grant = (await self._read_grant(tokens, known)).follow(known, attempt.scopes).reach(known)
        await self._disconnect.withdraw(grant.subject)
        session_id = await self._sessions.begin(grant, user_agent=user_agent, now=self._clock())
        for each in presented:
            await self._sessions.end(each)
        if grant.spare is not None:
            grant = await self._try(grant)
        if self._on_sign_in is not None:
            await self._tell_app(self._on_sign_in, session_id, first=known is None)
        binding = binding.complete(self._clock())
        location = await self._regain(grant, attempt, binding, client_address) or attempt.return_to
        self._report.completed(session_id, grant, known, presented)
        return Completed(session_id=session_id, subject=tokens.open_id, location=location, binding=binding)

    async def _tell_app(self, hook: SignInHook, session_id: str, *, first: bool) -> None:
        key = build_session_key(session_id.encode())
        signed_in = await self._sessions.read(key, self._clock()) if key is not None else None
        if signed_in is not None:  # else it has ended meanwhile
            await call_hook(hook, NewSignIn(build_identity(signed_in), first))

    async def _try(self, grant: Grant) -> Grant:
        """Renew the earlier tokens, which shows whether they live; unless they are renewed, the spare ones take over.

        They may also be left as they are: a grant is renewed ahead of need once a minute only.
        """
        key = self._sessions.grant_key_of(grant.subject)
        try:
            renewed = await self._refresh.renew(key, force=True)
            if renewed is not None and renewed.spare is None:
                return renewed
        except ProviderError as error:
            log.info("earlier_tokens_not_renewed", reason=str(error), code=error.code)
        stored = await self._sessions.read_grant(key)
        return (await self._refresh.fall_back(stored) if stored is not None else None) or grant

    async def _regain(self, grant: Grant, attempt: SignInAttempt, binding: Binding, client_address: str) -> str | None:
        """Return TikTok's address for scopes that the new tokens lack, once; None when there is nothing to regain."""
        lost = (grant.all_scopes & self._plan.known_scopes).difference(grant.tokens.scopes)
        if not lost or attempt.regains_for or attempt.qr is not None:  # a screen to be scanned is none to type on
            return None
        wish = Wish(scopes=tuple({*grant.tokens.scopes, *lost}), regains_for=grant.subject)
        try:
            return await self._begin(attempt.return_to, binding, client_address, wish)
        except GatewayError as error:  # a limit, or the store: the sign-in itself is complete
            log.info("scopes_not_regained", reason=str(error), code=error.code)
            return None

    async def _leave(self, stays: SignedIn, attempt: SignInAttempt, error: GatewayError) -> Unchanged:
        """Leave everything as it is; who has said no is not asked again."""
        log.info("scopes_not_regained", reason=str(error), code=error.code)
        if isinstance(error, AccessDenied):
            stored = await self._sessions.read_grant(stays.session.grant_key)
            if stored is not None:
                given_up = stored.grant.give_up()
                if await self._sessions.replace_grant(stored, given_up):
                    self._report.scopes_changed(given_up, stored.grant)
        return Unchanged(return_to=attempt.return_to)

    async def read_finished(self, state: str | None, *, bindings: Sequence[Binding]) -> str | None:
        """Return where an attempt led, if this browser did finish it; redeems nothing."""
        if state is None or not is_opaque(state) or not bindings:
            return None
        key = build_finished_key(state)
        sealed = await self._store.read(key)
        finished = read_record(self._keyring, key, sealed, FinishedSignIn)
        if finished is None or finished.binding not in {hash_binding(each.value) for each in bindings}:
            return None
        return finished.return_to

    async def find_attempt(self, state: str, bindings: Sequence[Binding]) -> tuple[SignInAttempt, str, bytes, Binding]:
        """Return a browser's own attempt, its key and sealed form, and the binding that proves whose it is.

        Raises `AttemptUnknown`, `AttemptWithoutCookie` or `AttemptOfOtherBrowser`; nothing is used up.
        """
        if not is_opaque(state):
            raise AttemptUnknown("the state is not one of ours")
        key = build_attempt_key(state)
        sealed = await self._store.read(key)
        attempt = read_record(self._keyring, key, sealed, SignInAttempt)
        if attempt is None or sealed is None:
            raise AttemptUnknown("no sign-in attempt has this state: it expired or was used")
        if not bindings:
            raise AttemptWithoutCookie("the binding cookie did not come back to the callback's address")
        binding = next((each for each in bindings if attempt.belongs_to(each.value)), None)
        if binding is None:
            # not consumed: it is the other browser's, and that one may still finish
            raise AttemptOfOtherBrowser("the state belongs to another browser's sign-in attempt")
        return attempt, key, sealed, binding

    async def _remember_finished(self, state: str, attempt: SignInAttempt) -> None:
        key = build_finished_key(state)
        record = FinishedSignIn(binding=attempt.binding, return_to=attempt.return_to)
        await self._store.write(key, seal_record(self._keyring, key, record), int(FINISHED_LASTS.total_seconds()))

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
