"""The one way every request takes, whatever the door: the gateway's own path? → the gate → in, or an answer.

The doors (ASGI middleware, WSGI middleware, forward-auth) differ only in what they do with a `Passage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import assert_never

import msgspec

from gateway.core.challenge import is_cross_site_websocket
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.path import CanonicalPath
from gateway.core.policy import Access, Match
from gateway.core.request import Headers, RequestHead
from gateway.errors import GatewayError, StoreUnavailable
from gateway.flows.gate import Gate, Passage, Refusal, Unknown
from gateway.flows.kept_posts import ReadBody
from gateway.flows.memory import Known
from gateway.telemetry.logs import log
from gateway.web.answers import Answers
from gateway.web.exchange import Exchange
from gateway.web.responses import Answer


class OwnPage(msgspec.Struct, frozen=True):
    """The request is for the gateway itself."""


class Pipeline:
    """Judges requests, and turns what goes wrong into answers."""

    def __init__(self, gate: Gate, answers: Answers) -> None:
        self._gate = gate
        self._answers = answers
        self.reserved = gate.identity_headers.reserved  # names that no client may send in

    async def judge(
        self, head: RequestHead, exchange: Exchange, read_body: ReadBody | None = None
    ) -> OwnPage | Passage | Answer:
        """Return where the request goes. Raises a `GatewayError` for `answer_error` to answer.

        `read_body` reads the request's body, where the door can: only for a form that is to be kept.
        """
        exchange.client_address = head.client_address
        if self._answers.is_own_path(head.path):
            exchange.decision = "own"
            return self._answers.answer_preflight(head) or OwnPage()
        match await self._gate.check(head):
            case Passage() as passage:
                exchange.note_passage(passage)
                return self._answer_cross_site(head, exchange) or passage
            case Refusal(decision=decision, match=match):
                exchange.note_refusal(decision, match)
                keeps = match is not None and match.route.keep_post and _is_page(decision)
                answer = (
                    (await self._answers.keep_post(head, read_body) if keeps and read_body is not None else None)
                    or self._answer_preflight(head)
                    or await self._answer_refusal(decision, head, exchange.request_id)
                )
                return self._answers.share(answer, head)
            case _ as never:
                assert_never(never)

    async def _answer_refusal(self, decision: Challenge | Consent | Deny, head: RequestHead, request_id: str) -> Answer:
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

    def _answer_cross_site(self, head: RequestHead, exchange: Exchange) -> Answer | None:
        """Return the refusal of a WebSocket that another site's page opens."""
        if not (head.websocket and is_cross_site_websocket(head, self._answers.public_origins)):
            return None
        exchange.decision = "deny"
        return self._answers.cross_site(head, exchange.request_id)

    def read_session_keys(self, headers: Headers) -> tuple[str, ...]:
        """Return the store keys of the sessions that a request names; of several, `judge` finds the one that counts."""
        return self._gate.read_session_keys(headers)

    def match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        """Return the route that decides on such requests; None also for the gateway's own paths. It may be kept."""
        return None if self._answers.is_own_path(path) else self._gate.match(method, host, path)

    def admit_at_once(self, match: Match | None, session_key: str | None) -> Passage | Unknown | None:
        """Return the passage, if nobody has to be asked for it; None for any other decision, which `judge` tells."""
        return self._gate.admit_at_once(match, session_key)

    def seconds_left(self, passage: Passage) -> float:
        """Return how long a passage holds, unless its caller is forgotten before."""
        return self._gate.seconds_left(passage.caller) if passage.caller is not None else inf

    def confirm(self, caller: Known, told: Callable[[bool | StoreUnavailable], None]) -> None:
        """Ask the store whether a caller is the same as before; see `Gate.confirm`."""
        self._gate.confirm(caller, told)

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
        exchange.error = error
        return self._answers.share(self._answers.error(error, head, exchange.request_id, headers), head)


def _is_page(decision: Challenge | Consent | Deny) -> bool:
    return isinstance(decision, Challenge) and decision.kind is ChallengeKind.PAGE
