"""Where the frames of a WebSocket begin and end (RFC 6455 §5.2), without looking into them.

A tunnel passes the bytes of both ends on as they are. To say goodbye in between it must know when no frame is under
way, and to know who has said goodbye already it must see close frames.
"""

from __future__ import annotations

import secrets
import struct
from typing import Final

GOING_AWAY: Final = 1001
INTERNAL_ERROR: Final = 1011
"""Close codes (§7.4.1)."""
_CLOSE: Final = 0x8
_FINAL: Final = 0x80
_MASKED: Final = 0x80


class FrameTracker:
    """Follows one direction. `said_close`: a close frame has begun."""

    __slots__ = ("_header", "_left", "said_close")

    def __init__(self) -> None:
        self._header = b""  # of a frame whose header is not complete
        self._left = 0  # bytes of the frame under way that are still to come
        self.said_close = False

    @property
    def between_frames(self) -> bool:
        """Whether no frame is under way."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> int:
        """Follow some bytes; returns where in them the first frame ends, or -1 when none does."""
        position, first, size = 0, -1, len(data)
        while position < size:
            if not self._left:
                position = self._read_header(data, position)
                if self._header:
                    break
            step = min(self._left, size - position)
            self._left -= step
            position += step
            if not self._left and first < 0:
                first = position
        return first

    def _read_header(self, data: bytes, position: int) -> int:
        """Read a header from `position`; returns where its payload begins. What is not complete is kept."""
        before = len(self._header)
        header = self._header + data[position : position + 14 - before]
        length = _header_length(header)
        if len(header) < length:
            self._header = header
            return len(data)
        self._header = b""
        self._left = _payload_length(header)
        if header[0] & 0x0F == _CLOSE:
            self.said_close = True
        return position + length - before


def _header_length(header: bytes) -> int:
    if len(header) < 2:
        return 2
    mask = 4 if header[1] & _MASKED else 0
    return 2 + {126: 2, 127: 8}.get(header[1] & 0x7F, 0) + mask


def _payload_length(header: bytes) -> int:
    short = header[1] & 0x7F
    if short == 126:
        return int.from_bytes(header[2:4], "big")
    return int.from_bytes(header[2:10], "big") if short == 127 else short


def build_close(code: int, *, masked: bool) -> bytes:
    """Return a close frame; what a client sends is masked (§5.3)."""
    payload = struct.pack("!H", code)
    if not masked:
        return bytes((_FINAL | _CLOSE, len(payload))) + payload
    mask = secrets.token_bytes(4)
    return (
        bytes((_FINAL | _CLOSE, _MASKED | len(payload)))
        + mask
        + bytes(a ^ b for a, b in zip(payload, mask, strict=False))
    )
