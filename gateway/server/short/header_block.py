"""Header blocks of the plain kind, read line by line.

Of a dozen lines, most are only passed on, and most were seen before. What is known of a line is kept by its exact
bytes; of the others, cookies say who asks, and a few (`Host`, what proxies say) make up the origin, which is judged
once, by the `HeadReader`, like any request. Whatever is not plainly of this kind is left to the parser: a line that is
no strict field line, a body that is not plainly counted, an upgrade, a `Connection` that says more than keep-alive.

The line that counts a body is another one with each upload; so it is cut out, and the rest is known again. A second one
that says where the request ends is left in, and is not plain.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.fields import split_line
from gateway.core.forwarded import SAY_ORIGIN
from gateway.core.headers import join_cookies, passing_name, signs_in_connection
from gateway.errors import GatewayError
from gateway.server.short.learned import LearnedBlock, LearnedOrigin, LearnedSender
from gateway.server.short.recurring import Recurring, Shelf
from gateway.web.asgi_head import HeadReader
from gateway.web.pipeline import Pipeline

MOST_BLOCKS: Final = 1024
MOST_SENDERS: Final = 4096
MOST_ORIGINS: Final = 2048
MOST_LINES: Final = 4096
"""Most header blocks, senders, origins and lines kept."""
LONGEST_BLOCK: Final = 4096
LONGEST_LINE: Final = 256
"""The longest blocks and lines among them, in bytes."""
HEAVIEST: Final = 4 * 1024 * 1024
"""Most bytes of cookies, by which senders are known, and of lines that make up origins. All that is kept here, together
with what is made of it, is some 30 MB at the very most.
"""

_PASSING: Final = 0  # goes to the upstream as it is
_DROPPED: Final = 1  # goes nowhere
_COOKIE: Final = 2
_ORIGIN: Final = 3  # says where the request comes from, or what it is sent to
_OTHER: Final = 4  # not for us
_MAKE_UP_ORIGIN: Final = SAY_ORIGIN | {b"host"}
_LEFT_TO_PARSER: Final = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"trailer",
        b"expect",
        b"upgrade",
        b"te",
        b"proxy-connection",
        b"destination",
    }
)


_COUNTS: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,15})(?=\r\n)")
_LONGEST_COUNT: Final = 33
"""Most bytes of that."""


def cut_count(data: bytes, begin: int, end: int) -> tuple[bytes, int] | None:
    """Return a header block without the line that counts the body, and how many bytes that says; None if none does.

    The block stands in `data` from `begin`, where the request line ends, up to `end`, where the head does.
    """
    found = _COUNTS.search(data, begin, end)
    return (data[begin : found.start()] + data[found.end() : end], int(found[1])) if found is not None else None


class _Line(msgspec.Struct, frozen=True):
    kind: int
    passed: bytes = b""  # as it is passed on; of cookies, the value


class BlockReader:
    """Reads header blocks, and knows them again."""

    def __init__(self, reader: HeadReader, pipeline: Pipeline, own_cookies: frozenset[bytes]) -> None:
        self._reader = reader
        self._pipeline = pipeline
        self._reserved = pipeline.reserved
        self._own_cookies = own_cookies
        self._left_to_parser = _LEFT_TO_PARSER | reader.trusted.kept  # ids are never the same twice
        self._lines: Recurring[bytes, _Line] = Recurring(MOST_LINES)
        self._origins: Shelf[tuple[bytes, str | None, str], LearnedOrigin] = Shelf(MOST_ORIGINS, HEAVIEST)
        self._senders: Shelf[tuple[bytes, LearnedOrigin], LearnedSender] = Shelf(MOST_SENDERS, HEAVIEST)
        self._blocks: Recurring[tuple[bytes, str | None, str, bool], LearnedBlock] = Recurring(MOST_BLOCKS)

    def read(self, raw: bytes, peer: str | None, scheme: str, *, counted: bool = False) -> LearnedBlock | None:
        """Return what is known of a block, which begins and ends with a line end; None leaves it to the parser.

        `counted`: the line that counts the body was cut out (`cut_count`).
        """
        key = raw, peer, scheme, counted
        block = self._blocks.kept.get(key)
        if block is None and len(raw) <= LONGEST_BLOCK:
            block = self._read(raw, peer, scheme, counted=counted)
            if block is not None:
                self._blocks.note(key, block)
        return block

    def _read(self, raw: bytes, peer: str | None, scheme: str, *, counted: bool) -> LearnedBlock | None:
        lines = raw[2:-4].split(b"\r\n")
        limits = self._reader.limits
        if len(lines) + counted > limits.header_count or len(raw) + counted * _LONGEST_COUNT > limits.header_bytes:
            return None
        passing: list[bytes] = []
        cookies: list[bytes] = []
        saying: list[bytes] = []
        kept = self._lines.kept
        for line in lines:
            known = kept.get(line) or self._learn(line)
            kind = known.kind
            if kind == _PASSING:
                passing.append(known.passed)
            elif kind == _COOKIE:
                cookies.append(known.passed)
            elif kind == _ORIGIN:
                saying.append(line)
            elif kind == _OTHER:
                return None
        origin = self._find_origin(saying, peer, scheme)
        if origin is None:
            return None
        sender = self._find_sender(b"\n".join(cookies), origin)
        if sender is None:
            return None
        return LearnedBlock(sender, raw=raw, passing=b"".join(passing), lines=lines, counted=counted)

    def _find_sender(self, cookies: bytes, origin: LearnedOrigin) -> LearnedSender | None:
        sender = self._senders.kept.get((cookies, origin))
        if sender is None:
            lines = cookies.split(b"\n") if cookies else []
            fields = tuple((b"cookie", line) for line in lines)
            keys = self._pipeline.read_session_keys(fields)
            if len(keys) > 1:
                return None  # the gate has to choose
            key = keys[0] if keys else None
            passing, proofs = join_cookies(lines, self._own_cookies), self._pipeline.read_proofs(fields, key)
            sender = LearnedSender(origin, key, passing, proofs)
            self._senders.put((cookies, origin), sender, len(cookies))
        return sender

    def _learn(self, line: bytes) -> _Line:
        parts = split_line(line)
        if parts is None:
            return _Line(_OTHER)
        name, value = parts[0].lower(), parts[1]
        known = self._judge(name, value)
        if len(line) <= LONGEST_LINE:
            self._lines.note(line, known)
        return known

    def _judge(self, name: bytes, value: bytes) -> _Line:
        if name == b"cookie":
            return _Line(_COOKIE, value)
        if name in _MAKE_UP_ORIGIN:
            return _Line(_ORIGIN)
        if name in self._left_to_parser or (name == b"connection" and value.lower() != b"keep-alive"):
            return _Line(_OTHER)
        if signs_in_connection(name, value):
            return _Line(_OTHER)
        normal = passing_name(name)
        if not normal or normal in self._reserved or not self._reader.names.read(name):
            return _Line(_DROPPED)
        return _Line(_PASSING, b"%b: %b\r\n" % (name, value))

    def _find_origin(self, lines: list[bytes], peer: str | None, scheme: str) -> LearnedOrigin | None:
        key = b"\n".join(lines), peer, scheme
        origin = self._origins.kept.get(key)
        if origin is None:
            origin = self._judge_origin(lines, peer, scheme)
            if origin is not None:
                self._origins.put(key, origin, len(key[0]))
        return origin

    def _judge_origin(self, lines: list[bytes], peer: str | None, scheme: str) -> LearnedOrigin | None:
        headers = [parts for line in lines if (parts := split_line(line)) is not None]
        try:
            head = self._reader.read_raw(method="GET", scheme=scheme, target=b"/", headers=headers, peer=peer)
        except GatewayError:
            return None  # the parser's way tells why
        return LearnedOrigin(head)
