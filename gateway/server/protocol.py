"""uvicorn's HTTP protocol, made strict where it is generous, and with a short way for the common request.

1. The raw request target is kept for the gate: uvicorn hands on only the path of an absolute-form target.
2. Trailer fields are dropped knowingly; httptools would append them to the headers the app has already been given
   (RFC 9110 §6.5.1: they must not be merged unless known to be safe).
3. A header block beyond the limit is refused while it arrives, not once it has all been stored (RFC 6585 §5).
4. A client has only so much time for a head, for the next piece of a body, and to take an answer.
5. A request that may take the fast path does; nothing of ASGI is built for it. Everything else is handed to the app as
   uvicorn would. One request is in hand at a time: what is pipelined behind it queues as uvicorn's pipeline does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.server.connections import ConnectionGuard
from gateway.server.fast_exchange import FastExchange
from gateway.server.fast_path import FastPath
from gateway.server.known import KnownBlock
from gateway.upstream.tunnel import Tunnel
from gateway.web.scope import TARGET_KEY

_REFUSAL: Final = (
    b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
    b"cache-control: no-store\r\nconnection: close\r\n\r\n%s"
)
_SLACK: Final = 16 * 1024
"""Request line and delimiters may come on top of the header limit."""
LARGE: Final = 64 * 1024
"""Bytes of a counted body from which on it goes past the parser."""
_LINGER: Final = 2.0
"""Seconds in which a client may stop sending a body that nobody wants any more, and read the answer."""


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    head: float = 10.0
    body: float = 30.0  # between two pieces
    send: float = 60.0  # without taking anything of what waits for it
    keep_alive: float = 75.0


class StrictHttpProtocol(HttpToolsProtocol):
    """One client connection."""

    head_limit: ClassVar[int] = 32 * 1024
    timeouts: ClassVar[Timeouts] = Timeouts()
    guard: ConnectionGuard  # of the server
    fast_path: ClassVar[FastPath | None] = None
    _dated: ClassVar[tuple[object, bytes]] = (None, b"")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._exchange: FastExchange | None = None  # the request in hand, if it is on the fast path
        self._body_taker: Callable[..., None] | None = None  # where the body under way goes; None: to the app
        self._keep_alive = True
        self._known: KnownBlock | None = None  # of the last request; only while the connection is at rest
        self._alone = False  # whether the request head came whole in one read, and nothing with it
        self._upgraded = False  # uvicorn's WebSocket protocol has the connection
        self._straight = False  # the body of the request in hand goes past the parser
        self._to_websocket = False  # the request in hand asks for a WebSocket
        self._early = b""  # what came after it
        self._served = False  # whether there has been a request
        self._since = 0.0  # when the head under way began, the body went on, or the last answer ended
        self._unsent = 0  # bytes that wait for a slow client, and since when they are that many
        self._unsent_since = 0.0
        self._ending = False  # the connection ends, whatever else comes

    # The event loop's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless the address has too many connections already."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if not self.guard.admit(self, self.client[0] if self.client else None):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a request of a known kind at once; feed the parser with anything else."""
        known, self._known = self._known, None
        if known is not None and data.endswith(known.block) and self._take_known(known, data):
            return
        if self._straight:
            self._take_straight(data)
            return
        self._alone = False
        if self._to_websocket:
            self._keep_for_tunnel(data)
            return
        if not self._head_bytes:  # a head that trickles in is not given more time
            self._since = self.loop.time()
        if self._in_head:
            if not self._head_bytes and data.endswith(b"\r\n\r\n") and self._take_whole(data):
                return
            self._head_bytes += len(data)
        super().data_received(data)
        if self._exchange is not None:
            self._exchange.flush()
            self._straight = self._body_taker is not None and self._exchange.body_left >= LARGE
        if self._in_head and self._head_bytes > self.head_limit + _SLACK and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", b"The request headers are too large.")

    def _take_whole(self, data: bytes) -> bool:
        """Take a request that came whole, with nothing after it, if its header block is of the plain kind."""
        end = data.find(b"\r\n")
        if data.find(b"\r\n\r\n", end) != len(data) - 4:
            return False
        self._alone = True
        if self.fast_path is None or not self._is_free() or self._ending:
            return False
        known = self.fast_path.read_block(data[end:], self.client[0] if self.client else None, self.scheme or "http")
        return known is not None and self._take_known(known, data)

    def _take_known(self, known: KnownBlock, data: bytes) -> bool:
        exchange = self.fast_path.take_known(self, known, data[: -len(known.block)])  # type: ignore[union-attr]
        if exchange is None:
            return False
        if not exchange.done:
            self._exchange = exchange
        self._keep_alive = self._served = True
        return True

    def _take_straight(self, data: bytes) -> None:
        """Pass on some of a large counted body, past the parser, which would only copy it."""
        exchange = self._exchange
        if exchange is None or exchange.done:  # answered before its end: nobody wants the rest
            return
        self._since = self.loop.time()
        left = exchange.body_left
        if len(data) < left:
            exchange.take_body(data, last=False)
            exchange.flush()
            return
        self._straight = False
        self.parser = httptools.HttpRequestParser(self)  # the old one still waits for this body
        exchange.take_body(data[:left], last=False)
        self.on_message_complete()
        exchange.flush()
        if len(data) > left:
            self.data_received(data[left:])

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand."""
        self.guard.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is slow."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._unsent_since = self.loop.time()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self.release()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket protocol; it stays one of its address."""
        if self._exchange is not None:
            return  # there will be a tunnel, once the upstream agrees
        self._upgraded = True
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """End after the request in hand."""
        if self._exchange is not None:
            self._keep_alive = False
        else:
            super().shutdown()

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin another request; what the app would be given is built once it is clear that the app gets it."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; a trailer field is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take the request onto the fast path, or hand it to the app."""
        self._in_head = False
        self._head_bytes = 0
        self._served = True
        self._body_taker = None
        exchange = self._take() if self._is_free() else None
        if exchange is None:
            self._hand_over()
            return
        self._exchange = exchange
        self._body_taker = exchange.take_body
        self._keep_alive = self.parser.should_keep_alive() and not self._to_websocket

    def on_body(self, body: bytes) -> None:
        """Pass some of a request body on."""
        if self._body_taker is not None:
            self._body_taker(body, last=False)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell that a request is complete."""
        self._in_head = True
        self._head_bytes = 0
        if self._body_taker is None:
            super().on_message_complete()
            return
        self._body_taker(b"", last=True)
        self._body_taker = None
        if self._ending and self._exchange is None:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        if not self._in_head:
            self._drop()  # the body of the request in hand is broken, so it never was a request
        self._refuse(b"400 Bad Request", b"This request cannot be understood.")

    # The exchange's side

    def own_fields(self) -> bytes:
        """Return the lines of a response head that are the server's own."""
        headers = self.server_state.default_headers
        if self._dated[0] is not headers:  # made anew every second
            type(self)._dated = headers, b"".join([b"%b: %b\r\n" % field for field in headers])
        # an answer before the request has ended: whatever follows of it is nobody's (RFC 9112 §9.3)
        stays = self._keep_alive and self._body_taker is None
        return self._dated[1] if stays else self._dated[1] + b"connection: close\r\n"

    def hold(self) -> None:
        """Take no more of the request body for now."""
        self.flow.pause_reading()

    def release(self) -> None:
        """Take more of it; of the next request only when the client has taken the last answer."""
        if not self.pipeline and (self._exchange is not None or not self.flow.write_paused):
            self.flow.resume_reading()

    def finish(self, known: KnownBlock, *, whole: bool) -> None:
        """Go on with what was pipelined, wait for the next request, or close."""
        self._exchange = None
        if self.transport.is_closing():
            return
        if not whole or (not self._keep_alive and self._body_taker is None):
            self.transport.close()
        elif self._body_taker is not None:  # an early answer: whatever is still sent is nobody's
            self._ending = True
            self.release()
            self.loop.call_later(_LINGER, self.transport.close)
        elif self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._since = self.loop.time()
            flow = self.flow
            if flow.write_paused:
                self.hold()
            elif flow.read_paused:
                self.release()
            if known.block and not self._head_bytes and not self._ending:
                self._known = known

    # The clock's side

    def on_response_complete(self) -> None:
        """Wait for the next request, by our own clock instead of uvicorn's."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._since = self.loop.time()

    def check(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self._upgraded:  # this object hears no more of the connection
            if self.transport.is_closing():
                self.guard.discard(self)
            return
        if self.transport.is_closing():
            return
        timeouts, waited = self.timeouts, now - self._since
        if self.flow.write_paused:
            self._check_reader(now)
        elif not self._in_head:
            if waited > timeouts.body and not self.flow.read_paused and not self._is_free():
                self._drop()
                self._refuse(b"408 Request Timeout", b"The request body took too long.")
        elif self._head_bytes:
            if waited > timeouts.head:
                self._refuse(b"408 Request Timeout", b"The request headers took too long.")
        elif self._is_free() and waited > (timeouts.keep_alive if self._served else timeouts.head):
            self.transport.close()

    def _check_reader(self, now: float) -> None:
        """End a client that takes nothing of what waits for it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self.timeouts.send:
            self.transport.abort()

    def leave_to(self, tunnel: Tunnel) -> bytes:
        """Hand the connection over for good; returns what has been received since the request."""
        self.connections.discard(self)
        self.guard.replace(self, tunnel)
        self._exchange = None
        self.parser = None  # type: ignore[assignment]  # it refers back to this object
        return self._early

    def _keep_for_tunnel(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > _SLACK:  # nobody may say much before the other end has agreed
            self.transport.abort()

    # Both ways

    def _is_free(self) -> bool:
        """Whether no other request is in hand."""
        return self._exchange is None and not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _take(self) -> FastExchange | None:
        parser = self.parser
        if self.fast_path is None or self.expect_100_continue or self._ending or parser.get_http_version() != "1.1":
            return None
        websocket = parser.should_upgrade()
        if websocket and not self._may_tunnel(parser.get_method()):
            return None
        exchange = self.fast_path.take(
            self,
            method=parser.get_method().decode("ascii"),
            scheme=self.scheme or "http",
            target=self.url,
            headers=self.headers,
            peer=self.client[0] if self.client else None,
            websocket=websocket,
        )
        self._to_websocket = websocket and exchange is not None
        return exchange

    def _may_tunnel(self, method: bytes) -> bool:
        """Whether this is a WebSocket handshake as it should be (RFC 6455 §4.1), alone in its read."""
        if method != b"GET" or not self._alone or self._get_upgrade() != b"websocket":
            return False
        names = [name for name, _ in self.headers]
        return names.count(b"sec-websocket-key") == 1 and names.count(b"upgrade") == 1

    def _hand_over(self) -> None:
        """Build what uvicorn would have built from the start, and go on as it does."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self.scope[TARGET_KEY] = self.url  # type: ignore[typeddict-unknown-key]

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._exchange is None:
            super()._start_asgi_task(cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def _drop(self) -> None:
        """Give up the request in hand; what was answered of it so far must not look complete."""
        answering = False
        if self._exchange is not None:
            answering = self._exchange.answering
            self._exchange.abandon()
            self._exchange = None
        elif self.cycle is not None and not self.cycle.response_complete:
            answering = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.response_complete = True
            self.cycle.message_event.set()
        if answering:
            self.transport.close()

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Refuse what came last, once everything before it is answered."""
        if self.transport.is_closing():
            return
        if not self._is_free():
            self._ending = True
            self._keep_alive = False
            for cycle in (self.cycle, *(cycle for cycle, _ in self.pipeline)):
                if cycle is not None:
                    cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self.transport.write(_REFUSAL % (status, len(text) + 1, text + b"\n"))
        self.transport.close()
