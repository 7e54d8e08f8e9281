"""Header fields: what goes in to the app. What comes back out is `response`'s.

In is sacred; strip, then inject. The order is the defence: hop-by-hop fields go first, with whatever `Connection`
names, then every reserved name in every spelling, and only then ours are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from gateway.core import cookies
from gateway.errors import MalformedRequest

if TYPE_CHECKING:
    from gateway.core.request import Headers, RequestHead

Fields = list[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""Fields that concern one connection only (RFC 9110 §7.6.1)."""

NAMES_A_MOUNT: Final = frozenset({b"daphne-root-path", b"path-info", b"script-name"})
"""Fields that servers cut a path by, in normalised spelling: daphne believes anybody, gunicorn its own machine.

From a client they would have the app look at another path than the one that was judged.
"""

_REBUILT: Final = NAMES_A_MOUNT | frozenset(
    {
        b"forwarded",
        b"x-original-host",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-real-ip",
        b"x-request-id",
        b"x-rewrite-url",
        b"x-url-scheme",
    }
)
"""What fronts say of a request, in normalised spelling: dropped as is every `x-forwarded-*`; the useful ones anew."""

_ONE_SPELLING: Final = frozenset({b"content-length", b"content-type"})
"""A CGI-like app takes `content_length` for the real thing; what frames the body is read in one spelling only."""

# name, and value with what white space is behind it (RFC 9110 §5.5, §5.6.2); nothing is given back, so it is linear
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[\t ]*+([\t\x20-\x7e\x80-\xff]*+)")
_OF_CONNECTIONS: Final = re.compile(rb"(?i)(?:ntlm|negotiate)(?![^\t ,])")
_MEMO_SIZE: Final = 2048
_NORMAL: Final = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 45 for code in range(256))
_normal: dict[bytes, bytes] = {}
_passing: dict[bytes, bytes] = {}
_NEVER_NAMED: Final = frozenset({b"host", b"content-length", b"cookie", b"authorization"})
"""Fields that `Connection` cannot take away: it would change whose request this is, or where it ends."""


def split_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Return name and value of a field line, given without its end; None for what is no plain one (RFC 9112 §5)."""
    found = _LINE.fullmatch(line)
    return (found[1], found[2].rstrip(b"\t ")) if found is not None else None


def first(headers: Headers, name: bytes) -> bytes | None:
    """Return the value of the first field called `name` (lower case), or None."""
    for field, value in headers:
        if field == name:
            return value
    return None


def every(headers: Headers, name: bytes) -> tuple[bytes, ...]:
    """Return the values of all fields called `name` (lower case)."""
    return tuple(value for field, value in headers if field == name)


def normalised(name: bytes) -> bytes:
    """Return a name as the most careless server tells its app: lower case, with `-` for all but letters and digits.

    Most write `_` for `-` in a variable's name (RFC 3875 §4.1.18); PHP for `.` too, lighttpd for whatever a token may
    hold.
    """
    known = _normal.get(name)
    if known is None:
        known = name.translate(_NORMAL)
        _remember(_normal, name, known)
    return known


def _remember(memo: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if len(name) <= 64:
        if len(memo) >= _MEMO_SIZE:
            memo.clear()  # whoever sends many odd names must not keep the usual ones out
        memo[name] = value


def signs_in_connection(name: bytes, value: bytes) -> bool:
    """Whether a field holds credentials that sign in a connection instead of a request (RFC 4559 §6; NTLM)."""
    return name == b"authorization" and _OF_CONNECTIONS.match(value) is not None


def strip(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """Return the fields whose normalised name is not among `names`."""
    return tuple(field for field in headers if normalised(field[0]) not in names)


def upstream_headers(
    head: RequestHead,
    *,
    host: bytes,
    stripped_prefix: bytes,
    set_headers: Headers,
    remove_headers: frozenset[bytes],
    own_cookies: frozenset[bytes],
    request_id: str,
) -> Fields:
    """Return what the upstream is sent, body framing aside: that is the upstream client's own.

    `stripped_prefix`: what was taken off the path, by us or by a front; b"" for nothing.
    """
    fields = address_headers(host, stripped_prefix)
    fields.append((b"x-request-id", request_id.encode()))
    fields += passing_headers(head, remove_headers=remove_headers, own_cookies=own_cookies)
    fields += set_headers
    return fields


def address_headers(host: bytes, stripped_prefix: bytes) -> Fields:
    """Return the part of that which depends on nothing but where the request goes."""
    return [(b"host", host), (b"x-forwarded-prefix", stripped_prefix)] if stripped_prefix else [(b"host", host)]


def passing_headers(head: RequestHead, *, remove_headers: frozenset[bytes], own_cookies: frozenset[bytes]) -> Fields:
    """Return the part that depends on nothing but the client: its own fields, and who it is."""
    fields = _cleaned(head, remove_headers, own_cookies)
    return fields + forwarded_headers(head.client_address, head.host, head.scheme, head.front.port)


def in_process_headers(
    head: RequestHead,
    *,
    set_headers: Headers,
    remove_headers: frozenset[bytes],
    own_cookies: frozenset[bytes],
    request_id: str,
) -> Fields:
    """Return what an app in this process is called with: as behind the proxy, framing included."""
    fields = [(b"host", head.host.encode()), *_cleaned(head, remove_headers, own_cookies)]
    length = first(head.headers, b"transfer-encoding")
    if length is not None:
        fields.append((b"transfer-encoding", length))
    if head.front.prefix:
        fields.append((b"x-forwarded-prefix", head.front.prefix.encode()))
    fields += forwarded_headers(head.client_address, head.host, head.scheme, head.front.port)
    return [*fields, (b"x-request-id", request_id.encode()), *set_headers]


def _cleaned(head: RequestHead, remove: frozenset[bytes], own_cookies: frozenset[bytes]) -> Fields:
    """Return the client's fields that may go in, in one pass."""
    fields: Fields = []
    lines: list[bytes] = []
    named = named_by_connection(head.headers)
    for name, value in head.headers:
        if name == b"cookie":
            lines.append(value)
            continue
        normal = passing_name(name)
        if normal and normal not in remove and name not in named:
            fields.append((name, value))
    joined = join_cookies(lines, own_cookies)
    if joined:
        fields.append((b"cookie", joined))
    return fields


def passing_name(name: bytes) -> bytes:
    """Return the normalised name of a client's field (lower case) that may go in; b"" for one that never does.

    Cookies aside: of those, only ours stay out.
    """
    known = _passing.get(name)
    return known if known is not None else _learn_passing(name)


def _learn_passing(name: bytes) -> bytes:
    normal = normalised(name)
    if (
        normal in HOP_BY_HOP
        or normal in _REBUILT
        or normal in {b"host", b"expect"}
        or normal.startswith(b"x-forwarded-")
        or (normal != name and normal in _ONE_SPELLING)
    ):
        normal = b""
    _remember(_passing, name, normal)
    return normal


def named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the fields that `Connection` declares hop-by-hop (RFC 9110 §7.6.1)."""
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection" and value not in {b"keep-alive", b"close", b"Upgrade"}:
            named.update(part.strip().lower() for part in value.split(b","))
    return named - _NEVER_NAMED if named else named


def forwarded_headers(client_address: str, host: str, scheme: str, port: str = "") -> Fields:
    """Say who asks and for what, in both dialects (RFC 7239 §4); `port` only if a front has said so."""
    named, spoken = host.encode(), scheme.encode()
    forwarded = b'host="' + named + b'";proto=' + spoken
    fields: Fields = [(b"x-forwarded-port", port.encode())] if port else []
    if client_address:
        client = client_address.encode()
        fields.append((b"x-forwarded-for", client))
        node = b'"[' + client + b']"' if b":" in client else client
        forwarded = b"for=" + node + b";" + forwarded
    return [*fields, (b"x-forwarded-host", named), (b"x-forwarded-proto", spoken), (b"forwarded", forwarded)]


def join_cookies(lines: Iterable[bytes], own_cookies: frozenset[bytes]) -> bytes:
    """Return the app's cookies of all `Cookie` lines, as one (RFC 9113 §8.2.3)."""
    stripped = [cookies.strip(line, own_cookies) for line in lines]
    return b"; ".join([line for line in stripped if line])


def build_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of header fields.

    Raises `MalformedRequest` for a field that would begin another line: the second fence against request splitting,
    whatever a value came from.
    """
    lines = [b"%b: %b\r\n" % field for field in headers]
    block = b"".join(lines)
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
        raise MalformedRequest("a header value holds a line break")
    return block
