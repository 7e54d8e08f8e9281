"""The gate: one question, one of four answers. Every door asks it, and nothing else decides (policy enforcement)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from gateway.core.assertion import Assertions
from gateway.core.challenge import is_from_elsewhere, is_navigation
from gateway.core.cors import read_preflight
from gateway.core.decision import Allow, Challenge, Consent, Deny, build_allow
from gateway.core.fields import Headers
from gateway.core.identity import Identity, IdentityHeaders
from gateway.core.path import CanonicalPath
from gateway.core.policy import Policy, admits, needs_caller, refuse
from gateway.core.request import RequestHead
from gateway.core.route import Access, Match
from gateway.core.webdav import JUDGED_AS, read_destination
from gateway.errors import DestinationElsewhere, SessionsDiffer, StoreUnavailable
from gateway.flows.authentication import Authentication, build_identity
from gateway.flows.device_proofs import DeviceProofs, Proofs
from gateway.flows.memory import KnownCaller, Memory
from gateway.flows.sessions import Sessions, SignedIn
from gateway.tasks import until_told


class Passage(msgspec.Struct, frozen=True):
    """The request may go in, by this route."""

    allow: Allow
    match: Match
    caller: KnownCaller | None  # None: nobody, or nobody asked
    until: datetime | None = None  # when the device of a bound session has to prove itself anew

    @property
    def session_key(self) -> str:
        """The store key of the session it leans on; "" for the anonymous."""
        return self.caller.signed_in.session_key if self.caller is not None else ""

    @property
    def session_name(self) -> str:
        """The public name of that session; "" for the anonymous."""
        return self.allow.identity.session_id if self.allow.identity is not None else ""


class Refusal(msgspec.Struct, frozen=True):
    """It may not, or not yet."""

    decision: Challenge | Consent | Deny
    match: Match | None


class Unknown(msgspec.Struct, frozen=True):
    """The store has to be asked."""


class Gate:
    """Judges request heads. It never sets a cookie: a front proxy drops those of a subrequest."""

    def __init__(
        self,
        policy: Policy,
        identity_headers: IdentityHeaders,
        authentication: Authentication,
        sessions: Sessions,
        memory: Memory,
        *,
        clock: Callable[[], datetime],
        headers_of_routes: Mapping[int, IdentityHeaders] | None = None,
        assertions: Assertions | None = None,
        own_prefix: str | None = None,
        devices: DeviceProofs | None = None,
    ) -> None:
        """`headers_of_routes`: those of routes that have some of their own, by the number of the route.

        `own_prefix`: where the gateway's own pages are, onto which nothing can be copied. `devices`: whether requests
        come from the devices that their sessions are bound to; None: nobody asks.
        """
        self._own_prefix = own_prefix
        self._devices = devices
        self._headers_of_routes = headers_of_routes or {}
        self._assertions = assertions
        self._policy = policy
        self._authentication = authentication
        self._sessions = sessions
        self._memory = memory
        self._clock = clock
        self._era = 0
        self.identity_headers = identity_headers
        self._anonymous = build_allow(identity_headers, None)
        self._unnamed = msgspec.structs.replace(self._anonymous, varies=True)

    async def check(self, head: RequestHead) -> Passage | Refusal:
        """Decide on a request, and on its `Destination`, if it has one.

        Raises `StoreUnavailable` or `ProviderError` when that cannot be done now, `SessionsDiffer` when it cannot be
        told who asks, a `RequestRefused` for a path in a form that its route does not take, or a destination elsewhere.
        """
        verdict = await self._check(head)
        if head.destination is None or isinstance(verdict, Refusal):
            return verdict
        path = read_destination(head.destination, head.host).path
        if self._own_prefix is not None and path.is_under(self._own_prefix):
            raise DestinationElsewhere("the Destination is a page of the gateway's own")
        if head.mount and not path.is_under(head.mount):  # what the app would make of it, nobody knows
            raise DestinationElsewhere("the Destination is outside of where the app is mounted")
        written = await self._check(msgspec.structs.replace(head, method=JUDGED_AS, path=path))
        if isinstance(written, Passage) and written.match.route.upstream != verdict.match.route.upstream:
            raise DestinationElsewhere("the Destination belongs to another upstream")
        return verdict if isinstance(written, Passage) else written

    async def _check(self, head: RequestHead) -> Passage | Refusal:
        match = self._policy.match(head.method, head.host, head.path)
        session_key = await self._choose(self.read_session_keys(head.headers), match)
        known = self._recall(match, session_key)
        if isinstance(known, Unknown):
            known = await self._confirm_or_read(session_key or "", head.headers)
        proofs = self.read_proofs(head.headers, session_key)
        if known is not None and not self._is_proven(known, match, proofs, head):
            known = None
        passage = self._hold(self.admit(match, known), proofs) or self._pass_preflight(head)
        return passage or Refusal(refuse(match, head, known.allow.identity if known is not None else None), match)

    def read_session_keys(self, headers: Headers) -> tuple[str, ...]:
        """Return the store keys of the sessions that a request names, usually one; only `check` chooses among more."""
        return self._authentication.read_session_keys(headers)

    def read_proofs(self, headers: Headers, session_key: str | None) -> Proofs:
        """Return what a request brings to prove that it comes from the device of a session."""
        return self._devices.read(headers, session_key) if self._devices is not None else ()

    def _is_proven(self, known: KnownCaller, match: Match | None, proofs: Proofs, head: RequestHead) -> bool:
        """Whether a caller is taken for who they are; False on a route that lets anybody in, and they come as nobody.

        Raises `DeviceProofMissing`: there, only for a navigation that the browser could not hold back for a proof.
        """
        devices, signed_in = self._devices, known.signed_in
        if devices is None or signed_in.session.device is None:
            return True
        if devices.holds_until(signed_in, proofs) is not None:
            return True
        missing = devices.miss(signed_in, head.headers)
        if is_navigation(head) and is_from_elsewhere(head):
            missing.retry_after = 0
            raise missing
        if match is not None and match.route.access is Access.OPTIONAL:
            return False
        raise missing

    def _hold(self, passage: Passage | None, proofs: Proofs) -> Passage | None:
        """Let a passage end with the proof of its device; None where there is no proof, for `check` to tell."""
        if self._devices is None or passage is None or passage.caller is None:
            return passage
        signed_in = passage.caller.signed_in
        if signed_in.session.device is None:
            return passage
        until = self._devices.holds_until(signed_in, proofs)
        return msgspec.structs.replace(passage, until=until) if until is not None else None

    def is_in_time(self, passage: Passage) -> bool:
        """Whether a passage that is to be used again needs no new proof."""
        return passage.until is None or self._clock() < passage.until

    async def _choose(self, keys: Sequence[str], match: Match | None) -> str | None:
        """Return the key that counts. Raises `SessionsDiffer` where none does, and somebody has to be signed in."""
        if len(keys) < 2 or not needs_caller(match):
            return keys[0] if keys else None
        try:
            return await self._authentication.choose(keys)
        except SessionsDiffer:
            if match is not None and match.route.access is Access.OPTIONAL:
                return None
            raise

    def match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        """Return the route that decides on such requests; it may be kept."""
        return self._policy.match(method, host, path)

    def has(self, match: Match) -> bool:
        """Whether a match is by one of the routes in force."""
        return self._policy.has(match.route)

    def match_preflight(self, head: RequestHead) -> Match | None:
        """Return the route that decides on the request which a preflight asks about; None when this is none."""
        preflight = read_preflight(head)
        return self._policy.match(preflight.method, head.host, head.path) if preflight is not None else None

    def admit_at_once(
        self, match: Match | None, session_key: str | None, proofs: Proofs = ()
    ) -> Passage | Unknown | None:
        """Decide from memory whether a request may pass; None when it may not, for reasons that `check` tells."""
        known = self._recall(match, session_key)
        return known if isinstance(known, Unknown) else self._hold(self.admit(match, known), proofs)

    def recognise(
        self,
        match: Match | None,
        session_key: str,
        told: Callable[[Passage | StoreUnavailable | None], None],
        *,
        proofs: Proofs = (),
    ) -> None:
        """Have the store say who calls, and have it `told` whether they may pass: without a task.

        None where there is more to it, for `check` to find out.
        """
        known = self._memory.find(session_key, self._clock())
        if known is None:
            self._recognise_anew(match, session_key, proofs, told)
            return

        def compared(same: bool | StoreUnavailable) -> None:
            if isinstance(same, StoreUnavailable):
                told(same)
            elif same:
                told(self._hold(self.admit(match, known), proofs))
            else:
                self._recognise_anew(match, session_key, proofs, told)

        self.confirm(known, compared)

    def _recognise_anew(
        self,
        match: Match | None,
        session_key: str,
        proofs: Proofs,
        told: Callable[[Passage | StoreUnavailable | None], None],
    ) -> None:
        mark = self._memory.begin_read()

        def found(signed_in: SignedIn | StoreUnavailable | None) -> None:
            if not isinstance(signed_in, SignedIn):
                told(signed_in)
                return
            now = self._clock()
            known = self._know(signed_in, mark, now)
            passage = self._hold(self.admit(match, known), proofs)
            if now >= known.settled_until and passage is not None:
                if now < self._sessions.lasts_until(signed_in):
                    self._sessions.touch_soon(signed_in, now)
                else:
                    passage = None
            told(passage)

        self._sessions.recognise(session_key, found)

    def seconds_left(self, known: KnownCaller, until: datetime | None = None) -> float:
        """Return how long a caller may be answered from memory, at most `until`.

        Whoever keeps one must ask `known.remembered` too.
        """
        ends = known.until if until is None else min(known.until, until)
        return (ends - self._clock()).total_seconds() if known.remembered else 0.0

    def confirm(self, known: KnownCaller, told: Callable[[bool | StoreUnavailable], None]) -> None:
        """Ask the store whether a caller is the same as before, and have it `told`: without a task, in one read.

        False when all has to be read again.
        """
        if known.era != self._era:
            told(False)
            return
        mark = self._memory.begin_read()

        def compared(same: bool | StoreUnavailable) -> None:
            if same is True:
                now = self._clock()
                self._memory.remember(known, mark, now)
                same = now < known.settled_until
            told(same)

        self._sessions.ask_again(known.signed_in, compared)

    def _settled_until(self, signed_in: SignedIn, now: datetime) -> datetime:
        """Return until when what is made for a caller now may be used: an assertion is signed anew in time."""
        settled = self._authentication.settled_until(signed_in)
        return settled if self._assertions is None else min(settled, now + self._assertions.lasts)

    def judge_anew(self) -> None:
        """Let nobody in any more for what was decided before: who may in has changed."""
        self._era += 1
        self._memory.forget(None)

    def _recall(self, match: Match | None, session_key: str | None) -> KnownCaller | Unknown | None:
        """Return who calls, as far as the decision depends on it."""
        if session_key is None or not needs_caller(match):
            return None
        return self._memory.recall(session_key, self._clock()) or _UNKNOWN

    def admit(self, match: Match | None, known: KnownCaller | None) -> Passage | None:
        """Let a caller in by a route; None when it does not let them."""
        if match is None:
            return None
        anonymous = self._unnamed if match.route.access == Access.OPTIONAL else self._anonymous
        allow = admits(match, known.allow if known is not None else None, anonymous)
        if allow is None:
            return None
        if (self._assertions is not None or match.route.headers) and known is not None and allow.identity is not None:
            allow = self._let_in(match, allow.identity, known)
        return Passage(allow, match, known)

    def _let_in(self, match: Match, who: Identity, known: KnownCaller) -> Allow:
        """Let somebody in with the headers of the route, and an assertion; made once for each caller."""
        own = known.by_route.get(match.index)
        if own is None:
            extra = (self._assertions.build(who, match.route.upstream, self._clock()),) if self._assertions else ()
            key = known.allow.session_key
            own = known.by_route[match.index] = build_allow(self.headers_for(match), who, extra, session_key=key)
            self._memory.note_growth(known, own)
        return own

    def headers_for(self, match: Match) -> IdentityHeaders:
        """Return the identity headers of a route."""
        return self._headers_of_routes.get(match.index, self.identity_headers)

    def build_forward_auth(self, passage: Passage) -> Headers:
        """Return the headers of a forward-auth answer that lets a request pass."""
        who = passage.allow.identity
        if who is None:
            return ()
        headers = self.headers_for(passage.match).build_forward_auth(who)
        name = self._assertions.name if self._assertions is not None else None
        return (*headers, *(field for field in passage.allow.set_headers if field[0] == name))

    def _pass_preflight(self, head: RequestHead) -> Passage | None:
        """Let a preflight in, as nobody, where the route of the request that it asks about says so."""
        match = self.match_preflight(head)
        if match is None or match.route.access == Access.DENY or match.route.preflight != "pass":
            return None
        return Passage(self._anonymous, match, None)

    async def _confirm_or_read(self, session_key: str, headers: Headers) -> KnownCaller | None:
        known = self._memory.find(session_key, self._clock())
        if known is not None and await self._is_confirmed(known):
            return known
        devices = self._devices
        return await self.read_caller(session_key, lambda found: devices is None or devices.is_proven(found, headers))

    async def _is_confirmed(self, known: KnownCaller) -> bool:
        told: bool | StoreUnavailable = await until_told(partial(self.confirm, known))
        if isinstance(told, StoreUnavailable):
            raise told
        return told

    async def read_caller(
        self, session_key: str, is_use: Callable[[SignedIn], bool] = lambda _: True
    ) -> KnownCaller | None:
        """Ask the store who a session key stands for; None when it stands for nobody (any more).

        `is_use`: whether the session is marked as seen by that.
        Raises `StoreUnavailable`, or `ProviderError` when the access token has expired and cannot be renewed now.
        """
        mark = self._memory.begin_read()
        signed_in = await self._authentication.read_session(session_key, is_use)
        return self._know(signed_in, mark, self._clock()) if signed_in is not None else None

    def _know(self, signed_in: SignedIn, mark: int, now: datetime) -> KnownCaller:
        """Remember who was read since `mark`."""
        identity = build_identity(signed_in)
        known = KnownCaller(
            signed_in=signed_in,
            allow=build_allow(self.identity_headers, identity, session_key=signed_in.session_key),
            settled_until=self._settled_until(signed_in, now),
            until=now,
            era=self._era,
        )
        self._memory.remember(known, mark, now)
        return known


_UNKNOWN: Final = Unknown()
