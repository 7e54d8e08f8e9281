"""uvicorn's HTTP protocol, made strict where it is generous: what two programs could read in two ways is refused.

HTTP request smuggling (desync) lives on that. `client_connection` has the other half: how long a client may take, and
how its connection ends.

1. The raw request target is kept for the gate: uvicorn hands on only the path of an absolute-form target.
2. Trailer fields are dropped knowingly; httptools would append them to the headers the app has already been given
   (RFC 9110 §6.5.1: they must not be merged unless known to be safe).
3. A header block beyond the limit is refused while it arrives, not once it has all been stored (RFC 6585 §5); so is
   whatever else would have to be stored and brings no body: trailers, chunk extensions.
4. One request is in hand at a time. What comes behind it (pipelining) waits unread, as bytes, of which there are no
   more than one read brings; so requests keep their order, and cost what they weigh.
5. A request line or framing that could be read in two ways is refused here, and so is a handshake that is none. After a
   refusal nothing more of the connection is a request.
6. An upgrade to anything but WebSocket is none: what follows is read as HTTP. A request with an upgrade and a body is
   refused, since the parser would take the body for the new protocol. A check asks for no upgrade, whatever else it
   says: fronts copy `Connection` and `Upgrade` from the visitor's request (RFC 9110 §7.8 lets a server ignore them).
"""

from __future__ import annotations

import urllib.parse
from typing import Any, ClassVar, Final

import httptools

from gateway.core.message_end import CHUNKED, MessageEnd
from gateway.errors import GatewayError, MalformedRequest
from gateway.server.client_connection import BODY, HEAD, REST, ClientConnection
from gateway.server.cycle import Cycle, Outlet
from gateway.server.refusal import Refused
from gateway.server.strictness import asks_for_websocket, check_handshake, check_head
from gateway.telemetry.logs import log
from gateway.web.asgi_head import TARGET_KEY

SLACK: Final = 16 * 1024
"""Request line and delimiters may come on top of the header limit."""
LARGE_HEAD: Final = 4 * 1024
HEAD_WEIGHT: Final = 6
"""Bytes from which on a head counts as something that waits, and how many times: its path is kept in several forms."""
_OF_THE_CLIENT: Final = (httptools.HttpParserError, GatewayError, ValueError)
"""What is raised while a head is read because of what stands there; anything else is a fault of ours."""


class StrictHttpProtocol(ClientConnection):
    """One client connection, whose requests the ASGI app answers."""

    head_limit: ClassVar[int] = 32 * 1024
    checks: ClassVar[tuple[bytes, ...]] = ()  # how the targets of forward-auth's checks begin

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end_of = MessageEnd()
        self._parsed = 0  # bytes of what waits that were parsed already
        self._chunked = False  # whether the body under way is
        self._barren = 0  # bytes of it that brought nothing, or of empty lines before a request
        self._progress = False  # whether some body came with the bytes fed last
        self._to_websocket = False  # the request in hand asks for a WebSocket

    # The event loop's side

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
            cause = error.__context__
            if isinstance(cause, Refused):
                self._refuse(cause.status, cause.text)
            elif cause is None or isinstance(cause, _OF_THE_CLIENT):
                self.send_400_response("")
            else:
                log.error("bug", exc_info=cause)
                self._refuse(b"500 Internal Server Error", b"Something went wrong here.")
            del cause  # whose traceback leads back here

    def _keep(self, data: bytes, parsed: int) -> None:
        """Keep what is behind the request in hand, and read no more; as it came, not copied for each request."""
        self._waiting, self._parsed = data, parsed
        self._waiting_since = self.loop.time()
        self.flow.fill()
        if self._waits.get("unread") != len(data):
            self._note_waiting(unread=len(data))
        if not self.flow.read_paused and (self._phase != REST or self._may_begin()):
            self._go_on_soon()

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

    def _should_upgrade(self) -> bool:  # uvicorn asks, before it takes what follows for a body
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
