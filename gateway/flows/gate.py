"""The gate: one question, one of three answers. Every door asks it, and nothing else decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from gateway.core.decision import Allow, Challenge, Deny, admit
from gateway.core.identity import IdentityHeaders
from gateway.core.policy import Match, Policy, decide, needs_caller
from gateway.core.request import RequestHead
from gateway.flows.authentication import Authentication, build_identity
from gateway.flows.memory import Known, Memory
from gateway.flows.sessions import SignedIn


class Verdict(msgspec.Struct, frozen=True):
    """A decision, with the route and the session it came from."""

    decision: Allow | Challenge | Deny
    match: Match | None
    signed_in: SignedIn | None


class Gate:
    """Judges request heads. It never sets a cookie: a front proxy drops those of a subrequest."""

    def __init__(
        self,
        policy: Policy,
        identity_headers: IdentityHeaders,
        authentication: Authentication,
        memory: Memory,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._policy = policy
        self._authentication = authentication
        self._memory = memory
        self._clock = clock
        self.identity_headers = identity_headers
        self._anonymous = admit(identity_headers, None)

    async def check(self, head: RequestHead) -> Verdict:
        """Decide on a request. Raises `StoreUnavailable` or `ProviderError` when that cannot be done now."""
        verdict = self.recall(head, self.read_session_key(head))
        if verdict is not None:
            return verdict
        match = self._policy.match(head.method, head.host, head.path)
        return self._decide(match, head, await self._read(head))

    def read_session_key(self, head: RequestHead) -> str | None:
        """Return the store key of the session that the request names."""
        return self._authentication.read_session_key(head)

    def recall(self, head: RequestHead, session_key: str | None) -> Verdict | None:
        """Decide at once, from memory; None when the store has to be asked."""
        match = self._policy.match(head.method, head.host, head.path)
        if session_key is None or not needs_caller(match):
            return self._decide(match, head, None)
        known = self._memory.recall(session_key, self._clock())
        return self._decide(match, head, known) if known is not None else None

    async def _read(self, head: RequestHead) -> Known | None:
        mark = self._memory.begin_read()
        signed_in = await self._authentication.read(head)
        if signed_in is None:
            return None
        now = self._clock()
        known = Known(
            signed_in=signed_in,
            allow=admit(self.identity_headers, build_identity(signed_in)),
            until=min(now + self._memory.lasts, self._authentication.settled_until(signed_in)),
        )
        self._memory.remember(known, mark, now)
        return known

    def _decide(self, match: Match | None, head: RequestHead, known: Known | None) -> Verdict:
        if known is None:
            return Verdict(decide(match, head, None, self._anonymous), match, None)
        return Verdict(decide(match, head, known.allow, self._anonymous), match, known.signed_in)
