"""uvicorn's HTTP protocol, made strict where it is generous.

1. The raw request target is kept for the gate: uvicorn hands on only the path of an absolute-form target.
2. Trailer fields are dropped knowingly; httptools would append them to the headers the app has already been given
   (RFC 9110 §6.5.1: they must not be merged unless known to be safe).
3. A header block beyond the limit is refused while it arrives, not once it has all been stored (RFC 6585 §5); so is
   whatever else would have to be stored and brings no body: trailers, chunk extensions.
4. A client has only so much time for a head, for the next piece of a body, and to take an answer.
5. What cannot be parsed is refused only once everything before it is answered: pipelined requests keep their order, and
   are read no faster than they are answered. Once the connection is to end, nothing more of it is a request.
6. An upgrade to anything but WebSocket is none: what follows is read as HTTP. A request with an upgrade and a body is
   refused, since the parser would take the body for the new protocol.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.core.challenge import Viewer, find_viewer
from gateway.server.connections import ConnectionGuard
from gateway.web.scope import TARGET_KEY

REST, HEAD, BODY = range(3)
"""Where the parser stands: between two requests, or within the head or the body of one."""
_REFUSAL: Final = (
    b"HTTP/1.1 %s\r\ncontent-type: %s; charset=utf-8\r\ncontent-length: %d\r\n"
    b"cache-control: no-store\r\nconnection: close\r\n\r\n%s"
)
_REFUSAL_PAGE: Final = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    b'<meta name="color-scheme" content="light dark"><title>%s</title><h1>%s</h1>'
    b'<p><a href="/" target="_top">Back to the start page</a></p>\n'
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
SLACK: Final = 16 * 1024
"""Request line and delimiters may come on top of the header limit."""


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    head: float = 10.0
    body: float = 30.0  # between two pieces
    send: float = 60.0  # without taking anything of what waits for it
    keep_alive: float = 75.0


class Refused(Exception):
    """Raised within the parser: the request is refused with this status line and text."""

    def __init__(self, status: bytes, text: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.text = text


class Ended(Exception):
    """Raised within the parser: the connection ends, and nothing more of it is read."""


class _UntilClose(int):
    """A Content-Length that every body has, for an answer that ends with its connection (RFC 9112 §6.3)."""

    def __lt__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __sub__(self, other: object) -> _UntilClose:
        return self

    __hash__ = int.__hash__


_UNTIL_CLOSE: Final = _UntilClose()


class StrictHttpProtocol(HttpToolsProtocol):
    """One client connection, whose requests the ASGI app answers."""

    head_limit: ClassVar[int] = 32 * 1024
    timeouts: ClassVar[Timeouts] = Timeouts()
    guard: ConnectionGuard  # of the server

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = REST
        self._head_bytes = 0  # of the head under way, as far as they came in reads that held nothing else
        self._barren = 0  # bytes of a body under way that brought nothing of it
        self._progress = False  # whether a head was completed or some body came in the read under way
        self._upgraded = False  # uvicorn's WebSocket protocol has the connection
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
        """Feed the parser, unless too much has come that it would have to keep."""
        if self._ending and self._phase != BODY:
            return
        if self._phase != HEAD:  # a head that trickles in is not given more time
            self._since = self.loop.time()
        self._progress = False
        self._feed(data)
        limit = self.head_limit + SLACK
        if self._phase == HEAD:
            self._head_bytes += 0 if self._progress else len(data)
            if self._head_bytes > limit:
                self._refuse(b"431 Request Header Fields Too Large", b"The request headers are too large.")
        elif self._phase == BODY:
            self._barren = 0 if self._progress else self._barren + len(data)
            if self._barren > limit:
                self.send_400_response("")

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            match error.__context__:
                case Refused() as refused:
                    self._refuse(refused.status, refused.text)
                case Ended():
                    pass
                case _:
                    self.send_400_response("")

    def _upgrade(self, rest: bytes) -> None:
        """Go on after a request that asks for another protocol; `rest` is what came behind it."""
        if self._should_upgrade():
            if rest:  # RFC 6455 §4.1
                self._refuse(b"400 Bad Request", b"A WebSocket has nothing to say before it is answered.")
            else:
                self.handle_websocket_upgrade()
            return
        self._renew_parser()
        if rest:
            self._feed(rest)

    def _renew_parser(self) -> None:
        """Take a new parser: the old one waits for what will not come."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand."""
        self.guard.discard(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client is slow."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._unsent_since = self.loop.time()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket protocol; it stays one of its address."""
        self._upgraded = True
        super().handle_websocket_upgrade()

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin another request."""
        self._begin_message()
        super().on_message_begin()

    def _begin_message(self) -> None:
        if self._ending:
            raise Ended
        self._phase = HEAD
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; a trailer field is dropped."""
        if self._phase == HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app, with its target as it was received."""
        self._complete_head()
        super().on_headers_complete()
        self.scope[TARGET_KEY] = self.url  # type: ignore[typeddict-unknown-key]
        if self.parser.get_http_version() == "1.0" and self.cycle is not None:  # it knows no chunks (RFC 9112 §6.1)
            self.cycle.chunked_encoding = False
            self.cycle.expected_content_length = _UNTIL_CLOSE

    def _complete_head(self) -> None:
        self._phase = BODY
        self._barren = 0
        self._progress = True
        self._served = True
        if self.parser.get_method() == b"CONNECT":  # asks for a tunnel; its target is no path (RFC 9110 §9.3.6)
            raise Refused(b"405 Method Not Allowed\r\nallow: GET, HEAD, POST", b"CONNECT is not allowed here.")
        if self.parser.should_upgrade() and any(name in _FRAMING for name, _ in self.headers):
            raise Refused(b"400 Bad Request", b"An upgrade cannot have a body.")

    def on_body(self, body: bytes) -> None:
        """Pass some of a request body on."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Tell that a request is complete."""
        self._phase = REST
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        if self._phase == BODY:
            self._drop()  # the body of the request in hand is broken, so it never was a request
        self._refuse(b"400 Bad Request", b"This request cannot be understood.")

    # The clock's side

    def on_response_complete(self) -> None:
        """Wait for the next request, by our own clock instead of uvicorn's."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._since = self.loop.time()
        if self.pipeline:  # uvicorn would read on whenever one of them is answered
            self.flow.pause_reading()

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
        elif self._phase == BODY:
            if waited > timeouts.body and not self.flow.read_paused:
                self._give_up_body()
        elif self._phase == HEAD:
            if waited > timeouts.head:
                self._refuse(b"408 Request Timeout", b"The request headers took too long.")
        elif self._is_free() and waited > (timeouts.keep_alive if self._served else timeouts.head):
            self.transport.close()

    def _give_up_body(self) -> None:
        if self._is_free():  # it is answered already
            self.transport.close()
        else:
            self._drop()
            self._refuse(b"408 Request Timeout", b"The request body took too long.")

    def _check_reader(self, now: float) -> None:
        """End a client that takes nothing of what waits for it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self.timeouts.send:
            self.transport.abort()

    # Ends

    def _is_free(self) -> bool:
        """Whether no other request is in hand."""
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _drop(self) -> None:
        """Give up the request in hand; what was answered of it so far must not look complete."""
        if self.cycle is None or self.cycle.response_complete:
            return
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
            self._end_after_answers()
            return
        self._ending = True
        # of what was refused, some fields may have been read: they tell who sees this
        shown = find_viewer(self.headers or ()) is not Viewer.PROGRAM
        kind, body = (b"text/html", _REFUSAL_PAGE % (text, text)) if shown else (b"text/plain", text + b"\n")
        self.transport.write(_REFUSAL % (status, kind, len(body), body))
        self.transport.close()

    def _end_after_answers(self) -> None:
        self._ending = True
        for cycle in (self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.keep_alive = False
        self.flow.pause_reading()
