"""What the upstream answers: reads one response at a time, and judges its framing.

Rules
- 1xx answers are passed over (RFC 9110 §15.2); 101 is refused where no WebSocket was asked for.
- An answer to HEAD, a 204 and a 304 have no body, whatever their headers say (RFC 9112 §6.3).
- Ambiguous framing (desync, the smuggling of responses) is refused: Content-Length with Transfer-Encoding, two
  lengths, any coding but exactly "chunked", a coding on HTTP/1.0 (RFC 9112 §6.1). Trailers are dropped: nobody looked
  at them when the head was judged.
- A body without a length or a coding ends where the connection ends (RFC 9112 §6.3).

Sans-IO: bytes go in through `feed`, events come out at the sink, which is called in the same call stack.
"""

from __future__ import annotations

from typing import Final, Protocol

import httptools

from gateway.core.response import (
    BINDING,
    CODING,
    CONNECTION,
    LENGTH,
    AnswerField,
    AnswerHead,
    has_no_body,
    read_answer_head,
    read_field,
)
from gateway.errors import UpstreamBroken, UpstreamError

HEAD_LIMIT: Final = 64 * 1024  # bytes of header block, all 1xx answers before it included


class ResponseSink(Protocol):
    """Takes the events of one exchange. Called from the transport's callbacks: it must not block."""

    @property
    def holder(self) -> str:
        """Whose request it is: a client address, or its network; "" for nobody's in particular."""

    def on_whole(self, head: AnswerHead, body: bytes) -> None:
        """The whole answer came at once: nothing else will. The connection is no longer ours."""

    def on_head(self, status: int, fields: list[AnswerField], length: int) -> None:
        """The final head. Hop-by-hop fields are still there. `length` of the body in bytes; -1: not counted."""

    def on_body(self, data: bytes) -> None:
        """Some of the body, without its framing; never empty."""

    def on_end(self, error: UpstreamError | None) -> None:
        """The last event: the answer is whole, or why it is not. The connection is no longer ours."""

    def on_switch(self, rest: bytes) -> None:
        """The upstream speaks WebSocket from now on, as was asked; `rest` is what it has said already."""

    def on_flush(self) -> None:
        """One read of the socket has been told in full: the time to act on it."""

    def on_tick(self) -> None:
        """The exchange is still going on; called about once a second."""

    def on_full(self) -> None:
        """The upstream is slow to take the request: write no more until `on_drained`."""

    def on_drained(self) -> None:
        """The upstream takes more of the request."""


class ResponseReader:
    """Reads the responses of one connection, one after the other."""

    __slots__ = (
        "_fields",
        "_head_bytes",
        "_head_request",
        "_interim",
        "_left",
        "_parser",
        "_sink",
        "_spoilt",
        "_upgrade",
        "complete",
        "head_done",
        "keep_alive",
        "received",
        "rest",
        "surplus",
        "switched",
        "until_close",
    )

    _sink: ResponseSink

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self._spoilt = False  # the parser waits for something that will not come: take a new one
        self._interim = False
        self._head_bytes = 0
        self._fields: list[AnswerField] = []
        self.received = False
        self.surplus = False  # bytes after the end: the connection must not be used again
        self.until_close = False
        self.switched = False  # to a WebSocket, as was asked
        self.rest = b""  # what came after that

    def begin(self, sink: ResponseSink, *, head_request: bool, upgrade: bool = False) -> None:
        """Expect the answer to the request that is now being sent; `upgrade`: it asks for a WebSocket."""
        self._sink = sink
        self._head_request = head_request
        self._upgrade = upgrade
        self._left: int | None = None  # bytes of a counted body still to come, when we count ourselves
        self.received = False  # any byte at all
        self.head_done = False
        self.complete = False
        self.keep_alive = False

    def feed(self, data: bytes) -> None:
        """Read some bytes.

        Raises:
            UpstreamBroken: they are not an HTTP response, or an ambiguous one.
        """
        if self._left is not None:
            self._count(data)
        elif self.received or not self._read_plain(data):
            self._parse(data)
        self.received = True

    def _read_plain(self, data: bytes) -> bool:
        """Read an answer of the common kind: its head whole in one read, its body counted, or none by its status.

        Whatever is not plainly that is left to the parser, which has seen nothing of it yet.
        """
        end = data.find(b"\r\n\r\n")
        head = read_answer_head(data[:end]) if 0 < end <= HEAD_LIMIT else None
        if head is None:
            return False
        status, length = head.status, head.length
        if status == 101:
            return self._switch(head.fields, data[end + 4 :])
        bodiless = has_no_body(status)
        if length < 0 and not bodiless:
            return False
        self.head_done = True
        # a 204 must not even announce a body (RFC 9112 §6.3)
        self.keep_alive = head.keep_alive and not (status == 204 and length >= 0)
        self._left = 0 if bodiless or self._head_request else length
        self._sink.on_head(status, head.fields, length)
        self._count(data[end + 4 :])
        return True

    def _switch(self, fields: list[AnswerField], rest: bytes) -> bool:
        if not self._upgrade:
            raise UpstreamBroken("the answer switches protocols, which nobody asked for")
        self.head_done = True
        self._sink.on_head(101, fields, -1)
        self.switched = True
        self.rest = rest
        return True

    def _count(self, data: bytes) -> None:
        """Pass on a piece of a counted body."""
        left: int = self._left  # type: ignore[assignment]  # asked by the caller
        if len(data) > left:
            self.surplus = True
            data = data[:left]
        self._left = left = left - len(data)
        if data:
            self._sink.on_body(data)
        if not left:
            self.complete = True

    # The parser's way

    def _parse(self, data: bytes) -> None:
        if not self.received:
            self._begin_parsing()
        if not self.head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]  # made above
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.switched:
                self.rest = data[error.args[0] :] if isinstance(error, httptools.HttpParserUpgrade) else b""
                return
            if not self.complete:
                raise UpstreamBroken(f"the answer is not HTTP: {error}") from None
            self.surplus = True
        if not self.head_done and self._head_bytes > HEAD_LIMIT:
            raise UpstreamBroken(f"the answer's headers are larger than {HEAD_LIMIT} bytes")

    def _begin_parsing(self) -> None:
        if self._parser is None or self._spoilt:
            self._parser = httptools.HttpResponseParser(self)
            self._spoilt = False
        self._head_bytes = 0
        self._interim = False
        self._fields = []

    def end_of_stream(self) -> bool:
        """The upstream closed the connection; tells whether the answer is whole."""
        if self.head_done and self.until_close:
            self.complete = True
        return self.complete

    def close(self) -> None:
        """Let go of the parser, which refers back to this object, and of all else; nothing can be read any more."""
        self._parser = None
        self._fields = []
        if hasattr(self, "_sink"):
            del self._sink

    # What httptools calls

    def on_message_begin(self) -> None:
        """A message begins."""
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field after the body."""
        if self.head_done:
            return
        value = value.strip(b" \t")
        field = read_field(b"%b: %b" % (name, value))
        if field is None:
            raise UpstreamBroken("the answer has a header that is none")
        self._fields.append(field)

    def on_headers_complete(self) -> None:
        """A head is complete: judge it."""
        if self.complete or self._parser is None:
            return
        status = self._parser.get_status_code()
        if status == 101:
            self._switch(self._fields, b"")
        elif 100 <= status < 200:
            self._interim = True
        else:
            length = self._judge_head(status, self._parser.get_http_version())
            self.head_done = True
            self._sink.on_head(status, self._fields, length)

    def _judge_head(self, status: int, version: str) -> int:
        """Judge a head; returns the length of the body, or -1."""
        if not 200 <= status <= 599:  # RFC 9110 §15
            raise UpstreamBroken(f"the answer's status {status} is not one of HTTP's")
        if self._head_bytes > HEAD_LIMIT and sum(len(field.line) for field in self._fields) > HEAD_LIMIT:
            raise UpstreamBroken(f"the answer's headers are larger than {HEAD_LIMIT} bytes")
        chunked, length = self._judge_framing(version)
        framed = chunked or length >= 0
        self.keep_alive = self._stays_open(version)
        if self._head_request or has_no_body(status):
            self.complete = True
            # The parser does not know that no body follows; 204 must not even announce one (RFC 9112 §6.3).
            self._spoilt = self._head_request or framed
            self.keep_alive = self.keep_alive and not (status == 204 and framed)
        else:
            self.until_close = not framed
        return length

    def _judge_framing(self, version: str) -> tuple[bool, int]:
        """Return whether the body is chunked, and its length or -1 (RFC 9112 §6.1, §6.3)."""
        lengths = [field for field in self._fields if field.kind == LENGTH]
        codings = [field.value.lower() for field in self._fields if field.kind == CODING]
        if codings:
            if lengths:
                raise UpstreamBroken("the answer has both Content-Length and Transfer-Encoding")
            if codings != [b"chunked"] or version != "1.1":
                raise UpstreamBroken("the answer's Transfer-Encoding is not exactly 'chunked' on HTTP/1.1")
            return True, -1
        if len(lengths) > 1:
            raise UpstreamBroken("the answer has more than one Content-Length")
        if lengths and lengths[0].number < 0:
            raise UpstreamBroken("the answer's Content-Length is not a number")
        return False, lengths[0].number if lengths else -1

    def _stays_open(self, version: str) -> bool:
        """Whether the upstream keeps the connection for another request (RFC 9112 §9.3), of whomever."""
        options = {
            option.strip()
            for field in self._fields
            if field.kind == CONNECTION
            for option in field.value.lower().split(b",")
        }
        if b"close" in options or any(field.kind == BINDING for field in self._fields):
            return False
        return version == "1.1" or b"keep-alive" in options

    def on_body(self, data: bytes) -> None:
        """Some of the body."""
        if self.complete:
            self.surplus = True
        else:
            self._sink.on_body(data)

    def on_message_complete(self) -> None:
        """A message is complete."""
        if self._interim:
            self._interim = False
            self._fields = []
        else:
            self.complete = True
