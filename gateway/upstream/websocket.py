"""Relays a WebSocket to the upstream: the ASGI side.

Rules
- The upstream is dialled before the client is accepted, so that the upstream's refusal reaches the client as
  it is.
- Both sides end together. The code and reason of the one that closes reach the other; a client that vanished
  is 1001 to the upstream, an upstream that vanished is 1011 to the client (RFC 6455 §7.4.1).
- Order is kept and memory bounded: each direction waits for its slower end before it takes the next message, and a
  message too large to be kept is 1009 to both ends. Our own server needs none of this: there, bytes pass (`tunnel`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.protocol import State

from gateway.core.fields import Fields
from gateway.core.frames import GOING_AWAY, INTERNAL_ERROR
from gateway.core.request import RequestHead
from gateway.core.response import EditResponse
from gateway.errors import UpstreamBroken, UpstreamUnreachable
from gateway.upstream.handshake import CLOSE_TIMEOUT, MOST_MESSAGE, dial, read_fields
from gateway.upstream.http import Message, Receive, Send
from gateway.upstream.place import Place
from gateway.upstream.pool import Pool

_NORMAL: Final = 1000
_NO_CODE: Final = 1005
_TOO_BIG: Final = 1009


class SocketRelay:
    """Relays WebSockets to one upstream; `pool` knows its places."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._closing: set[asyncio.Task[None]] = set()

    async def relay(
        self,
        head: RequestHead,
        headers: Fields,
        receive: Receive,
        send: Send,
        edit_response: EditResponse | None,
    ) -> None:
        """Join the client and the upstream until one of them ends.

        The caller may or may not have received `websocket.connect`. When the task is cancelled the upstream
        is told 1001; the client is the caller's to close.

        Raises:
            UpstreamError: the upstream did not take part; nothing has been sent to the client.
        """

        def connect(place: Place) -> Awaitable[ClientConnection]:
            return dial(self._pool.upstream, place, head, headers)

        try:
            socket = await self._pool.try_places(connect, UpstreamUnreachable)
        except InvalidStatus as refusal:
            await _pass_on_refusal(refusal.response, send, edit_response)
            return
        pair = _Pair(socket, receive, send)
        try:
            await pair.join(_build_accept(socket, edit_response))
        finally:
            self._close_soon(socket)

    async def close(self) -> None:
        """Wait for the closing handshakes that are going on."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_TIMEOUT)

    def _close_soon(self, socket: ClientConnection) -> None:
        """Tell the upstream that we go, without keeping the client waiting for its reply."""
        if socket.state is State.CLOSED:
            return
        task = asyncio.get_running_loop().create_task(socket.close(GOING_AWAY))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Pair:
    """A client and an upstream, both connected."""

    __slots__ = ("_client_gone", "_receive", "_send", "_socket")

    def __init__(self, socket: ClientConnection, receive: Receive, send: Send) -> None:
        self._socket = socket
        self._receive = receive
        self._send = send
        self._client_gone = False

    async def join(self, accept: Message) -> None:
        """Accept the client, and carry messages until one side ends."""
        try:
            await self._send(accept)
        except OSError:  # what servers raise when the client has hung up
            return
        up = asyncio.get_running_loop().create_task(self._carry_up())
        try:
            await self._carry_down()
            if up.done():
                up.result()  # a fault of the client's side ends here, not in a task nobody looks at
        finally:
            up.cancel()
            up.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _carry_up(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.receive":
                    text = message.get("text")
                    data = message["bytes"] if text is None else text
                    if len(data) > MOST_MESSAGE:
                        await self._socket.close(_TOO_BIG)
                        return
                    await self._socket.send(data)
                elif message["type"] == "websocket.disconnect":
                    self._client_gone = True
                    await self._socket.close(*_read_client_close(message))
                    return
        except ConnectionClosed:
            return  # the other direction tells the client
        except Exception:
            self._client_gone = True
            self._socket.transport.abort()  # wakes the other direction
            raise

    async def _carry_down(self) -> None:
        try:
            while True:
                message = await self._socket.recv()
                kind = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", kind: message})
        except ConnectionClosed as closed:
            if not self._client_gone:
                await self._close_client(closed)
        except OSError:
            self._client_gone = True

    async def _close_client(self, closed: ConnectionClosed) -> None:
        code, reason = INTERNAL_ERROR, ""
        if closed.sent is not None and closed.sent.code == _TOO_BIG:
            code = _TOO_BIG
        elif closed.rcvd is not None:
            code, reason = closed.rcvd.code, closed.rcvd.reason
        message = {"type": "websocket.close", "code": _NORMAL if code == _NO_CODE else code, "reason": reason}
        try:
            await self._send(message)
        except OSError:
            self._client_gone = True


def _read_client_close(message: Message) -> tuple[int, str]:
    """The code and reason to close the upstream with.

    Servers report a lost client as 1005 or 1006 without a reason key, a close frame without a code as 1005
    with one.
    """
    code = message.get("code") or _NO_CODE
    if code == _NO_CODE and "reason" in message:
        return _NORMAL, ""
    if code in {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} or 3000 <= code <= 4999:
        return code, message.get("reason") or ""
    return GOING_AWAY, ""


def _build_accept(socket: ClientConnection, edit_response: EditResponse | None) -> Message:
    fields = read_fields(socket.response, edit_response) if socket.response is not None else []
    return {"type": "websocket.accept", "subprotocol": socket.subprotocol, "headers": fields}


async def _pass_on_refusal(response: Response, send: Send, edit_response: EditResponse | None) -> None:
    """The upstream's own answer to the handshake, through ASGI's `websocket.http.response` extension."""
    if not 200 <= response.status_code <= 599:
        raise UpstreamBroken(f"the answer's status {response.status_code} is not one of HTTP's")
    body = bytes(response.body or b"")
    headers = [*read_fields(response, edit_response), (b"content-length", b"%d" % len(body))]
    try:
        await send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
    except OSError:
        return  # the client has hung up
