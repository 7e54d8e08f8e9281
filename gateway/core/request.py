"""The head of one request, as every door hands it to the gate; and the reading of it, which refuses what is ambiguous.

Servers let much through that two programs read in two ways; each check below names what it stands on. The result is
frozen: policy decides on exactly what is forwarded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.core.forwarded import TrustedProxies, is_host, read_forwarded, without_default_port
from gateway.core.names import ALL_NAMES, FieldNames
from gateway.core.path import CanonicalPath, canonicalise
from gateway.errors import HeadersTooLarge, MalformedRequest, MethodRefused, TargetTooLong

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order received; names in lower case, values without surrounding white space."""

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5: no CR, LF, NUL or other control
_QUERY: Final = re.compile(rb"[\x21\x22\x24-\x7e]*")  # visible ASCII without "#"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")  # RFC 9110 §8.6; more digits than that count no body


class RequestHead(msgspec.Struct, frozen=True):
    """A request judged well-formed: what policy decides on, and exactly what is forwarded."""

    method: str
    scheme: str  # "http" or "https": what the visitor's browser spoke, trusted proxies considered
    host: str  # authority the visitor's browser asked for, e.g. "app.example.com:8443"; never with a default port
    path: CanonicalPath
    query: bytes  # raw, without "?"; byte-identical to what was received
    raw_target: bytes  # path and query exactly as received, to return to after a sign-in
    headers: Headers
    client_address: str  # right-most untrusted hop; "" when unknown
    websocket: bool = False

    @property
    def is_bare(self) -> bool:
        """Whether the target has a "?" with no query after it."""
        return not self.query and b"?" in self.raw_target


class Limits(msgspec.Struct, frozen=True):
    """How large a request head may be."""

    header_bytes: int = 32 * 1024
    header_count: int = 100
    target_bytes: int = 8 * 1024


def read_head(
    *,
    method: str,
    scheme: str,
    target: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    peer: str | None,
    trusted: TrustedProxies,
    limits: Limits,
    names: FieldNames = ALL_NAMES,
    http_version: str = "1.1",
    websocket: bool = False,
) -> RequestHead:
    """Read the head of a request; fields that `names` drops are left out.

    `target` is the request target as received, `peer` the address of the other end (None over a unix socket). The
    asterisk form (`OPTIONS *`, RFC 9112 §3.2.4) is refused: no route can match it.
    Raises `MalformedRequest`, `MethodRefused`, `TargetTooLong` or `HeadersTooLarge`.
    """
    _check_method(method)
    if len(target) > limits.target_bytes:
        raise TargetTooLong(f"the request target is longer than {limits.target_bytes} bytes")
    fields = read_headers(headers, limits, names)
    host = _check_singular(fields, http_version)
    raw_target = target if target.startswith(b"/") else _strip_authority(target, host)
    path, _, query = raw_target.partition(b"?")
    if not _QUERY.fullmatch(query):
        raise MalformedRequest("the query has a character that does not belong there")
    origin = read_forwarded(
        fields,
        peer=peer,
        scheme="https" if scheme in {"https", "wss"} else "http",
        host=host.decode("ascii"),
        trusted=trusted,
    )
    return RequestHead(
        method=method,
        scheme=origin.scheme,
        host=origin.host,
        path=canonicalise(path),
        query=query,
        raw_target=raw_target,
        headers=fields,
        client_address=origin.client_address,
        websocket=websocket,
    )


def read_headers(headers: Iterable[tuple[bytes, bytes]], limits: Limits, names: FieldNames = ALL_NAMES) -> Headers:
    """Return the fields with lower-case names. Raises for what is no field, and beyond the limits."""
    fields: list[tuple[bytes, bytes]] = []
    size = dropped = 0
    known = names.known
    for name, value in headers:
        size += len(name) + len(value)
        if size > limits.header_bytes or len(fields) + dropped >= limits.header_count:
            raise HeadersTooLarge(
                f"more than {limits.header_count} header fields, or more than {limits.header_bytes} bytes of them"
            )
        lower = known.get(name) or names.read(name)
        if not _VALUE.fullmatch(value):
            raise MalformedRequest(f"the header {name.decode('ascii').lower()} has a control character")
        if lower:
            fields.append((lower, value.strip(b" \t")))
        else:
            dropped += 1
    return tuple(fields)


def _check_method(method: str) -> None:
    if method in _METHODS:
        return
    # CONNECT asks for a tunnel, TRACE for our own headers back (RFC 9110 §9.3.6, §9.3.8)
    if method.upper() in {"CONNECT", "TRACE", "TRACK"}:
        raise MethodRefused(f"{method} is not forwarded")
    if not _TOKEN.fullmatch(method.encode("utf-8", "replace")):
        raise MalformedRequest("the method is no token")


def _check_singular(fields: Headers, http_version: str) -> bytes:
    """Check the fields that decide where a request goes and where it ends; returns the host."""
    host: bytes | None = None
    length: bytes | None = None
    encoding: bytes | None = None
    for name, value in fields:
        if name == b"host":
            if host is not None:
                raise MalformedRequest("there are two Host headers")  # RFC 9112 §3.2
            host = value
        elif name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                raise MalformedRequest("Content-Length is not one number")  # RFC 9112 §6.3
            length = value
        elif name == b"transfer-encoding":
            if encoding is not None or value.lower() != b"chunked" or http_version != "1.1":
                raise MalformedRequest("Transfer-Encoding is not exactly chunked")  # RFC 9112 §6.1
            encoding = value
    if length is not None and encoding is not None:
        raise MalformedRequest("there are both Content-Length and Transfer-Encoding")  # RFC 9112 §6.1
    if host is None or not is_host(host):
        raise MalformedRequest("Host is missing or is no host")  # RFC 9112 §3.2
    return host


def _strip_authority(target: bytes, host: bytes) -> bytes:
    """Read an absolute-form target (RFC 9112 §3.2.2), only if it names the very host of the Host header."""
    scheme, separator, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    spoken = scheme.lower().decode("latin-1")
    named, asked = (without_default_port(spoken, each.lower().decode("latin-1")) for each in (authority, host))
    if not separator or spoken not in {"http", "https"} or named != asked:
        raise MalformedRequest("the request target is neither a path nor an address of this host")
    return slash + path if slash else b"/"
