"""The one way every request takes, whatever the door: the gateway's own path? → the gate → in, or an answer.

The doors (ASGI middleware, WSGI middleware, forward-auth) differ only in what they do with a `Passage`; forward-auth,
where somebody else serves the request, asks for the decision alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import assert_never

import msgspec

from gateway.core.challenge import is_cross_site_websocket
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.fields import Headers
from gateway.core.path import CanonicalPath
from gateway.core.request import RequestHead
from gateway.core.route import Access, Match
from gateway.errors import GatewayError, MalformedRequest, StoreUnavailable, forget_frames
from gateway.flows.device_proofs import Proofs
from gateway.flows.gate import Gate, Passage, Refusal, Unknown
from gateway.flows.kept_posts import ReadBody
from gateway.flows.memory import KnownCaller
from gateway.telemetry.logs import log
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer
from gateway.web.answers.answers import Answers
from gateway.web.behind.visit import Visit
from gateway.web.exchange import Exchange


class OwnPage(msgspec.Struct, frozen=True):
    """The request is for the gateway itself."""


class Pipeline:
    """Judges requests, and turns what goes wrong into answers."""

    def __init__(self, gate: Gate, answers: Answers) -> None:
        self._gate = gate
        self._answers = answers
        self.reserved = gate.identity_headers.reserved  # names that no client may send in
        self._mounts_watched = True

    async def judge(
        self, head: RequestHead, exchange: Exchange, read_body: ReadBody | None = None
    ) -> OwnPage | Passage | Answer:
        """Return where the request goes. Raises a `GatewayError` for `answer_error` to answer.

        `read_body` reads the request's body, where the door can: only for a form that is to be kept.
        """
        exchange.client_address = head.client_address
        exchange.request_id = head.front.request_id or exchange.request_id
        if head.mount and self._mounts_watched:
            self._watch_mount(head.mount)
        if self._answers.site.is_own_path(head.path):
            if head.path.encoded_slash:
                raise MalformedRequest("the path has an encoded slash, which no page of the gateway's own has")
            exchange.decision = "own"
            if self._answers.site.is_check(head.path):
                return OwnPage()  # whatever it looks like, it is about another request
            return self._answers.answer_preflight(head) or OwnPage()
        verdict = await self.decide(head)
        exchange.note(verdict)
        if isinstance(verdict, Passage):
            return verdict
        return self._answers.share(await self.answer_refusal(verdict, head, exchange.request_id, read_body), head)

    def _watch_mount(self, mount: str) -> None:
        """Tell the operator, once, of pages that no request to this app can reach."""
        if not self._answers.site.prefix.startswith(mount + "/"):
            self._mounts_watched = False
            log.warning(
                "prefix_outside_of_mount",
                prefix=self._answers.site.prefix,
                mount=mount,
                advice=f"nobody can sign in, unless another gateway serves the prefix: set `prefix: {mount}/oauth2`",
            )

    async def decide(self, head: RequestHead) -> Passage | Refusal:
        """Return whether a request may pass, whoever serves it. Raises as `Gate.check` does."""
        verdict = await self._gate.check(head)
        if isinstance(verdict, Refusal) or not head.websocket:
            return verdict
        if not is_cross_site_websocket(head, self._answers.site.origins, verdict.match.route.allowed_origins):
            return verdict
        return Refusal(Deny("a WebSocket that another site's page opens", cross_site=True), verdict.match)

    async def answer_refusal(
        self, refusal: Refusal, head: RequestHead, request_id: str, read_body: ReadBody | None = None
    ) -> Answer:
        """Answer a request that may not pass: a preflight, a form to be kept, or whoever has to do something first."""
        match, decision = refusal.match, refusal.decision
        body = read_body if match is not None and match.route.needs_body_to_answer else None
        kept = await self._answers.keep_post(head, body) if body is not None and _is_page(decision) else None
        return kept or self._answer_preflight(head) or await self._say_no(decision, head, request_id)

    async def _say_no(self, decision: Challenge | Consent | Deny, head: RequestHead, request_id: str) -> Answer:
        match decision:
            case Challenge() as challenge:
                return await self._answers.challenge(challenge, head, request_id)
            case Consent() as consent:
                return self._answers.ask_for_scopes(consent, head, request_id)
            case Deny() as deny:
                return self._answers.deny(deny, head, request_id)
            case _ as never:
                assert_never(never)

    def _answer_preflight(self, head: RequestHead) -> Answer | None:
        match = self._gate.match_preflight(head)
        if match is None or match.route.access == Access.DENY or match.route.preflight != "answer":
            return None
        return self._answers.answer_preflight(head)

    def read_session_keys(self, headers: Headers) -> tuple[str, ...]:
        """Return the store keys of the sessions that a request names; of several, `judge` finds the one that counts."""
        return self._gate.read_session_keys(headers)

    def match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        """Return the route that decides on such requests; it may be kept.

        None also for the gateway's own paths, and for what `judge` refuses.
        """
        try:
            return None if self._answers.site.is_own_path(path) else self._gate.match(method, host, path)
        except MalformedRequest:
            return None

    def read_proofs(self, headers: Headers, session_key: str | None) -> Proofs:
        """Return what a request brings to prove that it comes from the device of a session; `judge` reads it itself."""
        return self._gate.read_proofs(headers, session_key)

    def admit_at_once(
        self, match: Match | None, session_key: str | None, proofs: Proofs = ()
    ) -> Passage | Unknown | None:
        """Return the passage, if nobody has to be asked for it; None for any other decision, which `judge` tells."""
        return self._gate.admit_at_once(match, session_key, proofs)

    def recognise(
        self,
        match: Match,
        session_key: str,
        told: Callable[[Passage | StoreUnavailable | None], None],
        *,
        proofs: Proofs = (),
    ) -> None:
        """As `admit_at_once`, once the store has been asked; None for any other decision."""
        self._gate.recognise(match, session_key, told, proofs=proofs)

    def seconds_left(self, passage: Passage) -> float:
        """Return how long a passage holds, unless its caller is forgotten before."""
        return self._gate.seconds_left(passage.caller, passage.until) if passage.caller is not None else inf

    def is_in_time(self, passage: Passage) -> bool:
        """Whether a passage that is to be used again needs no new proof of a device."""
        return self._gate.is_in_time(passage)

    def confirm(self, caller: KnownCaller, told: Callable[[bool | StoreUnavailable], None]) -> None:
        """Ask the store whether a caller is the same as before; see `Gate.confirm`."""
        self._gate.confirm(caller, told)

    def visit(self, head: RequestHead, exchange: Exchange, metrics: Metrics) -> Visit:
        """Return what an app in this process may ask about a request that may pass."""
        return Visit(head, self._answers.site, metrics, lambda error: self.answer_error(error, head, exchange))

    def answer_error(
        self,
        error: Exception,
        head: RequestHead | None,
        exchange: Exchange,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Answer:
        """Answer an error of ours; anything else is a bug, told in the log and to nobody else.

        `headers` are those of a request that could not be read, as far as they are known.
        """
        if not isinstance(error, GatewayError):
            log.error("bug", request_id=exchange.request_id, exc_info=error)
            error = GatewayError("an exception nobody expected; its traceback is above")
        exchange.error = forget_frames(error)
        return self._answers.share(self._answers.error(error, head, exchange.request_id, headers), head)


def _is_page(decision: Challenge | Consent | Deny) -> bool:
    return isinstance(decision, Challenge) and decision.kind is ChallengeKind.PAGE
