"""What the upstream answers: reads one response at a time, and judges its framing.

Rules
- 1xx answers are passed over (RFC 9110 §15.2); 101 is refused where no WebSocket was asked for.
- An answer to HEAD, a 204 and a 304 have no body, whatever their headers say (RFC 9112 §6.3).
- Ambiguous framing is refused: Content-Length with Transfer-Encoding, two lengths, any coding but exactly
  "chunked", a coding on HTTP/1.0 (RFC 9112 §6.1). Trailers are dropped: nobody looked at them when the head
  was judged.
- A body without a length or a coding ends where the connection ends (RFC 9112 §6.3).

Sans-IO: bytes go in through `feed`, events come out at the sink, which is called in the same call stack.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import httptools

from gateway.errors import UpstreamBroken, UpstreamError

HEAD_LIMIT: Final = 64 * 1024  # bytes of header block, all 1xx answers before it included

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (101|[2-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")  # RFC 9112 §4
_VALUE: Final = rb"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?"  # RFC 9110 §5.5
_FIELD_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*((?:" + _VALUE + rb")?)[\t ]*")  # RFC 9112 §5
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_MEMO_SIZE: Final = 2048
_known_lines: dict[bytes, tuple[bytes, bytes]] = {}
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


def _read_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Return the field of a line, its name in lower case; None for what is no plain field line."""
    found = _FIELD_LINE.fullmatch(line)
    if found is None:
        return None
    field = (found[1].lower(), found[2])
    if len(line) <= 128:
        if len(_known_lines) >= _MEMO_SIZE:
            _known_lines.clear()
        _known_lines[line] = field
    return field


class ResponseSink(Protocol):
    """Takes the events of one exchange. Called from the transport's callbacks: it must not block."""

    def on_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The final head; names in lower case. Hop-by-hop fields are still there."""

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
        "_connection_options",
        "_encodings",
        "_head_bytes",
        "_head_request",
        "_headers",
        "_interim",
        "_left",
        "_lengths",
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
        self._parser = httptools.HttpResponseParser(self)
        self._spoilt = False  # the parser waits for something that will not come: take a new one
        self.received = False

    def begin(self, sink: ResponseSink, *, head_request: bool, upgrade: bool = False) -> None:
        """Expect the answer to the request that is now being sent; `upgrade`: it asks for a WebSocket."""
        if self._spoilt:
            self._parser = httptools.HttpResponseParser(self)
            self._spoilt = False
        self._sink = sink
        self._head_request = head_request
        self._head_bytes = 0
        self._left: int | None = None  # bytes of a counted body still to come, when we count ourselves
        self._interim = False
        self.received = False  # any byte at all
        self.complete = False
        self.keep_alive = False
        self.surplus = False  # bytes after the end: the connection must not be used again
        self.until_close = False
        self._upgrade = upgrade
        self.switched = False  # to a WebSocket, as was asked
        self.rest = b""  # what came after that
        self._begin_head()

    def _begin_head(self) -> None:
        self.head_done = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._encodings: list[bytes] = []
        self._lengths: list[bytes] = []
        self._connection_options = b""

    def feed(self, data: bytes) -> None:
        """Read some bytes.

        Raises:
            UpstreamBroken: they are not an HTTP response, or an ambiguous one.
        """
        self.received = True
        if self._left is not None:
            self._count(data)
            return
        if not self.head_done:
            if not self._head_bytes and self._read_plain(data):
                return
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
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

    def _read_plain(self, data: bytes) -> bool:
        """Read an answer of the common kind: its head whole in one read, its body counted.

        Whatever is not plainly that is left to the parser, which has seen nothing of it yet.
        """
        end = data.find(b"\r\n\r\n")
        if not 0 < end <= HEAD_LIMIT:
            return False
        first, *lines = data[:end].split(b"\r\n")
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            return False
        for line in lines:
            field = _known_lines.get(line) or _read_line(line)
            if field is None or field[0] == b"transfer-encoding":
                self._begin_head()
                return False
            self._headers.append(field)
            if field[0] in _FRAMING:
                self._note_framing(*field)
        if int(status[1]) != 101 and (len(self._lengths) != 1 or not _LENGTH.fullmatch(self._lengths[0])):
            self._begin_head()
            return False
        self._finish_head(int(status[1]), "1.1")
        if self.switched:
            self.rest = data[end + 4 :]
        else:
            self._left = 0 if self.complete else int(self._lengths[0])
            self._count(data[end + 4 :])
        return True

    def _finish_head(self, status: int, version: str) -> None:
        self._judge_head(status, version)
        self.head_done = True
        self._sink.on_head(status, self._headers)
        self.switched = status == 101

    def _count(self, data: bytes) -> None:
        """Pass on a piece of a counted body."""
        assert self._left is not None  # noqa: S101 -- asked by the caller
        if len(data) > self._left:
            self.surplus = True
            data = data[: self._left]
        self._left -= len(data)
        if data:
            self._sink.on_body(data)
        if not self._left:
            self.complete = True

    def end_of_stream(self) -> bool:
        """The upstream closed the connection; tells whether the answer is whole."""
        if self.head_done and self.until_close:
            self.complete = True
        return self.complete

    def close(self) -> None:
        """Let go of the parser, which refers back to this object, and of all else; nothing can be read any more."""
        for name in ("_parser", "_sink", "_headers", "_lengths", "_encodings"):
            if hasattr(self, name):
                delattr(self, name)

    # What httptools calls

    def on_message_begin(self) -> None:
        """A message begins."""
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field after the body."""
        if self.head_done:
            return
        name, value = name.lower(), value.strip(b" \t")
        self._headers.append((name, value))
        if name in _FRAMING:
            self._note_framing(name, value)

    def _note_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._lengths.append(value)
        elif name == b"transfer-encoding":
            self._encodings.append(value.lower())
        else:
            self._connection_options += b"," + value.lower()

    def on_headers_complete(self) -> None:
        """A head is complete: judge it."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._interim = True
            return
        self._finish_head(status, self._parser.get_http_version())

    def _judge_head(self, status: int, version: str) -> None:
        if status == 101:
            if not self._upgrade:
                raise UpstreamBroken("the answer switches protocols, which nobody asked for")
            return
        if not 200 <= status <= 599:  # RFC 9110 §15
            raise UpstreamBroken(f"the answer's status {status} is not one of HTTP's")
        if self._head_bytes > HEAD_LIMIT and sum(len(n) + len(v) + 4 for n, v in self._headers) > HEAD_LIMIT:
            raise UpstreamBroken(f"the answer's headers are larger than {HEAD_LIMIT} bytes")
        framed = self._judge_framing(version)
        self.keep_alive = self._stays_open(version)
        if self._head_request or status in (204, 304):
            self.complete = True
            # The parser does not know that no body follows; 204 must not even announce one (RFC 9112 §6.3).
            self._spoilt = self._head_bytes > 0 and (self._head_request or framed)
            self.keep_alive = self.keep_alive and not (status == 204 and framed)
        else:
            self.until_close = not framed

    def _judge_framing(self, version: str) -> bool:
        """Whether a length or a coding tells where the body ends (RFC 9112 §6.1, §6.3)."""
        if self._encodings:
            if self._lengths:
                raise UpstreamBroken("the answer has both Content-Length and Transfer-Encoding")
            if self._encodings != [b"chunked"] or version != "1.1":
                raise UpstreamBroken("the answer's Transfer-Encoding is not exactly 'chunked' on HTTP/1.1")
            return True
        if len(self._lengths) > 1:
            raise UpstreamBroken("the answer has more than one Content-Length")
        return bool(self._lengths)

    def _stays_open(self, version: str) -> bool:
        """Whether the upstream keeps the connection for another request (RFC 9112 §9.3)."""
        if not self._connection_options:
            return version == "1.1"
        options = {option.strip() for option in self._connection_options.split(b",")}
        return b"close" not in options and (version == "1.1" or b"keep-alive" in options)

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
            self._begin_head()
        else:
            self.complete = True
