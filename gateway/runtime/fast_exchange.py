"""One request on the fast path: from the client's connection to an upstream connection, and back.

Rules
- The answer's framing is ours: counted if the upstream counted it, else chunked. What was cut short is never ended as
  if it were whole: the connection is closed instead (RFC 9112 §8).
- The slower side sets the pace: a client that does not read stops the upstream, an upstream that does not read stops
  the client.
- Sent a second time only where nothing can happen twice (see `upstream.http.may_repeat`).
- A WebSocket begins as a request like any other. When the upstream switches, both sockets are joined by a tunnel.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.decision import Allow
from gateway.core.headers import Fields, first
from gateway.core.request import RequestHead
from gateway.errors import GatewayError, UpstreamBroken, UpstreamError
from gateway.runtime.connections import ConnectionGuard
from gateway.telemetry.metrics import Metrics
from gateway.upstream.connection import Connection
from gateway.upstream.http import may_repeat
from gateway.upstream.pool import Pool
from gateway.upstream.request import BodyFraming, build_end, build_line, encode_fields
from gateway.upstream.tunnel import Tunnel
from gateway.web.doors import ReverseProxyDoor
from gateway.web.exchange import Exchange
from gateway.web.live import LiveSockets
from gateway.web.pipeline import OwnPage, Passage, Pipeline
from gateway.web.responses import Answer

HIGH_WATER: Final = 64 * 1024
"""Most bytes of a request body kept while there is no upstream connection yet."""
_SWITCH: Final = b"connection: Upgrade\r\nupgrade: websocket\r\n"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Client(Protocol):
    """The client's connection, as far as the fast path needs it."""

    guard: ConnectionGuard
    transport: asyncio.Transport

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def own_fields(self) -> bytes:
        """Return the lines of a response head that are the server's own."""

    def hold(self) -> None:
        """Take no more of the request body for now."""

    def release(self) -> None:
        """Take more of it."""

    def finish(self, *, whole: bool) -> None:
        """The answer has ended; if not `whole`, the connection must end too, and visibly so."""

    def leave_to(self, tunnel: Tunnel) -> bytes:
        """Hand the connection over for good; returns what has been received and belongs to the tunnel."""


class Shared(msgspec.Struct, frozen=True):
    """What all exchanges share."""

    pipeline: Pipeline
    door: ReverseProxyDoor
    pool: Pool
    metrics: Metrics
    live: LiveSockets
    websocket_idle: float  # seconds; 0: no limit


class KnownBlock:
    """A header block that was judged before, and what came of it: all of it depends on the block and the peer alone."""

    __slots__ = ("_allow", "_fields", "client_address", "headers", "host", "scheme", "session_key")

    def __init__(self, head: RequestHead, session_key: str | None) -> None:
        self.headers = head.headers
        self.host = head.host
        self.scheme = head.scheme
        self.client_address = head.client_address
        self.session_key = session_key
        self._fields = b""
        self._allow: Allow | None = None

    def fields_for(self, head: RequestHead, allow: Allow, door: ReverseProxyDoor) -> bytes:
        """Return the lines that the upstream is sent: the client's own fields, and who that is."""
        if self._allow is not allow:
            self._fields = encode_fields([*door.passing_fields(head, allow), *allow.set_headers])
            self._allow = allow
        return self._fields


class FastExchange:
    """One request and its answer; the sink of the upstream connection that carries it."""

    __slots__ = (
        "_body",
        "_chunked",
        "_client",
        "_connection",
        "_framing",
        "_head",
        "_known",
        "_out",
        "_passage",
        "_request",
        "_request_complete",
        "_shared",
        "_task",
        "_told",
        "done",
    )

    def __init__(
        self,
        shared: Shared,
        client: Client,
        head: RequestHead,
        known: KnownBlock,
        framing: BodyFraming | None,
        told: Exchange,
    ) -> None:
        self._shared = shared
        self._client = client
        self._head = head
        self._told = told
        self._known = known
        self._framing = framing
        self._request_complete = framing is None
        self._passage: Passage | None = None
        self._request = b""
        self._body: list[bytes] = []  # of the request: framed, not sent yet
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._out: list[bytes] = []  # to the client, not written yet
        self._chunked = False
        self.done = False

    @property
    def answering(self) -> bool:
        """Whether some of the answer is on its way."""
        return self._told.status != 0

    # Judging

    def ask(self) -> None:
        """Have the gate ask the store."""
        self._run(self._ask())

    async def _ask(self) -> None:
        match await self._shared.pipeline.judge(self._head, self._told):
            case Passage() as passage:
                self.enter(passage)
                self.flush()
            case Answer() as answer:
                self._answer(answer)
            case OwnPage():  # `take` leaves those to the app
                raise GatewayError("a page of the gateway's own on the fast path")

    def enter(self, passage: Passage) -> None:
        """Let the request in; it is sent with the next `flush`."""
        self._passage = passage
        head, allow, door = self._head, passage.allow, self._shared.door
        self._request = b"%bhost: %b\r\n%bx-request-id: %b\r\n%b" % (
            build_line(head),
            door.host(head),
            self._known.fields_for(head, allow, door),
            self._told.request_id.encode(),
            _SWITCH + b"\r\n" if head.websocket else build_end(head, self._framing),
        )

    # The request

    def take_body(self, data: bytes, *, last: bool) -> None:
        """Take some of the request body; it is sent with the next `flush`."""
        if self.done or self._framing is None:
            return
        self._body.append(self._framing.frame(data, last=last))
        self._request_complete = last

    def flush(self) -> None:
        """Send what there is of the request: called when one read of the client's socket has been parsed."""
        if self.done or self._passage is None:
            self._hold_if_much()
        elif self._connection is not None:
            if self._body:
                self._connection.write(self._take_body(), last=self._request_complete)
        elif self._task is None or self._task.done() or self._task is asyncio.current_task():
            connection = self._shared.pool.take_idle()
            if connection is not None:
                self._start(connection)
            else:
                self._run(self._connect(fresh=False))
        else:
            self._hold_if_much()

    def _hold_if_much(self) -> None:
        if sum(map(len, self._body)) > HIGH_WATER:
            self._client.hold()

    def _take_body(self) -> bytes:
        body, self._body = self._body, []
        return body[0] if len(body) == 1 else b"".join(body)

    async def _connect(self, *, fresh: bool) -> None:
        self._start(await self._shared.pool.acquire(fresh=fresh))

    def _start(self, connection: Connection) -> None:
        self._connection = connection
        request = self._request + self._take_body() if self._body else self._request
        connection.start(
            self,
            request,
            head_request=self._head.method == "HEAD",
            complete=self._request_complete,
            upgrade=self._head.websocket,
        )
        self._client.release()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    # What the upstream connection calls

    def on_head(self, status: int, headers: Fields) -> None:
        """Build the head of the answer."""
        assert self._passage is not None  # noqa: S101 -- nothing is sent before
        fields = self._shared.door.response_fields(headers, self._passage.allow)
        own = self._client.own_fields()
        if status == 101:
            _check_accept(self._head, headers)
            own += _SWITCH
        elif status in {204, 304}:
            fields = [field for field in fields if field[0] != b"content-length"]
        elif self._head.method != "HEAD" and all(name != b"content-length" for name, _ in fields):
            self._chunked = True
            fields.append((b"transfer-encoding", b"chunked"))
        head = _build_head(status, fields, own)
        self._told.status = status
        self._out.append(head)

    def on_body(self, data: bytes) -> None:
        """Pass some of the body on."""
        if self._chunked:
            self._out.append(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._out.append(data)

    def on_flush(self) -> None:
        """Write what one read of the upstream's socket has brought."""
        if self._out and not self.done:
            out, self._out = self._out, []
            self._client.write(out[0] if len(out) == 1 else b"".join(out))

    def on_end(self, error: UpstreamError | None) -> None:
        """End the answer, or say why there is none, or try again."""
        if self.done:
            return
        if error is not None:
            self._retry_or_fail(error)
            return
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self.on_flush()
        self._finish(whole=True)

    def on_switch(self, rest: bytes) -> None:
        """Join both sockets; the request is told when the WebSocket ends."""
        connection = self._connection
        if self.done or connection is None:
            return
        self.on_flush()
        self.done = True
        shared, guard, live = self._shared, self._client.guard, self._shared.live
        tell = _Telling(self._told, self._head.method, self._head.path.text, shared.metrics)

        def ended() -> None:
            shared.metrics.add_websockets(-1)
            live.discard(socket)
            guard.discard(tunnel)
            connection.connection_lost(None)
            tell()

        tunnel = Tunnel(
            self._client.transport,
            connection.detach(),
            loop=asyncio.get_running_loop(),
            idle_limit=shared.websocket_idle,
            ended=ended,
        )
        shared.metrics.add_websockets(1)
        socket = live.add(self._passage.session_key if self._passage is not None else "", tunnel.close)
        tunnel.start(self._client.leave_to(tunnel), rest)

    def on_tick(self) -> None:
        """Nothing to do: the server tells at once when the client hangs up."""

    def on_full(self) -> None:
        """The upstream is slow to take the body."""
        self._client.hold()

    def on_drained(self) -> None:
        """It takes more."""
        self._client.release()

    # What the client's connection calls

    def pause(self) -> None:
        """The client is slow: the upstream must wait."""
        if self._connection is not None and not self.done:
            self._connection.pause()

    def resume(self) -> None:
        """The client has taken what there was."""
        if self._connection is not None and not self.done:
            self._connection.resume()

    def abandon(self) -> None:
        """The client is gone: so is the request."""
        if self.done:
            return
        self._leave()
        self._tell()

    # Ends

    def _retry_or_fail(self, error: UpstreamError) -> None:
        connection = self._connection
        if connection is not None and not self._told.status and may_repeat(self._head, error, connection):
            self._connection = None
            self._run(self._connect(fresh=True))
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.done:
            return
        answer = self._shared.pipeline.answer_error(_as_exception(error), self._head, self._told)
        if self._told.status:
            self.on_flush()
            self._finish(whole=False)
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        """Answer for ourselves."""
        if self.done:
            return
        self._told.status = answer.status
        fields = [*answer.headers]
        if answer.status not in {204, 304}:
            fields.append((b"content-length", b"%d" % len(answer.body)))
        head = _build_head(answer.status, fields, self._client.own_fields())
        self._client.write(head if self._head.method == "HEAD" else head + answer.body)
        self._finish(whole=True)

    def _finish(self, *, whole: bool) -> None:
        self._leave()
        self._tell()
        self._client.finish(whole=whole)

    def _leave(self) -> None:
        """Leave nothing behind: no task, and no connection that is in the middle of something."""
        self.done = True
        self._body.clear()
        if self._connection is not None:
            self._connection.leave(self)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _tell(self) -> None:
        self._told.tell(self._head.method, self._head.path.text, self._shared.metrics)


class _Telling(msgspec.Struct, frozen=True):
    """Little enough to be kept as long as a WebSocket lasts."""

    told: Exchange
    method: str
    path: str
    metrics: Metrics

    def __call__(self) -> None:
        self.told.tell(self.method, self.path, self.metrics)


def _check_accept(head: RequestHead, headers: Fields) -> None:
    """Check that the upstream has understood (RFC 6455 §4.1)."""
    key = first(head.headers, b"sec-websocket-key") or b""
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    if first(tuple(headers), b"sec-websocket-accept") != base64.b64encode(digest):
        raise UpstreamBroken("the upstream switches protocols without having understood the WebSocket handshake")


def _build_head(status: int, fields: Fields, own_fields: bytes) -> bytes:
    block = b"".join([b"%b: %b\r\n" % field for field in fields])
    # the second fence against response splitting: each field is one line
    if block.count(b"\n") != len(fields) or block.count(b"\r") != len(fields):
        raise UpstreamBroken("a header of the answer holds a line break")
    return STATUS_LINE[status] + own_fields + block + b"\r\n"


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else GatewayError(f"ended by {type(error).__name__}")
