"""What is sent to the upstream: the head, and the framing of the body.

Rules
- The target is exactly the path that was judged and the query that was received.
- The headers come in final; only those that frame the body are ours (RFC 9112 §6).
- A body is counted when the client counted it, else chunked. No header may begin a new line (header injection).

Sans-IO: bytes out, nothing sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.core.fields import build_lines
from gateway.core.path import CanonicalPath
from gateway.core.request import EXPECTS_BODY, RequestHead
from gateway.errors import MalformedRequest

# `expect`: our server has already answered 100 (RFC 9110 §10.1.1), so nothing waits for the upstream's.
OUR_FRAMING: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"expect", b"connection", b"keep-alive", b"trailer"}
)

SMALL_BODY: Final = 16 * 1024
"""Bytes of a counted body up to which the upstream is only sent it whole."""

_NAME: Final = re.compile(rb"(?<=\r\n)[!#$%&'*+.^_`|~0-9A-Za-z-]+(?=:)")  # never the request line
_SPELLED: Final = {
    name.lower(): name
    for name in (
        b"DNT",
        b"SOAPAction",
        b"Sec-WebSocket-Accept",
        b"Sec-WebSocket-Extensions",
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Protocol",
        b"Sec-WebSocket-Version",
        b"X-WEBAUTH-NAME",
        b"X-WEBAUTH-USER",
    )
}


class BodyFraming:
    """Frames the body of one request. `left`: bytes still to come, or None when the body is chunked."""

    __slots__ = ("left",)

    def __init__(self, length: int | None) -> None:
        self.left = length

    @property
    def is_small(self) -> bool:
        """Whether the whole body may be waited for before anything is sent: it is little, and sure to come."""
        return self.left is not None and self.left <= SMALL_BODY

    def frame(self, body: bytes, *, last: bool) -> bytes:
        """The bytes to send for a piece of the body.

        Raises:
            MalformedRequest: the body is longer or shorter than was announced. The connection must be closed,
                since the upstream would read the next request as part of this one.
        """
        if self.left is None:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk + b"0\r\n\r\n" if last else chunk
        self.left -= len(body)
        if self.left < 0 or (last and self.left):
            raise MalformedRequest("the request body is not as long as its Content-Length says")
        return body


def read_body_framing(head: RequestHead) -> BodyFraming | None:
    """How the client framed its body; None when the request has none (RFC 9112 §6.3)."""
    length = None
    for name, value in head.headers:
        if name == b"transfer-encoding":
            return BodyFraming(None)
        if name == b"content-length":
            length = _read_length(value)
    return BodyFraming(length) if length else None


def build_target(path: CanonicalPath, query: bytes, *, bare: bool) -> bytes:
    """The request target: the path that was judged, the query byte for byte; `bare`: a lone "?" is kept."""
    return path.raw + b"?" + query if query or bare else path.raw


def build_request(head: RequestHead, headers: list[tuple[bytes, bytes]], framing: BodyFraming | None) -> bytes:
    """The request line and header block, ready to be sent.

    Raises:
        MalformedRequest: a header or the target holds a character that would begin another line or field.
    """
    line = build_line(head.method, head.path, head.query, bare=head.is_bare)
    return line + encode_fields(headers) + build_end(head.method, framing)


def build_line(method: str, path: CanonicalPath, query: bytes, *, bare: bool) -> bytes:
    """The request line. Raises as `build_request` does."""
    line = b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), build_target(path, query, bare=bare))
    if line.count(b" ") != 2 or line.count(b"\n") != 1 or line.count(b"\r") != 1:
        raise MalformedRequest("the target holds a line break or a space")
    return line


def encode_fields(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The lines of header fields, those left out that frame the body. Raises as `build_request` does."""
    return build_lines([field for field in headers if field[0] not in OUR_FRAMING])


def title_case(head: bytes) -> bytes:
    """A request head with the names of its fields in title case, for apps that tell `Host` from `host`.

    Names are the same in any case (RFC 9110 §5.1), but some embedded servers compare bytes.
    """
    return _NAME.sub(lambda name: title_case_name(name[0]), head)


def title_case_name(name: bytes) -> bytes:
    """One name in title case; those that are spelled otherwise as their specifications have them."""
    return _SPELLED.get(name.lower()) or name.title().replace(b"Tiktok", b"TikTok")


def build_end(method: str, framing: BodyFraming | None) -> bytes:
    """The field that frames the body, and the end of the block."""
    if framing is None:
        return b"content-length: 0\r\n\r\n" if method in EXPECTS_BODY else b"\r\n"
    if framing.left is None:
        return b"transfer-encoding: chunked\r\n\r\n"
    return b"content-length: %d\r\n\r\n" % framing.left


def _read_length(value: bytes) -> int:
    # RFC 9110 §8.6: digits only; int() alone would take "+5" and "1_0".
    if not value.isdigit():
        raise MalformedRequest("Content-Length is not a number")
    return int(value)
