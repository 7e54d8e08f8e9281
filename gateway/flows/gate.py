"""The gate: one question, one of three answers. Every door asks it, and nothing else decides."""

from __future__ import annotations

import msgspec

from gateway.core.decision import Allow, Challenge, Deny
from gateway.core.identity import IdentityHeaders
from gateway.core.policy import Match, Policy, decide, needs_caller
from gateway.core.request import RequestHead
from gateway.flows.authentication import Authentication, build_identity
from gateway.flows.sessions import SignedIn


class Verdict(msgspec.Struct, frozen=True):
    """A decision, with the route and the session it came from."""

    decision: Allow | Challenge | Deny
    match: Match | None
    signed_in: SignedIn | None


class Gate:
    """Judges request heads. It never sets a cookie: a front proxy drops those of a subrequest."""

    def __init__(self, policy: Policy, identity_headers: IdentityHeaders, authentication: Authentication) -> None:
        self._policy = policy
        self._authentication = authentication
        self.identity_headers = identity_headers

    async def check(self, head: RequestHead) -> Verdict:
        """Decide on a request. Raises `StoreUnavailable` or `ProviderError` when that cannot be done now."""
        match = self._policy.match(head.method, head.host, head.path)
        signed_in = await self._authentication.read(head) if needs_caller(match) else None
        caller = build_identity(signed_in) if signed_in is not None else None
        decision = decide(match, head, caller, self.identity_headers)
        return Verdict(decision=decision, match=match, signed_in=signed_in)
