"""The records of a TLS connection, found by their headers before they are decrypted, so that they can be counted."""

from __future__ import annotations

from typing import Final

HEADER: Final = 5
"""Bytes before the content of a record: its type, a version, and its length (RFC 8446 §5.1, RFC 5246 §6.2.1)."""
LONGEST: Final = 16 * 1024 + 2048
"""Most bytes of a content, encrypted (RFC 5246 §6.2.3)."""
OLD_HELLO: Final = b"\x80"
"""No record begins with a byte as high; a hello in the form of SSL 2.0 does, and is not taken (RFC 8446 §D.5)."""
BATCH: Final = 8 * 1024
"""Bytes of small records that are decrypted together."""


class Records:
    """Tells where the records end, in whatever pieces they come."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""  # what has come of a header
        self._left = 0  # bytes that are to come of a content

    def find(self, data: bytes, at: int, most: int) -> tuple[int, int]:
        """Return how far to read in `data`, from `at` on, and how many records end up to there: `most`, at most.

        That is one large record, or a batch of small ones. Raises `ValueError` for what is no record.
        """
        size, full, ended = len(data), at + BATCH, 0
        left = self._left
        while at < size and at < full and ended < most:
            if not left:
                head = self._head + data[at : at + HEADER - len(self._head)]
                at += len(head) - len(self._head)
                if head >= OLD_HELLO:
                    raise ValueError("not a record of TLS")
                if len(head) < HEADER:
                    self._head = head
                    break
                self._head = b""
                left = head[3] << 8 | head[4]
                if left > LONGEST:  # OpenSSL refuses it by its header, and sends the alert that is due
                    left = 0
            at += left
            if at <= size:
                ended += 1
                left = 0
            else:
                left, at = at - size, size
        self._left = left
        return at, ended
