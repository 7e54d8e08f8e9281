"""One request and its answer, as seen by the log (its line is the access log) and the metrics."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from time import perf_counter
from typing import Final

from starlette.requests import Request

from gateway.core.decision import Challenge, Consent, Deny
from gateway.core.request import RequestHead
from gateway.core.route import Match
from gateway.errors import Blame, GatewayError
from gateway.flows.gate import Passage, Refusal
from gateway.telemetry.logs import RequestLine, RequestLines, log, log_request
from gateway.telemetry.metrics import Metrics
from gateway.web.asgi_head import EXCHANGE_KEY, Message, Send

_LEVEL_OF_BLAME = {
    Blame.CLIENT: "info",
    Blame.PROVIDER: "warning",
    Blame.UPSTREAM: "warning",
    Blame.GATEWAY: "error",
    Blame.OPERATOR: "error",
}


_ids: list[str] = []
os.register_at_fork(after_in_child=_ids.clear)  # two workers must not give the same ids


def new_request_id() -> str:
    """Make an id of 24 random hex digits; they are made by the hundred, to spare a system call each."""
    if not _ids:
        digits = secrets.token_hex(12 * 256)
        _ids.extend(digits[at : at + 24] for at in range(0, len(digits), 24))
    return _ids.pop()


_START: Final = frozenset({"http.response.start", "websocket.http.response.start"})
_BEGIN: Final = _START | {"websocket.accept"}
"""Messages that begin an answer, and have its fields (ASGI specification)."""
_END: Final = frozenset({"http.response.body", "http.response.pathsend"})
"""Messages that may be an answer's last (ASGI specification; its extension "Path Send")."""


class Exchange:
    """What is known of a request and its answer, told in one line at its end."""

    status = 0  # 0 until an answer has started
    whole = False  # whether an answer has been sent to its end
    decision = "refused"
    route = -1
    session = ""
    client_address = ""
    error: GatewayError | None = None
    original: tuple[str, str] | None = None  # method and path of the request that a front asks about
    client_left = False  # it hung up before it was answered in full

    def __init__(self) -> None:
        self.began_at = perf_counter()
        self.request_id = new_request_id()

    def note(self, verdict: Passage | Refusal) -> None:
        """Note what was decided."""
        if isinstance(verdict, Passage):
            self.note_passage(verdict)
        else:
            self.note_refusal(verdict.decision, verdict.match)

    def note_original(self, original: RequestHead) -> None:
        """Note that this asks about another request, which is the one to be told of."""
        self.original = original.method or "-", original.path.text
        self.client_address = original.client_address

    def note_passage(self, passage: Passage) -> None:
        """Note that the request may pass."""
        self.decision = "allow"
        self.route = passage.match.index
        self.session = passage.session_name

    def note_refusal(self, decision: Challenge | Consent | Deny, match: Match | None) -> None:
        """Note that it may not."""
        self.decision = "challenge" if isinstance(decision, Challenge) else "deny"
        self.route = match.index if match is not None else -1

    def id_field(self) -> tuple[bytes, bytes]:
        """Return the field that tells the id of the request."""
        return b"x-request-id", self.request_id.encode()

    def watch(self, send: Send, *, answer_ids: bool = False, at_end: Callable[[], None] | None = None) -> Send:
        """Return a `send` that notes the status of what passes, and whether anybody is left to take it.

        With `answer_ids`, the answer tells the id. `at_end` is called when the answer is complete, which is not when
        the app is done: it may have work of its own to do afterwards.
        """

        async def watched(message: Message) -> None:
            kind = message["type"]
            if kind in _START:
                self.status = message["status"]
            elif kind == "websocket.accept":
                self.status = 101
            if answer_ids and kind in _BEGIN:
                message = {**message, "headers": [*message.get("headers", ()), self.id_field()]}
            try:
                await send(message)
            except OSError:  # what servers raise when the client has hung up (ASGI 2.4)
                self.client_left = True
                raise
            if kind in _END and not message.get("more_body", False):
                self.whole = True
                if at_end is not None:
                    at_end()

        return watched

    def tell_allowed(self, asked: str, caller: str, lines: RequestLines, metrics: Metrics) -> None:
        """Do what `tell` does for a request that was let in and went well, with parts that were described before."""
        duration = perf_counter() - self.began_at
        metrics.count_request("allow", self.status, duration)
        lines.write(self.request_id, asked, caller, self.status, duration)

    def tell(self, method: str, path: str, metrics: Metrics) -> None:
        """Write the request's one log line, and count it. The query is left out: it may carry codes."""
        status, decision = self.status, self.decision
        if self.original is not None:
            method, path = self.original
        duration = perf_counter() - self.began_at
        metrics.count_request(decision, status, duration)
        line = RequestLine(
            self.request_id, method, path, status, decision, self.route, duration, self.client_address, self.session
        )
        error = self.error
        if error is None:
            log_request(line)
            return
        metrics.count_error(error)
        getattr(log, _LEVEL_OF_BLAME[error.blame])("request", **line.fields(), error=error.code, reason=str(error))

    def tell_afterwards(self, metrics: Metrics) -> None:
        """Write what went wrong when the answer was complete already, and its line written: in the app's own work."""
        error = self.error
        if error is not None:
            metrics.count_error(error)
            log.warning("failed_after_answer", request_id=self.request_id, error=error.code, reason=str(error))


def exchange_of(request: Request) -> Exchange:
    """Return what is known of a request to the gateway's own pages, and of its answer so far."""
    exchange: Exchange = request.scope[EXCHANGE_KEY]
    return exchange


def request_id_of(request: Request) -> str:
    """Return the id that log, page and problem carry."""
    return exchange_of(request).request_id
