"""uvicorn's HTTP protocol, made strict where it is generous.

1. The raw request target is kept for the gate: uvicorn hands on only the path of an absolute-form target.
2. Trailer fields are dropped knowingly; httptools would append them to the headers the app has already been given
   (RFC 9110 §6.5.1: they must not be merged unless known to be safe).
3. A header block beyond the limit is refused while it arrives, not once it has all been stored (RFC 6585 §5); so is
   whatever else would have to be stored and brings no body: trailers, chunk extensions.
4. A client has only so much time for a head, for the next piece of a body, and to take an answer.
5. One request is in hand at a time. What comes behind it waits unread, as bytes, of which there are no more than one
   read brings; so requests keep their order, and cost what they weigh.
6. A request line or framing that could be read in two ways is refused here, and so is a handshake that is none. After a
   refusal nothing more of the connection is a request. It is closed gently: a client that is still sending gets to
   read why (RFC 9112 §9.6).
7. An upgrade to anything but WebSocket is none: what follows is read as HTTP. A request with an upgrade and a body is
   refused, since the parser would take the body for the new protocol. A check asks for no upgrade, whatever else it
   says: fronts copy `Connection` and `Upgrade` from the visitor's request (RFC 9110 §7.8 lets a server ignore them).
"""

from __future__ import annotations

import asyncio
import urllib.parse
from typing import Any, ClassVar, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.core.challenge import Viewer, find_viewer
from gateway.core.forwarded import unmap
from gateway.core.message_end import CHUNKED, MessageEnd
from gateway.errors import MalformedRequest
from gateway.server.connections import TICK, ConnectionGuard
from gateway.server.cycle import Cycle, Flow, Outlet
from gateway.server.strictness import Refused, asks_for_websocket, check_handshake, check_head
from gateway.web.asgi_head import TARGET_KEY

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
SLACK: Final = 16 * 1024
"""Request line and delimiters may come on top of the header limit."""
LINGER: Final = 5.0
LINGER_BYTES: Final = 64 * 1024 * 1024
"""Seconds for, and bytes of, what a client still sends after it was answered: read and dropped, so that it reads on."""


LARGE_HEAD: Final = 4 * 1024
HEAD_WEIGHT: Final = 6
"""Bytes from which on a head counts as something that waits, and how many times: its path is kept in several forms."""
PATIENCE: Final = 2.0
"""Seconds for which what is pipelined behind an unfinished request is kept."""


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    head: float = 10.0
    body: float = 30.0  # between two pieces
    body_rate: float = 0.0  # bytes a second of a body that takes longer than that; 0: any number
    send: float = 60.0  # without taking anything of what waits for it
    keep_alive: float = 75.0


class StrictHttpProtocol(HttpToolsProtocol):
    """One client connection, whose requests the ASGI app answers."""

    head_limit: ClassVar[int] = 32 * 1024
    timeouts: ClassVar[Timeouts] = Timeouts()
    guard: ConnectionGuard  # of the server
    checks: ClassVar[tuple[bytes, ...]] = ()  # how the targets of forward-auth's checks begin
    cycle: Cycle | None  # type: ignore[assignment]  # uvicorn says that it is always there, and it is not
    flow: Flow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = REST
        self._end_of = MessageEnd()
        self._waiting = b""  # what was read and waits to be parsed
        self._parsed = 0  # bytes of it that were parsed already
        self._waiting_since = 0.0
        self._waits: dict[str, int] = {}  # bytes that wait, by what they are
        self._chunked = False  # whether the body under way is
        self._barren = 0  # bytes of it that brought nothing, or of empty lines before a request
        self._progress = False  # whether some body came with the bytes fed last
        self._to_websocket = False  # the request in hand asks for a WebSocket
        self._upgraded = False  # uvicorn's WebSocket protocol has the connection
        self._came = 0  # bytes of it
        self._body_since = 0.0  # when it began, what we made it wait left out
        self._served = False  # whether there has been a request
        self._since = 0.0  # when the head under way began, the body went on, or the last answer ended
        self._unsent = 0  # bytes that wait for a slow client, and since when they are that many
        self._unsent_since = 0.0
        self._ending = False  # the connection ends, whatever else comes
        self._dropping = False  # nothing more of it is a request
        self._linger_until = 0.0  # when it ends, at the latest; 0: not yet
        self._linger_left = LINGER_BYTES

    # The event loop's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless the address has too many connections already."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._go_on_soon)
        if self.client is not None:
            self.client = unmap(self.client[0]), self.client[1]
        self._since = self.loop.time()
        if not self.guard.admit(self, self.client[0] if self.client else None):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless something waits before it, or nobody wants it any more."""
        if self._ending or self._dropping:
            self._linger_left -= len(data)
            if self._linger_left < 0:
                self.transport.close()
        elif self._waiting:  # in spite of the pause; once, at most
            self._waiting, self._parsed = self._waiting[self._parsed :] + data, 0
        elif self._phase == BODY and self._chunked and self.guard.is_busy:
            self._note_body(len(data))
            self._keep(data, 0)
        else:
            if self._phase == BODY:
                self._note_body(len(data))
            self._parse(data)

    def _note_body(self, size: int) -> None:
        """Note that some of a request body has come."""
        self._since = self.loop.time()
        self._came += size

    def _parse(self, data: bytes, at: int = 0) -> None:
        """Feed the parser with `data`, from `at` up to where the request in hand ends; what is behind it waits."""
        size = len(data)
        while at < size and not self._ending:
            if self._phase == REST:
                if self._to_websocket or not self._may_begin():
                    break
                at = self._begin(data, at)
            elif self.flow.read_paused:
                break
            else:
                at = self._go_on_with(data, at)
                if self._phase == BODY and at < size:
                    break  # so many chunks in one go
        if self._to_websocket and self._phase == REST:
            self._switch(data[at:])
        elif at < size and not self._ending:
            self._keep(data, at)

    def _switch(self, rest: bytes) -> None:
        """Leave the connection to uvicorn's WebSocket protocol; `rest` came behind the handshake."""
        if rest:  # RFC 6455 §4.1
            self._refuse(b"400 Bad Request", b"A WebSocket has nothing to say before it is answered.")
        elif not self._ending:
            self._upgraded = True  # it stays a connection of its address
            self.handle_websocket_upgrade()

    def _begin(self, data: bytes, at: int) -> int:
        """Begin a request; returns how far `data` was read."""
        while at < len(data) and data[at] in b"\r\n":  # RFC 9112 §2.2: empty lines before it are ignored
            at += 1
            self._barren += 1
            if self._barren > SLACK:
                self._refuse(b"400 Bad Request", b"This request cannot be understood.")
                return at
        if at == len(data):
            return at
        self._end_of.begin()
        self._phase = HEAD
        self._since = self.loop.time()
        return self._go_on_with(data, at)

    def _go_on_with(self, data: bytes, at: int) -> int:
        """Feed the parser once; returns how far `data` was read."""
        phase, end_of = self._phase, self._end_of
        try:
            end = self._find_end(data, at)
        except MalformedRequest:
            self.send_400_response("")
            return len(data)
        surplus = end_of.head_bytes - self.head_limit - SLACK if phase == HEAD else 0
        if surplus > 0:
            self._feed(data[at : max(at, end - surplus)])  # who asks may stand there, and so how to answer
            self._refuse(b"431 Request Header Fields Too Large", b"The request headers are too large.")
            return end
        self._progress = False
        self._feed(data[at:end] if end - at < len(data) else data)
        if self._ending:
            return end
        if self._phase != self._phase_after(phase):  # the parser sees another end than we do
            self._drop()
            self.send_400_response("")
        elif phase == BODY:
            self._barren = 0 if self._progress else self._barren + end - at
            if self._barren > self.head_limit + SLACK:
                self.send_400_response("")
        return end

    def _phase_after(self, phase: int) -> int:
        """Return where the parser must stand, once it was fed in `phase` up to the end that was found."""
        if not self._end_of.whole:
            return phase
        return BODY if phase == HEAD and self._end_of.has_body else REST

    def _find_end(self, data: bytes, at: int) -> int:
        if self._phase == HEAD:
            return self._end_of.find_head_end(data, at)
        if self._chunked:
            return self._end_of.find_last_chunk_end(data, at)
        return self._end_of.find_body_end(data, at)

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if not self._to_websocket:
                self._renew_parser()
        except httptools.HttpParserError as error:
            refused = error.__context__
            if isinstance(refused, Refused):
                self._refuse(refused.status, refused.text)
            else:
                self.send_400_response("")
            del refused  # whose traceback leads back here

    def _keep(self, data: bytes, parsed: int) -> None:
        """Keep what is behind the request in hand, and read no more; as it came, not copied for each request."""
        self._waiting, self._parsed = data, parsed
        self._waiting_since = self.loop.time()
        self.flow.fill()
        if self._waits.get("unread") != len(data):
            self._note_waiting(unread=len(data))
        if not self.flow.read_paused and (self._phase != REST or self._may_begin()):
            self._go_on_soon()

    def _go_on_soon(self) -> None:
        self.guard.call_in_turn(self)

    def go_on(self) -> None:
        """Parse what waits, if its time has come."""
        if self.transport.is_closing() or self._ending or self.flow.read_paused:
            return
        if self._phase == REST and not self._may_begin():
            return
        waiting, self._waiting = self._waiting, b""
        if waiting:
            self._parse(waiting, self._parsed)
        if not self._waiting:
            if self._waits:
                self._note_waiting(unread=0)
            self.flow.empty()

    def _note_waiting(self, **sizes: int) -> bool:
        """Note what waits here, by what it is; if all that of its address is too much, the connection ends: False."""
        self._waits |= sizes
        total = sum(self._waits.values())
        if not total:
            self._waits.clear()
        may_wait = self.guard.note_waiting(self, total)
        if not may_wait:
            self._forget_input()  # now: many a connection may be read from before the event loop ends this one
            self.transport.abort()
        return may_wait

    def _forget_input(self) -> None:
        """Let go of what was read."""
        self._waiting = b""
        if self.cycle is not None:
            self.cycle.body = bytearray()

    def _renew_parser(self) -> None:
        """Take a new parser: the old one waits for what will not come."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand, and leave nothing that leads back here."""
        self.guard.discard(self)
        super().connection_lost(exc)
        self._waiting = b""
        self.flow.let_go()
        if self.cycle is not None:
            self.cycle.let_go()
            self.cycle = None

    def pause_writing(self) -> None:
        """The client is slow."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._unsent_since = self.loop.time()
        by_the_app = self.cycle is not None and not self.cycle.response_complete  # which keeps as much again
        self._note_waiting(unsent=2 * self._unsent if by_the_app else self._unsent)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._note_waiting(unsent=0)
        if self._waiting:
            self._go_on_soon()

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin another request; what the app would be given is built once it is clear that the app gets it."""
        if self._phase != HEAD:
            raise Refused(b"400 Bad Request", b"This request cannot be understood.")
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; a trailer field is dropped."""
        if self._phase == HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        self._complete_head()
        self._hand_over()

    def _complete_head(self) -> None:
        """Note that a head is complete. Raises `Refused` for one that could be read in two ways."""
        self._phase = BODY
        self._barren = self._came = 0
        self._body_since = self._since
        self._served = True
        parser, end_of = self.parser, self._end_of
        if end_of.head_bytes > LARGE_HEAD and not self._note_waiting(head=HEAD_WEIGHT * end_of.head_bytes):
            raise Refused(b"503 Service Unavailable", b"Too much waits for this address.")
        version = parser.get_http_version()
        if version == "1.0":  # it knows no 100 (RFC 9110 §10.1.1)
            self.expect_100_continue = False
        method, upgrade = parser.get_method(), parser.should_upgrade()
        length = check_head(end_of.line, method, version, self.headers, upgrade=upgrade)
        self._chunked = length == CHUNKED
        end_of.expect(length)
        heeded = upgrade and not self.url.startswith(self.checks)
        self._to_websocket = heeded and asks_for_websocket(method, version, self.headers)
        if self._to_websocket:
            check_handshake(self.headers)

    def _hand_over(self) -> None:
        """Build what the app is given, and call it."""
        version, method = self.parser.get_http_version(), self.parser.get_method()
        address = httptools.parse_url(self.url)
        raw_path = address.path or b"/"  # an absolute target may have none (RFC 9112 §3.2.2)
        path = raw_path.decode("ascii")
        self.scope = {  # type: ignore[typeddict-unknown-key]
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "path": self.root_path + (urllib.parse.unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": address.query or b"",
            "root_path": self.root_path,
            "headers": self.headers,
            "state": self.app_state.copy(),
            TARGET_KEY: self.url,
        }
        if self._to_websocket and self._should_upgrade_to_ws():
            return
        self._to_websocket = False
        self.cycle = Cycle(
            Outlet(self),
            version,
            scope=self.scope,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _should_upgrade(self) -> bool:
        return self._to_websocket

    def on_body(self, body: bytes) -> None:
        """Pass some of a request body on."""
        self._progress = True
        super().on_body(body)
        if self.flow.read_paused and self.cycle is not None:  # the app is slow, or whom it hands the body to
            self._note_waiting(body=2 * len(self.cycle.body))  # as much may be on its way to the upstream

    def on_message_complete(self) -> None:
        """Tell that a request is complete."""
        self._phase = REST
        self._barren = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        if self._phase == BODY:
            self._drop()  # the body of the request in hand is broken, so it never was a request
        self._refuse(b"400 Bad Request", b"This request cannot be understood.")

    # The clock's side

    def on_response_complete(self) -> None:
        """Wait for the next request, or take the one that waits already."""
        self.server_state.total_requests += 1
        if self._waits:
            self._note_waiting(body=0, head=0)
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self._waiting:
            self._go_on_soon()

    def check(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self._upgraded:  # this object hears no more of the connection
            if self.transport.is_closing():
                self.guard.discard(self)
            return
        timeouts, waited = self.timeouts, now - self._since
        if self.flow.write_paused or self.transport.is_closing():
            self._check_reader(now)
        elif self._waiting and self._phase == REST and not self._is_free():
            if now - self._waiting_since > PATIENCE:
                self._take_no_more()
        elif self._linger_until:
            if now > self._linger_until:
                self.transport.close()
        elif self._phase == BODY:
            if self.flow.read_paused:
                self._body_since += TICK  # it is us who are slow
            elif waited > timeouts.body or self._is_too_slow(now):
                self._give_up_body()
        elif self._phase == HEAD:
            if waited > timeouts.head:
                self._refuse(b"408 Request Timeout", b"The request headers took too long.")
        elif self._is_free() and waited > (timeouts.keep_alive if self._served else timeouts.head):
            self.transport.close()

    def _take_no_more(self) -> None:
        """Drop what is pipelined behind a request that takes long, and end the connection with its answer.

        A connection that is not read from does not tell that its client has left. Who pipelines asks anew for what is
        not answered (RFC 9112 §9.3.2).
        """
        self._dropping = True
        self._waiting = b""
        self._note_waiting(unread=0)
        self._last_of_connection()
        self.flow.empty()

    def _last_of_connection(self) -> None:
        """Have the connection end with the answer in hand."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _is_too_slow(self, now: float) -> bool:
        """Whether a body comes at less than the least rate, once it has taken the time of a pause."""
        rate = self.timeouts.body_rate
        return rate > 0 and now - self._body_since > self.timeouts.body + self._came / rate

    def _give_up_body(self) -> None:
        self._drop()
        self._refuse(b"408 Request Timeout", b"The request body took too long.")

    def _check_reader(self, now: float) -> None:
        """End a client that takes nothing of what waits for it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif unsent and now - self._unsent_since > self.timeouts.send:
            self.transport.abort()

    # Ends

    def _is_free(self) -> bool:
        """Whether no other request is in hand."""
        return self.cycle is None or self.cycle.response_complete

    def _may_begin(self) -> bool:
        """Whether another request may be taken: not before the client has taken the last answer."""
        return self._is_free() and not self.flow.write_paused

    def _drop(self) -> None:
        """Give up the request in hand; what was answered of it so far must not look complete."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        answering = cycle.response_started
        cycle.give_up()
        if answering:
            self.transport.close()

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Refuse what came last; everything before it is answered."""
        if self.transport.is_closing() or self._ending:
            return
        # of what was refused, some fields may have been read: they tell who sees this
        shown = find_viewer(self.headers or ()) is not Viewer.PROGRAM
        kind, body = (b"text/html", _REFUSAL_PAGE % (text, text)) if shown else (b"text/plain", text + b"\n")
        self.transport.write(_REFUSAL % (status, kind, len(body), body))
        self._end()

    def end_answer(self) -> None:
        """Close, after what was written: gently, if that was a whole answer."""
        if self.cycle is not None and self.cycle.response_complete:
            self._end()
        else:
            self.transport.close()

    def _end(self) -> None:
        """End the connection after what was written.

        Where the client is still sending, what it sends is dropped for a while: to close on it at once is a reset,
        which takes the answer away before it was read (RFC 9112 §9.6).
        """
        at_rest = self._phase == REST and not (self._waiting or self._dropping)
        self._ending = True
        self._waiting = b""
        self.headers = []  # of a head that is refused, and may be large: the connection may stay for a while
        self._renew_parser()
        if at_rest or self.transport.is_closing():
            self.transport.close()
            return
        self._linger_until = self.loop.time() + LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.read_paused = False
        self.flow.empty()
        self.transport.resume_reading()
