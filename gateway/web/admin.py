"""The admin listener: health and metrics, for the operator's network only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.web.responses import Answer, send_answer, text_answer


class Admin:
    """`/livez`, `/readyz`, `/metrics` as an ASGI app."""

    def __init__(self, metrics: Metrics, readiness: Callable[[], Awaitable[str | None]]) -> None:
        self._metrics = metrics
        self._readiness = readiness

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        await send_answer(await self._answer(scope["method"], scope["path"]), send, head_only=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> Answer:
        if method not in {"GET", "HEAD"}:
            return text_answer(405, "method not allowed\n")
        match path:
            case "/livez":
                return text_answer(200, "ok\n")
            case "/readyz":
                reason = await self._readiness()
                return text_answer(200, "ok\n") if reason is None else text_answer(503, f"not ready: {reason}\n")
            case "/metrics":
                headers = ((b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store"))
                return Answer(200, headers, self._metrics.exposition())
            case _:
                return text_answer(404, "not found: try /livez, /readyz or /metrics\n")
