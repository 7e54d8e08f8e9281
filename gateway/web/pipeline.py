"""The one way every request takes, whatever the door: the gateway's own path? → the gate → in, or an answer.

The doors (ASGI middleware, WSGI middleware, forward-auth) differ only in what they do with a `Passage`.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from gateway.core.challenge import is_cross_site_websocket
from gateway.core.decision import Allow, Challenge, Deny
from gateway.core.request import RequestHead
from gateway.errors import GatewayError
from gateway.flows.gate import Gate, Verdict
from gateway.telemetry.logs import log
from gateway.web.answers import Answers
from gateway.web.exchange import Exchange
from gateway.web.responses import Answer


class OwnPage(msgspec.Struct, frozen=True):
    """The request is for the gateway itself."""


class Passage(msgspec.Struct, frozen=True):
    """The request may go in."""

    allow: Allow
    session_key: str  # "" for the anonymous


class Undecided(msgspec.Struct, frozen=True):
    """The store has to be asked first."""


class Pipeline:
    """Judges requests, and turns what goes wrong into answers."""

    def __init__(self, gate: Gate, answers: Answers) -> None:
        self._gate = gate
        self._answers = answers

    async def judge(self, head: RequestHead, exchange: Exchange) -> OwnPage | Passage | Answer:
        """Return where the request goes. Raises a `GatewayError` for `answer_error` to answer."""
        exchange.client_address = head.client_address
        if self._answers.is_own_path(head.path):
            exchange.decision = "own"
            return OwnPage()
        verdict = await self._gate.check(head)
        if (passage := self._pass(verdict, head, exchange)) is not None:
            return passage
        match verdict.decision:
            case Allow():
                exchange.decision = "deny"
                return self._answers.cross_site(head, exchange.request_id)
            case Challenge() as challenge:
                exchange.decision = "challenge"
                return await self._answers.challenge(challenge, head, exchange.request_id)
            case Deny() as deny:
                exchange.decision = "deny"
                return self._answers.deny(deny, head, exchange.request_id)
            case _ as never:
                assert_never(never)

    def read_session_key(self, head: RequestHead) -> str | None:
        """Return the store key of the session that the request names."""
        return self._gate.read_session_key(head)

    def judge_at_once(
        self, head: RequestHead, session_key: str | None, exchange: Exchange
    ) -> Passage | Undecided | None:
        """Return the passage, if nobody has to be asked for it; None for any other decision, which `judge` tells."""
        if self._answers.is_own_path(head.path):
            return None
        verdict = self._gate.recall(head, session_key)
        return self._pass(verdict, head, exchange) if verdict is not None else Undecided()

    def _pass(self, verdict: Verdict, head: RequestHead, exchange: Exchange) -> Passage | None:
        """Return the passage, if the verdict is one; note in any case what it stands on."""
        exchange.client_address = head.client_address
        exchange.route = verdict.match.index if verdict.match is not None else -1
        allow = verdict.decision
        if not isinstance(allow, Allow):
            return None
        exchange.session = allow.identity.session_id if allow.identity is not None else ""
        if head.websocket and is_cross_site_websocket(head, self._answers.public_origins):
            return None
        exchange.decision = "allow"
        return Passage(allow, verdict.signed_in.session_key if verdict.signed_in is not None else "")

    def answer_error(self, error: Exception, head: RequestHead | None, exchange: Exchange) -> Answer:
        """Answer an error of ours; anything else is a bug, told in the log and to nobody else."""
        if not isinstance(error, GatewayError):
            log.error("bug", request_id=exchange.request_id, exc_info=error)
            error = GatewayError("an exception nobody expected; its traceback is above")
        exchange.error = error
        return self._answers.error(error, head, exchange.request_id)
