"""Forwards one request over HTTP/1.1: the ASGI side.

Rules
- Bodies flow both ways as they come, and the slower side sets the pace (backpressure): above `HIGH_WATER` bytes that
  the client has not taken, the upstream is read no further.
- No upstream connection is held for a body of which nothing has come; for a small one, not before all has.
- A request is sent a second time (a retry) only where it cannot have had an effect twice: the connection
  was a kept one, nothing of an answer came, the method is idempotent and there was no body (RFC 9110 §9.2.2).
- A body cut short is never ended as if it were whole: we raise, and the server breaks the connection to the
  client.

A small request costs one future and no task. A task watches the client only where a body is still being sent,
or where the answer takes longer than the pool's tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from gateway.core.fields import Fields
from gateway.core.forwarded import find_network
from gateway.core.headers import signs_in_connection
from gateway.core.request import RequestHead
from gateway.core.response import HOP, LENGTH, AnswerField, AnswerHead, EditResponse, has_no_body
from gateway.errors import UpstreamError, UpstreamUnreachable
from gateway.tasks import OwnedTask
from gateway.upstream.connection import Connection
from gateway.upstream.pool import Pool
from gateway.upstream.request import BodyFraming, build_request, read_body_framing, title_case

HIGH_WATER: Final = 32 * 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# RFC 9110 §9.2.2
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Transfer:
    """One request and its answer; the sink of the connection that carries it."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_receive",
        "_size",
        "_task",
        "_waiter",
        "client_gone",
        "complete",
        "error",
        "fields",
        "holder",
        "status",
    )

    def __init__(self, connection: Connection, receive: Receive, holder: str) -> None:
        self.holder = holder
        self._connection = connection
        self._receive = receive
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._task: OwnedTask | None = None
        self.status = 0
        self.fields: list[AnswerField] = []
        self.complete = False
        self.error: BaseException | None = None
        self.client_gone = False

    # What the connection calls

    def on_whole(self, head: AnswerHead, body: bytes) -> None:
        """Keep the whole answer."""
        self.status = head.status
        self.fields = head.fields
        if body:
            self._chunks.append(body)
        self.complete = True
        self.on_flush()

    def on_head(self, status: int, fields: list[AnswerField], length: int) -> None:
        """Keep the head."""
        self.status = status
        self.fields = fields

    def on_body(self, data: bytes) -> None:
        """Keep some of the body, and slow the upstream down when the client is slower."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self._connection.pause()

    def on_end(self, error: UpstreamError | None) -> None:
        """Keep the end."""
        self.complete = error is None
        self.error = self.error or error

    def on_switch(self, rest: bytes) -> None:
        """Never called: no WebSocket is asked for this way."""

    def on_flush(self) -> None:
        """Wake whoever waits."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def on_tick(self) -> None:
        """It takes long: from now on, notice a client that hangs up."""
        if self._task is None:
            self._task = OwnedTask(self._watch_client(), self._fail)

    def on_full(self) -> None:
        """Nothing to do: whoever sends the body waits in `Connection.drain`."""

    def on_drained(self) -> None:
        """Nothing to do."""

    # The client's side

    async def wait(self) -> None:
        """Wait for the next thing to act on."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    @property
    def pending(self) -> bool:
        """Whether there is nothing to act on yet."""
        return not (self._chunks or self.complete or self.error or self.client_gone)

    def take_body(self) -> bytes:
        """What of the body has arrived since the last time."""
        chunks = self._chunks
        if not chunks:
            return b""
        self._chunks, self._size = [], 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def go_on(self) -> None:
        """Take more of the answer: what there was is taken."""
        if not self.complete:  # else the connection may already carry another one
            self._connection.resume()

    def send_rest(self, framing: BodyFraming) -> None:
        """Send the rest of the request body as the client delivers it."""
        self._task = OwnedTask(self._send_rest(framing), self._fail)

    def close(self) -> None:
        """Leave nothing behind: no task, and no connection that is in the middle of something."""
        if self._task is not None:
            self._task.cancel()
        if not self.complete:
            self._connection.leave(self)

    def _fail(self, error: BaseException) -> None:
        """A fault of the client's side, e.g. a body beyond the limit, ends the transfer."""
        if not self.complete:
            self.error = error
            self._connection.leave(self)
            self.on_flush()

    async def _send_rest(self, framing: BodyFraming) -> None:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._lose_client()
                return
            more = message.get("more_body", False)
            self._connection.write(framing.frame(message.get("body", b""), last=not more), last=not more)
            if more:
                await self._connection.drain()
        await self._watch_client()

    async def _watch_client(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._lose_client()

    def _lose_client(self) -> None:
        self.client_gone = True
        if not self.complete:
            self._connection.leave(self)
        self.on_flush()


async def forward(
    pool: Pool,
    head: RequestHead,
    headers: Fields,
    receive: Receive,
    send: Send,
    edit_response: EditResponse | None,
) -> None:
    """Send a request on and stream its answer back.

    Returns quietly when the client hangs up.

    Raises:
        UpstreamError: before the answer began, so that it can be told in its place; or afterwards, when the
            answer was cut short and the connection to the client must be broken.
        MalformedRequest: the request cannot be sent unambiguously.
    """
    framing = read_body_framing(head)
    request = build_request(head, headers, framing)
    if pool.upstream.title_case:
        request = title_case(request)
    more = False
    if framing is not None:
        waits = framing.is_small
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
            request += framing.frame(message.get("body", b""), last=not more)
            if not waits:
                break
    binding = any(signs_in_connection(*field) for field in head.headers)
    holder = find_network(head.client_address)
    connection = pool.take_idle(holder) or await pool.acquire(holder)
    while True:
        transfer = Transfer(connection, receive, holder)
        try:
            connection.start(transfer, request, head_request=head.method == "HEAD", complete=not more, binding=binding)
            if more and framing is not None:
                transfer.send_rest(framing)
            await transfer.wait()
            while not transfer.status and transfer.error is None and not transfer.client_gone:
                await transfer.wait()  # an interim answer, or part of a head
            if not (transfer.status == 0 and may_repeat(head.method, framing is not None, transfer.error, connection)):
                await _deliver(transfer, head, send, edit_response)
                return
        finally:
            transfer.close()
        connection = await pool.acquire(holder, fresh=True)


def may_repeat(method: str, has_body: bool, error: BaseException | None, connection: Connection) -> bool:
    """Whether the kept connection turned out dead, and nothing can happen twice."""
    return (
        isinstance(error, UpstreamUnreachable)
        and connection.reused
        and not connection.answered
        and method in _IDEMPOTENT
        and not has_body
    )


async def _deliver(transfer: Transfer, head: RequestHead, send: Send, edit_response: EditResponse | None) -> None:
    """Hand the answer to the client, in as few messages as it allows."""
    if transfer.status:
        await send(_build_start(transfer, edit_response))
    while not transfer.client_gone:
        body = transfer.take_body() if transfer.status else b""
        if transfer.complete:
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            transfer.go_on()
        elif transfer.error is not None:
            raise transfer.error
        if transfer.pending:
            await transfer.wait()


def _build_start(transfer: Transfer, edit_response: EditResponse | None) -> Message:
    fields = transfer.fields if edit_response is None else edit_response(transfer.fields)
    return {
        "type": "http.response.start",
        "status": transfer.status,
        "headers": [(field.name, field.value) for field in fields if _is_kept(field, transfer.status)],
    }


def _is_kept(field: AnswerField, status: int) -> bool:
    """The framing of the answer is the server's; what counts the body stays where there is one (RFC 9110 §8.6)."""
    return field.kind < HOP or (field.kind == LENGTH and not has_no_body(status))
