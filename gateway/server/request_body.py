"""The body of one request on the short way: framed as it comes, counted, and kept only until it can be sent."""

from __future__ import annotations

from typing import Final

from gateway.errors import ContentTooLarge
from gateway.upstream.request import BodyFraming

HIGH_WATER: Final = 64 * 1024
"""Most bytes kept while there is no upstream connection yet."""


class RequestBody:
    """`end` is the end of the head that announces it; `complete`: nothing more will come."""

    __slots__ = ("_framing", "_limit", "_pieces", "_received", "complete", "end")

    def __init__(self, framing: BodyFraming, end: bytes) -> None:
        self._framing = framing
        self.end = end
        self.complete = False
        self._pieces: list[bytes] = []  # framed, not sent yet
        self._received = 0  # bytes of the body
        self._limit: int | None = None  # most of them; None: any number

    @property
    def left(self) -> int:
        """How many bytes are still to come; -1 when they are not counted."""
        return self._framing.left if self._framing.left is not None else -1

    @property
    def is_much(self) -> bool:
        """Whether so much is kept that the client should wait."""
        return sum(map(len, self._pieces)) > HIGH_WATER

    def limit(self, limit: int | None) -> None:
        """Allow so many bytes; None allows any number. Raises `ContentTooLarge` when there have been more."""
        self._limit = limit
        self._check()

    def add(self, data: bytes, *, last: bool) -> None:
        """Take a piece. Raises `ContentTooLarge`, or `MalformedRequest` when it is not as long as announced."""
        self._received += len(data)
        self._check()
        self._pieces.append(self._framing.frame(data, last=last))
        self.complete = last

    def take(self) -> bytes:
        """Return what is to be sent."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check(self) -> None:
        if self._limit is not None and self._received > self._limit:
            raise ContentTooLarge(f"a request body of more than {self._limit} bytes, which are all that is allowed")
