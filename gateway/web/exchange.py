"""One request and its answer, as seen by the log and the metrics."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.errors import Blame, GatewayError
from gateway.telemetry.logs import RequestLine, log, log_request
from gateway.telemetry.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

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


class Exchange:
    """What is known of a request and its answer, told in one line at its end."""

    __slots__ = (
        "_started_at",
        "client_address",
        "decision",
        "error",
        "request_id",
        "route",
        "session",
        "status",
    )

    def __init__(self) -> None:
        self._started_at = time.perf_counter()
        self.request_id = new_request_id()
        self.status = 0  # 0 until an answer has started
        self.decision = "refused"
        self.route = -1
        self.session = ""
        self.client_address = ""
        self.error: GatewayError | None = None

    def watch(self, send: Send) -> Send:
        """Return a `send` that notes the status of what passes."""

        async def watched(message: Message) -> None:
            kind = message["type"]
            if kind in {"http.response.start", "websocket.http.response.start"}:
                self.status = message["status"]
            elif kind == "websocket.accept":
                self.status = 101
            await send(message)

        return watched

    def tell(self, method: str, path: str, metrics: Metrics) -> None:
        """Write the request's one log line, and count it. The query is left out: it may carry codes."""
        duration = time.perf_counter() - self._started_at
        metrics.count_request(self.decision, self.status, duration)
        line = RequestLine(
            request_id=self.request_id,
            method=method,
            path=path,
            status=self.status,
            decision=self.decision,
            route=self.route,
            duration_ms=round(duration * 1000, 2),
            client=self.client_address,
            session=self.session or None,
        )
        if self.error is None:
            log_request(line)
            return
        error = self.error
        metrics.count_error(error)
        getattr(log, _LEVEL_OF_BLAME[error.blame])("request", **line.fields(), error=error.code, reason=str(error))
