"""WebSockets by hand (RFC 6455): handshakes and frames as bytes, so that they can also be wrong."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ASKING = (
    b"Host: app.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n"
)
"""The fields of a handshake."""
_MASK = b"\x12\x34\x56\x78"


@dataclass(frozen=True)
class Frame:
    """A frame as it was received; `payload` without its mask."""

    opcode: int
    payload: bytes
    final: bool = True
    masked: bool = False
    reserved: int = 0

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None where it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None


def frame(opcode: int, payload: bytes = b"", *, masked: bool = False, final: bool = True, reserved: int = 0) -> bytes:
    """Return a frame; what a client sends is masked."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65_536:
        head = bytes((first, bit | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, bit | 127)) + struct.pack("!Q", size)
    return head + (_MASK + _mask(payload, _MASK) if masked else payload)


def close(code: int | None, reason: bytes = b"", *, masked: bool = False) -> bytes:
    payload = b"" if code is None else struct.pack("!H", code) + reason
    return frame(CLOSE, payload, masked=masked)


def read_frame(read: Callable[[int], bytes]) -> Frame | None:
    """Read a frame; `read` returns so many bytes, or fewer at the end. None at the end, or in the middle of one."""
    start = read(2)
    if len(start) < 2:
        return None
    size = start[1] & 0x7F
    if size >= 126:
        size = int.from_bytes(read(2 if size == 126 else 8), "big")
    mask = read(4) if start[1] & 0x80 else b""
    payload = read(size)
    if len(payload) < size:
        return None
    return Frame(
        opcode=start[0] & 0x0F,
        payload=_mask(payload, mask) if mask else payload,
        final=bool(start[0] & 0x80),
        masked=bool(mask),
        reserved=start[0] >> 4 & 0x7,
    )


def accept_of(head: bytes) -> bytes:
    """Return what proves that a handshake was understood (§4.2.2)."""
    found = re.search(rb"(?im)^sec-websocket-key: *(\S+)\r$", head)
    assert found is not None, head
    digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest)


def switching(head: bytes, fields: bytes = b"") -> bytes:
    """Return the answer that agrees to a handshake."""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_of(head) + b"\r\n" + fields + b"\r\n"
    )


def _mask(payload: bytes, mask: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")
