"""The HTTP protocol of our own server: a request that may take the short way does.

Nothing of ASGI is built for such a request. Everything else is handed to the app as uvicorn would. WebSockets are all
of this kind: a handshake takes the short way or is refused, so there is one relay for them, the tunnel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final

from gateway.server.client_connection import REST
from gateway.server.protocol import SLACK
from gateway.server.short.asking import ChecksProtocol
from gateway.server.short.entry import ShortWay
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.learned import LearnedBlock
from gateway.upstream.tunnel import Tunnel

LARGE: Final = 64 * 1024
"""Bytes of a counted body from which on it goes past the parser."""


class ShortWayProtocol(ChecksProtocol):
    """One client connection, whose requests go straight to the upstream where they can."""

    short_way: ClassVar[ShortWay]
    _outlived = False  # the request in hand began under rules that are no longer in force

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange: ShortExchange | None = None  # the request in hand, if it is on the short way
        self._body_taker: Callable[..., None] | None = None  # where the body under way goes; None: to the app
        self._keep_alive = True
        self._block: LearnedBlock | None = None  # of the last request; only while the connection is at rest
        self._straight = False  # the body of the request in hand goes past the parser
        self._early = b""  # what came after a request for a WebSocket

    # The event loop's side

    def data_received(self, data: bytes) -> None:
        """Take a request with a learned header block at once; feed the parser with anything else."""
        block, self._block = self._block, None
        if block is not None and data.endswith(block.raw) and self._take_learned(block, data):
            return
        if self._ending or self._waiting or self._dropping:
            super().data_received(data)
        elif self._straight:
            self._take_straight(data)
        elif self._to_websocket:
            self._keep_for_tunnel(data)
        elif self._phase != REST or not self._take_whole(data):
            super().data_received(data)

    def _parse(self, data: bytes, at: int = 0) -> None:
        super()._parse(data, at)
        if self._exchange is not None:
            self._exchange.flush()
            body = self._exchange.body
            self._straight = self._body_taker is not None and body is not None and body.left >= LARGE

    def _take_learned(self, block: LearnedBlock, data: bytes) -> bool:
        exchange = self.short_way.take_learned(self, block, data[: -len(block.raw)])
        if exchange is None:
            return False
        if not exchange.done:
            self._exchange = exchange
        self._keep_alive = self._served = True
        return True

    def _take_whole(self, data: bytes) -> bool:
        """Take a request that came whole, with nothing after it, if its header block is of the plain kind."""
        if self.asked is not None and data.startswith(self.asked.begins):
            return False
        end = data.find(b"\r\n")
        if data.find(b"\r\n\r\n", end) != len(data) - 4 or not self._may_begin():
            return False
        block = self.short_way.read_block(data[end:], self.peer, self.scheme or "http")
        return block is not None and self._take_learned(block, data)

    def _take_straight(self, data: bytes) -> None:
        """Pass on some of a large counted body, past the parser, which would only copy it."""
        exchange = self._exchange
        if exchange is None or exchange.body is None or exchange.done:  # the connection is about to end
            return
        self._note_body(len(data))
        left = exchange.body.left
        if len(data) < left:
            exchange.take_body(data, last=False)
            exchange.flush()
            return
        self._straight = False
        self._renew_parser()  # the old one still waits for this body
        exchange.take_body(data[:left], last=False)
        self.on_message_complete()
        exchange.flush()
        if len(data) > left:
            self._parse(data, left)

    @property
    def under_way(self) -> ShortExchange | None:
        """The request in hand, if it is on the short way."""
        return self._exchange

    def forget(self) -> None:
        """Have the next request judged anew, whatever it is like."""
        self._block = None
        self._outlived = self._exchange is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; whoever ends requests finds the one in hand."""
        super().connection_made(transport)
        self.short_way.live.carriers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        self._body_taker = None
        self.short_way.live.carriers.discard(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is slow: so must the upstream be."""
        super().pause_writing()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self.release()

    def _switch(self, rest: bytes) -> None:
        """There will be a tunnel, once the upstream agrees; `rest` came behind the handshake."""
        self._keep_for_tunnel(rest)

    def shutdown(self) -> None:
        """End after the request in hand."""
        if self._exchange is not None:
            self._keep_alive = False
        else:
            super().shutdown()

    # The parser's side

    def on_headers_complete(self) -> None:
        """Take the request onto the short way, or hand it to the app."""
        self._complete_head()
        self._body_taker = None
        exchange = self._take()
        if exchange is None:
            self._hand_over()
            return
        self._exchange = exchange
        self._body_taker = exchange.take_body
        self._keep_alive = self.parser.should_keep_alive() and not self._to_websocket

    def _take(self) -> ShortExchange | None:
        parser = self.parser
        if parser.get_http_version() != "1.1" or (self.expect_100_continue and not self._to_websocket):
            return None
        return self.short_way.take(
            self,
            method=parser.get_method().decode("ascii"),
            scheme=self.scheme or "http",
            target=self.url,
            headers=self.headers,
            peer=self.peer,
            websocket=self._to_websocket,
        )

    def _should_upgrade_to_ws(self) -> bool:
        return False  # whatever the server is configured to take

    def on_body(self, body: bytes) -> None:
        """Pass some of a request body on."""
        if self._body_taker is not None:
            self._progress = True
            self._body_taker(body, last=False)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell that a request is complete."""
        if self._body_taker is None:
            super().on_message_complete()
            return
        self._phase = REST
        self._barren = 0
        self._body_taker(b"", last=True)
        self._body_taker = None

    # The exchange's side

    def own_fields(self) -> bytes:
        """Return the lines of a response head that are the server's own."""
        # an answer before the request has ended: whatever follows of it is nobody's (RFC 9112 §9.3)
        stays = self._keep_alive and self._body_taker is None
        return self.date_field() if stays else self.date_field() + b"connection: close\r\n"

    def hold(self, waiting: int = 0) -> None:
        """Take no more of the request body for now: so many bytes of it wait for the upstream."""
        self.flow.pause_reading()
        self._note_waiting(body=waiting)

    def release(self) -> None:
        """Take more of it; of the next request only when the client has taken the last answer."""
        if self._waits:
            self._note_waiting(body=0, head=0)
        if self._exchange is not None or not self.flow.write_paused:
            self.flow.resume_reading()

    def finish(self, block: LearnedBlock, *, whole: bool) -> None:
        """Go on with what was pipelined, wait for the next request, or close."""
        self._exchange = None
        if self.transport.is_closing():
            return
        if not whole:
            self.transport.close()
        elif not self._keep_alive or self._body_taker is not None:  # the latter: an early answer
            self._end()
        else:
            self._since = self.loop.time()
            flow = self.flow
            if flow.write_paused:
                self.hold()
            elif flow.read_paused or self._waits:
                self.release()
            if self._waiting:
                self._go_on_soon()
            elif self._outlived:
                self._outlived = False
            elif block.raw and self._phase == REST:
                self._block = block

    def leave_to(self, tunnel: Tunnel) -> bytes:
        """Hand the connection over for good; returns what has been received since the request."""
        self.connections.discard(self)
        self.short_way.live.carriers.discard(self)
        self.guard.replace(self, tunnel)
        self._exchange = None
        self.parser = None  # type: ignore[assignment]  # it refers back to this object
        return self._early

    def _keep_for_tunnel(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > SLACK:  # nobody may say much before the other end has agreed
            self.transport.abort()

    # Both ways

    def _is_free(self) -> bool:
        return self._exchange is None and super()._is_free()

    def _forget_input(self) -> None:
        super()._forget_input()
        if self._exchange is not None and self._exchange.body is not None:
            self._exchange.body.take()

    def _last_of_connection(self) -> None:
        self._keep_alive = False
        super()._last_of_connection()

    def _drop(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            super()._drop()
            return
        answering = exchange.answering
        exchange.abandon()
        if answering:
            self.transport.close()
