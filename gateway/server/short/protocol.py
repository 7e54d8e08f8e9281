"""The HTTP protocol of our own server: a request that may take the short way does.

Nothing of ASGI is built for such a request. Everything else is handed to the app as uvicorn would. WebSockets are all
of this kind: a handshake takes the short way or is refused, so there is one relay for them, the tunnel.
"""

from __future__ import annotations

import asyncio

from gateway.server.client_connection import REST
from gateway.server.protocol import SLACK
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.learned import LearnedBlock
from gateway.server.short.reading import ReadingProtocol
from gateway.upstream.tunnel import Tunnel


class ShortWayProtocol(ReadingProtocol):
    """One client connection, whose requests go straight to the upstream where they can."""

    _outlived = False  # the request in hand began under rules that are no longer in force

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
            elif block.raw and not block.counted and self._phase == REST:
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
