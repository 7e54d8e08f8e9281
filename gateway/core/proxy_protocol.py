"""The PROXY protocol: a balancer's first words on a connection say for whom it is (HAProxy's proxy-protocol.txt).

Version 1 is a line of text, version 2 a binary block. Both are read to the letter: what a balancer writes is short and
regular, so anything else comes from somebody who is none. What version 2 adds (TLVs) is skipped.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

import msgspec

from gateway.errors import MalformedRequest

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16  # bytes of version 2 before the addresses
MOST_BYTES: Final = 4096
"""Most bytes of a header of version 2: addresses take up to 216, the rest is a balancer's notes."""
_LONGEST_LINE: Final = 107  # with CRLF (§2.1)
_PORT: Final = rb"(0|[1-9][0-9]{0,4})"
_LINE: Final = re.compile(rb"PROXY TCP(4|6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) " + _PORT + rb" " + _PORT + rb"\r\n")
_UNKNOWN_LINE: Final = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_ADDRESSES: Final = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}  # source, target; ports
_WITHOUT_ADDRESS: Final = {0x00: 0, 0x31: 216}  # unspecified; unix streams, whose paths say nothing of who asks

UNKNOWN: Final = ("unknown", 0)
"""Somebody of whom the balancer does not know who it is: trusted by nobody, and counted as one."""


class Announced(msgspec.Struct, frozen=True):
    """A header: `size` is how many bytes it has."""

    client: tuple[str, int] | None  # address and port; None for the balancer itself, as when it looks whether we live
    size: int


def read_proxy_header(data: bytes) -> Announced | None:
    """Return what stands at the beginning of `data`; None while it is not all there.

    Raises `MalformedRequest` as soon as it cannot become a header any more.
    """
    if data.startswith(SIGNATURE[: len(data)]):
        return _read_block(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _read_line(data)
    raise MalformedRequest("it does not begin with a PROXY header")


def _read_line(data: bytes) -> Announced | None:
    """Read version 1 (§2.1)."""
    end = data.find(b"\r\n", 0, _LONGEST_LINE) + 2
    if end < 2:
        if len(data) >= _LONGEST_LINE:
            raise MalformedRequest("its PROXY line is too long")
        return None
    line = data[:end]
    if _UNKNOWN_LINE.fullmatch(line):
        return Announced(UNKNOWN, end)
    found = _LINE.fullmatch(line)
    if found is None or int(found[4]) > 65535 or int(found[5]) > 65535:
        raise MalformedRequest("its PROXY line is malformed")
    version = int(found[1])
    _read_address(found[3].decode(), version)
    return Announced((_read_address(found[2].decode(), version), int(found[4])), end)


def _read_address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise MalformedRequest("its PROXY line has an address that is none") from None
    if address.version != version:
        raise MalformedRequest("its PROXY line has an address of the other family")
    return _write(address)


def _read_block(data: bytes) -> Announced | None:
    """Read version 2 (§2.2)."""
    if len(data) < _FIXED:
        return None
    kind, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    size = _FIXED + length
    if kind not in {0x20, 0x21}:
        raise MalformedRequest("its PROXY header is of an unknown version or command")
    if size > MOST_BYTES:
        raise MalformedRequest("its PROXY header is too large")
    if kind == 0x20:  # LOCAL: whatever else it says is to be ignored
        return Announced(None, size) if len(data) >= size else None
    if family in _WITHOUT_ADDRESS:
        least = _WITHOUT_ADDRESS[family]
    elif family in _ADDRESSES:
        least = _ADDRESSES[family].size
    else:
        raise MalformedRequest("its PROXY header is of a family that no TCP connection has")
    if length < least:
        raise MalformedRequest("its PROXY header is too short for its addresses")
    if len(data) < size:
        return None
    if family in _WITHOUT_ADDRESS:
        return Announced(UNKNOWN, size)
    source, _, port, _ = _ADDRESSES[family].unpack_from(data, _FIXED)
    return Announced((_write(ipaddress.ip_address(source)), port), size)


def _write(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Write an address as everywhere: one client, one name."""
    return str(getattr(address, "ipv4_mapped", None) or address)
