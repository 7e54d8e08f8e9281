"""What is refused of a request head before anybody judges it: whatever two programs could read in two ways.

A front or an app that takes another end of a request than we do takes part of it for the next one: HTTP request
smuggling, or desync.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from gateway.core.fields import Fields
from gateway.core.message_end import read_body_length
from gateway.errors import MalformedRequest
from gateway.server.refusal import Refused

_VERSIONS: Final = frozenset({"1.0", "1.1"})
_WEBSOCKET: Final = b"websocket"
_UPGRADE_REQUIRED: Final = (
    b"426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13"
)


def check_head(line: bytes, method: bytes, version: str, headers: Fields, *, upgrade: bool) -> int:
    """Return the length of the body, as `read_body_length` does, of a head whose names are in lower case.

    `line` is the request line with its end, `upgrade` whether another protocol is asked for, heeded or not: what comes
    behind the head of such a request is no body to the parser. Raises `Refused`.
    """
    _check_line(line, version)
    if method == b"CONNECT":  # asks for a tunnel; its target is no path (RFC 9110 §9.3.6)
        raise Refused(b"405 Method Not Allowed\r\nallow: GET, HEAD, POST", b"CONNECT is not allowed here.")
    try:
        length = read_body_length(headers, version)
    except MalformedRequest:
        raise Refused(b"400 Bad Request", b"Nobody could tell where this request ends.") from None
    if upgrade and length:
        raise Refused(b"400 Bad Request", b"An upgrade cannot have a body.")
    return length


def _check_line(line: bytes, version: str) -> None:
    """Check what the parser is generous with: other protocols and versions, and spaces (RFC 9112 §2.3, §3)."""
    if line.count(b" ") != 2 or not line.endswith(b" HTTP/%b\r\n" % version.encode()):
        raise Refused(b"400 Bad Request", b"The request line is not METHOD TARGET HTTP/1.1, with single spaces.")
    if version not in _VERSIONS:
        raise Refused(b"505 HTTP Version Not Supported", b"HTTP/1.1 and HTTP/1.0 are spoken here.")


def asks_for_websocket(method: bytes, version: str, headers: Fields) -> bool:
    """Whether an upgrade is to a WebSocket. Others are ignored, and so is one of HTTP/1.0 (RFC 9110 §7.8)."""
    upgrades = [value.strip(b" \t").lower() for name, value in headers if name == b"upgrade"]
    return upgrades == [_WEBSOCKET] and method == b"GET" and version == "1.1"


def check_handshake(headers: Fields) -> None:
    """Check the opening handshake of a WebSocket (RFC 6455 §4.2.1). Raises `Refused`."""
    versions = [value.strip(b" \t") for name, value in headers if name == b"sec-websocket-version"]
    if versions != [b"13"]:  # §4.4
        raise Refused(_UPGRADE_REQUIRED, b"WebSockets of version 13 are spoken here.")
    keys = [value.strip(b" \t") for name, value in headers if name == b"sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise Refused(b"400 Bad Request", b"A WebSocket handshake has one Sec-WebSocket-Key, of 16 bytes in Base64.")


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == 16
    except binascii.Error:
        return False
