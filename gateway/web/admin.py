"""The admin listener: health and metrics for whoever reaches it, and an API for who has a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.web.responses import Answer, send_answer, text_answer

_API: Final = ("/sessions", "/grants", "/tokens")


class Admin:
    """`/livez`, `/readyz` and `/metrics`; the rest goes to `api`, which is None while nobody has a key (ASGI 3)."""

    def __init__(self, metrics: Metrics, readiness: Callable[[], Awaitable[str | None]], api: Any | None) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._api = api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        if self._api is not None and scope["path"].startswith(_API):
            await self._api(scope, receive, send)
            return
        await send_answer(await self._answer(scope["method"], scope["path"]), send, head_only=scope["method"] == "HEAD")

    async def _answer(self, method: str, path: str) -> Answer:
        if path.startswith(_API):
            return text_answer(404, "set `admin.keys` or `tokens.clients` to use this\n")
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
