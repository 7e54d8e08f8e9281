"""Where a request ends, in the bytes of a connection as they come (RFC 9112 §6, §7.1).

The parser is fed one request at a time: what a client sends behind it (pipelining) stays the bytes it came as, which
cost what they weigh. To cut there, the end must be known before the parser has seen it; whoever feeds the parser checks
that it agrees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import MalformedRequest

CHUNKED: Final = -1
"""The length of a body that is not counted."""
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")  # RFC 9110 §8.6; more digits than that count no body
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\n]*)?\r\n")
_LONGEST_SIZE_LINE: Final = 16 * 1024
_CHUNKS_AT_ONCE: Final = 512
"""So many chunks are followed in one go: a read full of the smallest ones must not keep others waiting."""


def read_body_length(fields: Iterable[tuple[bytes, bytes]], http_version: str) -> int:
    """Return how many bytes the body of a request has, or `CHUNKED`; names are in lower case.

    Raises `MalformedRequest` for framing that could be read in two ways. Whoever reads it from a connection must read
    nothing more from there (RFC 9112 §6.3).
    """
    length: bytes | None = None
    chunked = False
    for name, value in fields:
        if name == b"content-length":
            value = value.strip(b" \t")
            if length is not None or not _LENGTH.fullmatch(value):
                raise MalformedRequest("Content-Length is not one number")  # RFC 9112 §6.3
            length = value
        elif name == b"transfer-encoding":
            if chunked or value.strip(b" \t").lower() != b"chunked" or http_version != "1.1":
                raise MalformedRequest("Transfer-Encoding is not exactly chunked")  # RFC 9112 §6.1
            chunked = True
    if length is not None and chunked:
        raise MalformedRequest("there are both Content-Length and Transfer-Encoding")  # RFC 9112 §6.1
    return CHUNKED if chunked else int(length or 0)


class MessageEnd:
    """Finds the end of one head or body after the other.

    `begin` at the first byte of a request; `find` says up to where the parser may be fed, and `whole` then tells
    whether that is the end of the head, or of the body that `expect` announced.
    """

    __slots__ = ("_carried", "_in_trailer", "_left", "_line_done", "_seam", "has_body", "head_bytes", "line", "whole")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin at the head of a request."""
        self.whole = False
        self.has_body = False
        self.head_bytes = 0  # of the head so far
        self.line = b""  # the request line, as far as it is there
        self._line_done = False
        self._seam = b""  # the last bytes of a head that goes on in the next read
        self._left: int | None = None  # bytes of the body, or of a chunk and its line end; None: within the head
        self._in_trailer = False
        self._carried = b""  # a chunk size or trailer line that goes on in the next read

    def expect(self, length: int) -> None:
        """Go on with a body of so many bytes, or `CHUNKED`; without any, the request ends with its head."""
        self._left = length
        self.has_body = length != 0
        if length == CHUNKED:
            self._left = 0
            self._in_trailer = False
            self._carried = b""

    def find_head_end(self, data: bytes, at: int) -> int:
        """Return where the head ends in `data`, from `at` on, or where `data` does."""
        if not self._line_done:
            line_end = data.find(b"\n", at)
            self._line_done = line_end >= 0
            self.line += data[at : line_end + 1] if self._line_done else data[at:]
        end = self._find_over_seam(data, at)
        self.whole = end >= 0
        if not self.whole:
            end = len(data)
            self._seam = (self._seam + data[max(at, end - 3) : end])[-3:]
        self.head_bytes += end - at
        return end

    def _find_over_seam(self, data: bytes, at: int) -> int:
        if self._seam:
            found = (self._seam + data[at : at + 3]).find(_HEAD_END)
            if found >= 0:
                return at + found + 4 - len(self._seam)
        found = data.find(_HEAD_END, at)
        return found + 4 if found >= 0 else -1

    def find_body_end(self, data: bytes, at: int) -> int:
        """Return where a counted body ends in `data`, from `at` on, or where `data` does."""
        assert self._left is not None  # noqa: S101 -- `expect` has said
        end = min(len(data), at + self._left)
        self._left -= end - at
        self.whole = not self._left
        return end

    def find_last_chunk_end(self, data: bytes, at: int) -> int:
        """Return where a chunked body ends in `data`, from `at` on, or how far it was followed this time.

        Raises `MalformedRequest` where no chunk begins.
        """
        assert self._left is not None  # noqa: S101 -- `expect` has said
        self.whole = False
        size = len(data)
        for _ in range(_CHUNKS_AT_ONCE):
            step = min(self._left, size - at)
            self._left -= step
            at += step
            if at == size:
                break
            line_end = data.find(b"\n", at) + 1
            line = self._carried + data[at : line_end or size]
            if not line_end:
                self._carried = line
                if len(line) > _LONGEST_SIZE_LINE:
                    raise MalformedRequest("a chunk size or a trailer field is too long")
                return size
            self._carried = b""
            at = line_end
            if self._read_line(line):
                self.whole = True
                break
        return at

    def _read_line(self, line: bytes) -> bool:
        """Read the line of a chunk size or a trailer field; True for the last line of the body."""
        if self._in_trailer:
            return line == b"\r\n"
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise MalformedRequest("a chunk does not begin with its size")
        size = int(found[1], 16)
        self._in_trailer = not size
        self._left = size + 2 if size else 0  # with the line end behind the chunk
        return False
