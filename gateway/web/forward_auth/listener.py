"""The listener of its own for checks, `forward_auth.listen`: who reaches it is a front.

Checks, `livez` and `readyz`, and nothing else: no page, so that no front can lead a browser here by mistake and have it
work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.errors import MethodRefused, NoSuchPage, RequestRefused
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer, send_answer, text_answer
from gateway.web.asgi_head import HeadReader, Receive
from gateway.web.body_limit import read_from
from gateway.web.exchange import Exchange
from gateway.web.forward_auth.dialect import AUTH, WHOLE
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.pipeline import Pipeline


class CheckListener:
    """Answers fronts (ASGI 3, HTTP only)."""

    def __init__(
        self,
        *,
        prefix: str,
        forward_auth: ForwardAuth,
        pipeline: Pipeline,
        reader: HeadReader,
        readiness: Callable[[], Awaitable[str | None]],
        metrics: Metrics,
    ) -> None:
        self._auth, self._whole = f"{prefix}/{AUTH.page}", f"{prefix}/{WHOLE.page}"
        self._livez, self._readyz = f"{prefix}/livez", f"{prefix}/readyz"
        self._elsewhere = (
            f"only checks are answered on this listener, at {self._auth} and {self._whole} (`prefix` is {prefix})"
        )
        self._forward_auth = forward_auth
        self._pipeline = pipeline
        self._reader = reader
        self._readiness = readiness
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        exchange = Exchange()
        try:
            answer = await self._answer(scope, receive, exchange)
        except Exception as error:  # noqa: BLE001 -- the border: everything becomes an answer here
            answer = self._pipeline.answer_error(error, None, exchange, scope["headers"])
        exchange.status = answer.status
        try:
            await send_answer(answer, send, head_only=scope["method"] == "HEAD")
        finally:
            exchange.tell(scope["method"], scope["path"], self._metrics)

    async def _answer(self, scope: Any, receive: Receive, exchange: Exchange) -> Answer:
        try:
            head = self._reader.read(scope)
        except RequestRefused as refused:
            if scope["path"].startswith(self._whole):
                raise
            return self._forward_auth.refuse(refused, exchange)
        exchange.client_address = head.client_address
        path = head.path.text
        if head.method not in {"GET", "HEAD"} and path != self._whole:
            raise MethodRefused(f"{head.method} is not for this address", allowed=("GET", "HEAD"))
        if path in {self._auth, self._whole}:
            return await self._forward_auth.check(head, exchange, read_from(receive))
        exchange.decision = "own"
        if path == self._livez or (path == self._readyz and await self._readiness() is None):
            return text_answer(200, "ok\n")
        if path == self._readyz:
            return text_answer(503, "not ready\n")
        raise NoSuchPage(self._elsewhere)
