"""A client on a raw socket: exact bytes go out, answers are read one at a time and by the letter of RFC 9112."""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from dataclasses import dataclass

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e]*)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")

Fields = tuple[tuple[bytes, bytes], ...]

HOST = b"Host: app.example\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n"


def compose(target: bytes = b"/public/x", fields: bytes = HOST, *, method: bytes = b"GET", body: bytes = b"") -> bytes:
    """Return a request; nothing is added to what is given."""
    return method + b" " + target + b" HTTP/1.1\r\n" + fields + b"\r\n" + body


def post(body: bytes, fields: bytes = b"", *, target: bytes = b"/public/x") -> bytes:
    """Return a POST with a counted body."""
    return compose(target, HOST + b"Content-Length: %d\r\n" % len(body) + fields, method=b"POST", body=body)


@dataclass(frozen=True)
class Answer:
    """One answer. `fields` have names in lower case; `whole` is False where the connection ended within the body."""

    status: int
    fields: Fields
    body: bytes
    whole: bool = True
    interim: tuple[int, ...] = ()  # statuses of the 1xx answers before it

    def every(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field == name]

    def one(self, name: bytes) -> bytes:
        values = self.every(name)
        assert len(values) == 1, (name, self.fields)
        return values[0]

    @property
    def head(self) -> bytes:
        return b"".join(b"%b: %b\n" % field for field in self.fields)

    @property
    def says_close(self) -> bool:
        return any(b"close" in value.lower() for value in self.every(b"connection"))


class Talk:
    """One connection. What it reads must be HTTP to the letter: a stray CR or LF is a failure.

    `framed`: every answer must say how long it is; h11's own refusals end with the connection instead. `room`: how
    many bytes the kernel may keep that have not been read.
    """

    def __init__(
        self, address: tuple[str, int], *, timeout: float = 10.0, framed: bool = True, room: int | None = None
    ) -> None:
        self._timeout = timeout
        self._framed = framed
        self._received = b""
        self._interim: list[int] = []
        self._ended = False
        self._socket = socket.socket()
        if room is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._socket.settimeout(timeout)
        self._socket.connect(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, *pieces: bytes, pause: float = 0.0) -> Talk:
        """Send each piece in a packet of its own; a peer that is gone is noticed when its answer is read."""
        for number, piece in enumerate(pieces):
            if number and pause:
                time.sleep(pause)
            try:
                self._socket.sendall(piece)
            except OSError:
                break
        return self

    def answer(self, *, head: bool = False) -> Answer | None:
        """Read one answer, to a HEAD or not; None when the connection ends without one."""
        while True:
            block = self._until(b"\r\n\r\n")
            if block is None:
                assert not self._received, f"the connection ended within a head: {self._received!r}"
                return None
            status, fields = _read_block(block)
            if status >= 200 or status == 101:
                break
            self._interim.append(status)
        body, whole = (b"", True) if head or status in {101, 204, 304} else self._body(fields)
        interim, self._interim = tuple(self._interim), []
        return Answer(status, fields, body, whole, interim)

    def wait_at_most(self, seconds: float) -> None:
        """Wait so long, and no longer, for what comes from now on."""
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def settled(self, wait: float) -> bool:
        """Whether an answer has begun within so many seconds, be it by the end; a 1xx answer is none."""
        while not self._ended:
            while self._received.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in self._received:
                block, _, self._received = self._received.partition(b"\r\n\r\n")
                self._interim.append(_read_block(block)[0])
            if self._received:
                break
            if not select.select([self._socket], [], [], wait)[0]:
                return False
            self._more()
        return True

    def rest(self) -> bytes:
        """Return everything until the other side ends the connection."""
        while self._more():
            pass
        rest, self._received = self._received, b""
        return rest

    def ends(self) -> bool:
        """Whether the other side ends the connection, without another byte."""
        return self.rest() == b""

    def exactly(self, count: int) -> bytes:
        """Return so many bytes, or fewer where the connection ends."""
        while len(self._received) < count and self._more():
            pass
        found, self._received = self._received[:count], self._received[count:]
        return found

    def vanish(self) -> None:
        """Be gone at once, as a killed process is: the other side gets a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            data = self._socket.recv(262_144)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise AssertionError(f"nothing came for {self._timeout} s, after {self._received[-200:]!r}") from None
        self._ended = not data
        self._received += data
        return not self._ended

    def _until(self, end: bytes) -> bytes | None:
        while end not in self._received:
            if not self._more():
                return None
        found, _, self._received = self._received.partition(end)
        return found

    def _body(self, fields: Fields) -> tuple[bytes, bool]:
        lengths = [value for name, value in fields if name == b"content-length"]
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        assert len(lengths) + len(codings) == 1 or not (self._framed or lengths or codings), f"framed how? {fields}"
        if not (lengths or codings):
            return self.rest(), True
        if lengths:
            body = self.exactly(int(lengths[0]))
            return body, len(body) == int(lengths[0])
        assert codings == [b"chunked"]
        return self._chunks()

    def _chunks(self) -> tuple[bytes, bool]:
        body = b""
        while True:
            line = self._until(b"\r\n")
            if line is None:
                return body, False
            assert re.fullmatch(rb"[0-9A-Fa-f]+", line), line
            size = int(line, 16)
            chunk = self.exactly(size + 2)
            body += chunk[:size]
            if len(chunk) < size + 2:
                return body, False
            assert chunk.endswith(b"\r\n"), chunk
            if not size:
                return body, True


def _read_block(block: bytes) -> tuple[int, Fields]:
    first, *lines = block.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    assert status is not None, first
    fields = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        assert field is not None, line
        fields.append((field[1].lower(), field[2].strip(b" \t")))
    return int(status[1]), tuple(fields)


def ask(address: tuple[str, int], request: bytes, *, framed: bool = True) -> Answer | None:
    """Send one request on a connection of its own."""
    with Talk(address, framed=framed) as talk:
        return talk.say(request).answer(head=request.startswith(b"HEAD "))
