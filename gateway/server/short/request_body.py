"""The body of one request on the short way: framed as it comes, counted, and kept only until it can be sent."""

from __future__ import annotations

from typing import Final

from gateway.errors import ContentTooLarge
from gateway.upstream.request import BodyFraming

HIGH_WATER: Final = 64 * 1024
"""Most bytes kept while there is no upstream connection yet."""


class RequestBody:
    """`end` is the end of the head that announces it; `complete`: nothing more will come."""

    __slots__ = ("_framing", "_kept", "_limit", "_received", "_waits", "complete", "end")

    def __init__(self, framing: BodyFraming, end: bytes) -> None:
        self._framing = framing
        self.end = end
        self.complete = False
        self._waits = framing.is_small  # to be sent whole
        self._kept: bytes | bytearray = b""  # framed, not sent yet; never a piece for each of a thousand chunks
        self._received = 0  # bytes of the body
        self._limit: int | None = None  # most of them; None: any number

    @property
    def left(self) -> int:
        """How many bytes are still to come; -1 when they are not counted."""
        return self._framing.left if self._framing.left is not None else -1

    @property
    def field(self) -> tuple[bytes, bytes]:
        """The field that announces it."""
        name, _, value = self.end[:-4].partition(b": ")
        return name, value

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return len(self._kept)

    @property
    def is_much(self) -> bool:
        """Whether so much is kept that the client should wait."""
        return len(self._kept) > HIGH_WATER

    @property
    def may_go(self) -> bool:
        """Whether enough of it is there that an upstream connection may be held for the rest."""
        return self.complete or (bool(self._kept) and not self._waits)

    def limit(self, limit: int | None) -> None:
        """Allow so many bytes; None allows any number. Raises `ContentTooLarge` when there have been more."""
        self._limit = limit
        self._check()

    def add(self, data: bytes, *, last: bool) -> None:
        """Take a piece. Raises `ContentTooLarge`, or `MalformedRequest` when it is not as long as announced."""
        self._received += len(data)
        self._check()
        framed = self._framing.frame(data, last=last)
        if not self._kept:
            self._kept = framed
        elif framed:
            if isinstance(self._kept, bytes):
                self._kept = bytearray(self._kept)
            self._kept += framed
        self.complete = last

    def take(self) -> bytes:
        """Return what is to be sent."""
        kept, self._kept = self._kept, b""
        return bytes(kept)  # no copy of what is bytes already

    def _check(self) -> None:
        if self._limit is not None and self._received > self._limit:
            raise ContentTooLarge(f"a request body of more than {self._limit} bytes, which are all that is allowed")
