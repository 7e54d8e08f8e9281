"""The gateway as one ASGI middleware."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from gateway.core.request import RequestHead
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.flows.live import Asked, Live, OpenSocket, seconds_of_grace, why
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer, refuse_websocket, send_answer
from gateway.web.asgi_head import EXCHANGE_KEY, HEAD_KEY, HeadReader, Message, Receive, Scope, Send
from gateway.web.behind.apps import AppRaised, Apps
from gateway.web.behind.visit import VISIT_KEY
from gateway.web.body_limit import read_from
from gateway.web.exchange import Exchange
from gateway.web.pipeline import OwnPage, Pipeline


class Abandoned(Exception):
    """An answer failed after it had begun: it must not look complete."""


class GatewayMiddleware:
    """Stands before its apps (ASGI 3, HTTP and WebSocket)."""

    def __init__(
        self,
        apps: Apps,
        *,
        pipeline: Pipeline,
        reader: HeadReader,
        own_pages: Any,
        live: Live,
        metrics: Metrics,
        answer_ids: bool = False,
        in_process: bool = False,
    ) -> None:
        """`answer_ids`: every answer carries the id of its request. `in_process`: an app is in this process."""
        self._answer_ids = answer_ids
        self._in_process = in_process
        self._apps = apps
        self._pipeline = pipeline
        self._reader = reader
        self._own_pages = own_pages
        self._live = live
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises `Abandoned` when an answer broke off, so that the server cuts the connection; and whatever an app in this
        process raises, as it is, for those who stand around us: its framework, an error reporter, the server.

        The log's line is written when the answer is complete. What the app does after that is its own affair.
        """
        exchange = Exchange()

        def tell() -> None:
            exchange.tell(scope.get("method", "GET"), scope["path"], self._metrics)

        send = exchange.watch(send, answer_ids=self._answer_ids, at_end=tell)
        head: RequestHead | None = None
        raised: AppRaised | None = None
        try:
            head = self._reader.read(scope)
            await self._answer(head, exchange, scope, receive, send)
        except AppRaised as error:
            raised = error
            exchange.status = exchange.status or 500  # as it will be answered, if nobody does better
        except Exception as error:  # noqa: BLE001 -- the one border: everything of ours becomes an answer here
            if exchange.client_left:
                return  # whatever became of that, there is nobody to tell
            answer = self._pipeline.answer_error(
                error, head, exchange, scope["headers"] if scope["type"] == "http" else ()
            )
            if exchange.whole:
                exchange.tell_afterwards(self._metrics)
                return
            if exchange.status:
                raise Abandoned from (None if isinstance(error, GatewayError) else error)
            with contextlib.suppress(OSError):
                await _send(answer, send, scope)
        finally:
            if not exchange.whole:
                tell()
        if raised is not None:
            raise raised.error

    def _visiting(self, head: RequestHead, exchange: Exchange, scope: Scope) -> Scope:
        """Return the scope with what an app in this process may ask about the request."""
        return {**scope, VISIT_KEY: self._pipeline.visit(head, exchange, self._metrics)}

    async def _answer(self, head: RequestHead, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        outcome = await self._pipeline.judge(head, exchange, read_from(receive))
        if self._in_process and isinstance(outcome, Passage):
            scope = self._visiting(head, exchange, scope)
        match outcome:
            case OwnPage():
                # the prefix is a public path: routers take off `root_path`
                where = {"root_path": "", "path": head.path.text, "raw_path": head.path.raw}
                await self._own_pages({**scope, **where, HEAD_KEY: head, EXCHANGE_KEY: exchange}, receive, send)
            case Passage() as passage if head.websocket:
                await self._hold_websocket(head, passage, exchange, scope, receive, send)
            case Passage() as passage:
                await self._hold_request(head, passage, exchange, scope, receive, send)
            case Answer() as answer:
                await _send(answer, send, scope)

    def _asking(self, head: RequestHead) -> Callable[[], Asked]:
        """Return what says what a request asks for: few are ever asked."""
        keys = self._pipeline.read_session_keys
        return lambda: Asked(head.method, head.host, head.path, next(iter(keys(head.headers)), ""))

    async def _hold_request(
        self, head: RequestHead, passage: Passage, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve a request that ends when its session does. Raises the error for that."""
        request = _OpenRequest(passage, exchange, self._asking(head))
        self._live.opened.add(request)
        try:
            await self._apps.answer(head, passage, exchange.request_id, scope, receive, send)
        except asyncio.CancelledError:
            if request.code is None:
                raise
            request.task.uncancel()
            raise why(request.code) from None
        finally:
            request.over = True
            self._live.opened.discard(request)

    async def _hold_websocket(
        self, head: RequestHead, passage: Passage, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve a WebSocket in a task of its own, so that a sign-out or a shutdown can end it."""
        socket = OpenSocket(passage, lambda _: _cancel(task), self._asking(head)())
        if self._in_process:
            receive, send = _until_closed(receive, send, lambda: self._let_go(socket))
        task = asyncio.ensure_future(self._apps.answer(head, passage, exchange.request_id, scope, receive, send))
        self._live.opened.add(socket)
        self._metrics.add_websockets(1)
        try:
            await task
        except asyncio.CancelledError:
            if socket.close_code is None:
                task.cancel()
                raise
            if exchange.status == 101:
                await send({"type": "websocket.close", "code": socket.close_code, "reason": ""})
        finally:
            self._metrics.add_websockets(-1)
            self._live.opened.discard(socket)

    def _let_go(self, socket: OpenSocket) -> None:
        """Leave a socket alone that is closed: what the app does then is its own affair."""
        self._live.opened.discard(socket)
        socket.let_go()


def _until_closed(receive: Receive, send: Send, closed: Callable[[], None]) -> tuple[Receive, Send]:
    """Return both, and have `closed` called when either side has closed the WebSocket."""

    async def receive_noted() -> Message:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            closed()
        return message

    async def send_noted(message: Message) -> None:
        await send(message)
        if message["type"] == "websocket.close":
            closed()

    return receive_noted, send_noted


class _OpenRequest:
    """A request under way, until its answer is complete; the current task serves it."""

    def __init__(self, passage: Passage, exchange: Exchange, asking: Callable[[], Asked]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- an ASGI app runs in one
        self.code: int | None = None  # once it was ended
        self.over = False
        self.task = task
        self._passage: Passage | None = passage
        self._exchange = exchange
        self._asking = asking

    @property
    def passage(self) -> Passage | None:
        """What let it in; None when the answer is complete: what the app does then is its own affair."""
        return None if self._exchange.whole else self._passage

    @passage.setter
    def passage(self, passage: Passage | None) -> None:
        self._passage = passage

    @property
    def asked(self) -> Asked:
        """What it asks for."""
        return self._asking()

    def end(self, code: int) -> None:
        """End it, unless it ends by itself in time."""
        left = seconds_of_grace(self._exchange.began_at, time.perf_counter())
        asyncio.get_running_loop().call_later(left, self._cut, code)

    def _cut(self, code: int) -> None:
        if self.code is None and not self.over and not self._exchange.whole:
            self.code = code
            self.task.cancel()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _send(answer: Answer, send: Send, scope: Scope) -> None:
    if scope["type"] == "websocket":
        await refuse_websocket(answer, send, scope.get("extensions") or {})
    else:
        await send_answer(answer, send, head_only=scope["method"] == "HEAD")
