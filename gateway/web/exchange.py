"""One request and its answer, as seen by the log and the metrics."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.errors import Blame, GatewayError
from gateway.telemetry.logs import log, log_request
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
        self.request_id = secrets.token_hex(12)
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
        fields: dict[str, object] = {
            "request_id": self.request_id,
            "method": method,
            "path": path,
            "status": self.status,
            "decision": self.decision,
            "route": self.route,
            "duration_ms": round(duration * 1000, 2),
            "client": self.client_address,
        }
        if self.session:
            fields["session"] = self.session
        if self.error is None:
            log_request(fields)
            return
        error = self.error
        metrics.errors.labels(error.code, error.blame).inc()
        getattr(log, _LEVEL_OF_BLAME[error.blame])("request", **fields, error=error.code, reason=str(error))
