"""Header fields: what goes in to the app, and what comes back out.

In is sacred, out is ours; strip, then inject. The order is the defence: hop-by-hop fields go first, with whatever
`Connection` names, then every reserved name in every spelling, and only then ours are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from gateway.core import cookies

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

_REBUILT: Final = frozenset(
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

_CACHE_OVERRIDES: Final = frozenset({b"surrogate-control", b"x-accel-expires"})
"""Shared caches obey these before Cache-Control, and so `*-cdn-cache-control` (RFC 9213 §2.2)."""

_MEMO_SIZE: Final = 2048
_normal: dict[bytes, bytes] = {}
_passing: dict[bytes, bytes] = {}
_DIRECTIVE: Final = re.compile(rb'[^\s,="]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s,"]*))?')  # RFC 9111 §5.2
_SHARED: Final = frozenset({b"public", b"s-maxage", b"proxy-revalidate", b"private"})
_NEVER_NAMED: Final = frozenset({b"host", b"content-length", b"cookie", b"authorization"})
"""Fields that `Connection` cannot take away: it would change whose request this is, or where it ends."""


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
    """Return a name as the most careless app would read it: lower case, with `_` and `.` for `-`."""
    known = _normal.get(name)
    if known is None:
        known = name.lower().replace(b"_", b"-").replace(b".", b"-")
        _remember(_normal, name, known)
    return known


def _remember(memo: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if len(name) <= 64:
        if len(memo) >= _MEMO_SIZE:
            memo.clear()  # whoever sends many odd names must not keep the usual ones out
        memo[name] = value


def strip(headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> Headers:
    """Return the fields whose normalised name is not among `names`."""
    return tuple(field for field in headers if normalised(field[0]) not in names)


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the fields without the hop-by-hop ones and those that `Connection` names (RFC 9110 §7.6.1)."""
    fields = tuple(headers)
    named = _named_by_connection(fields)
    return tuple(field for field in fields if field[0] not in HOP_BY_HOP and field[0] not in named)


def upstream_headers(
    head: RequestHead,
    *,
    set_headers: Headers,
    remove_headers: frozenset[bytes],
    own_cookies: frozenset[bytes],
    request_id: str,
    pass_host: bool,
    upstream_host: bytes,
) -> Fields:
    """Return what the upstream is sent, body framing aside: that is the upstream client's own."""
    host = head.host.encode() if pass_host else upstream_host
    fields = [(b"host", host), *_cleaned(head, remove_headers, own_cookies)]
    _add_forwarded(fields, head, request_id)
    fields += set_headers
    return fields


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
    _add_forwarded(fields, head, request_id)
    fields += set_headers
    return fields


def client_headers(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    own_cookies: frozenset[bytes],
    remove_headers: frozenset[bytes],
    identity_bearing: bool,
) -> Fields:
    """Return an app's response fields as the client may see them.

    Without the hop-by-hop ones, without identity headers, without cookies that would set the gateway's own, and, when
    the answer was made for somebody in particular, kept out of shared caches.
    """
    fields = [
        (name, value)
        for name, value in end_to_end([(name.lower(), value) for name, value in headers])
        if not (name == b"set-cookie" and _cookie_name(value) in own_cookies) and normalised(name) not in remove_headers
    ]
    return _private(fields) if identity_bearing else fields


def _cleaned(head: RequestHead, remove: frozenset[bytes], own_cookies: frozenset[bytes]) -> Fields:
    """Return the client's fields that may go in: one pass, and one line of cookies (RFC 9113 §8.2.3)."""
    fields: Fields = []
    lines: list[bytes] = []
    named = _named_by_connection(head.headers)
    for name, value in head.headers:
        if name == b"cookie":
            lines.append(cookies.strip(value, own_cookies))
            continue
        normal = _passing.get(name)
        if normal is None:
            normal = _learn_passing(name)
        if normal and normal not in remove and name not in named:
            fields.append((name, value))
    joined = b"; ".join(line for line in lines if line)
    if joined:
        fields.append((b"cookie", joined))
    return fields


def _learn_passing(name: bytes) -> bytes:
    """Return the normalised name of a field that may go in; b"" for one that never does."""
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


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes] | set[bytes]:
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection" and value not in {b"keep-alive", b"close", b"Upgrade"}:
            named.update(part.strip().lower() for part in value.split(b","))
    return named - _NEVER_NAMED if named else named


def _add_forwarded(fields: Fields, head: RequestHead, request_id: str) -> None:
    """Say who asks and for what, in both dialects (RFC 7239 §4)."""
    address, host, scheme = head.client_address, head.host.encode(), head.scheme.encode()
    if address:
        client = address.encode()
        fields.append((b"x-forwarded-for", client))
        node = b'"[' + client + b']"' if b":" in client else client
        forwarded = b"for=" + node + b";"
    else:
        forwarded = b""
    fields.append((b"x-forwarded-host", host))
    fields.append((b"x-forwarded-proto", scheme))
    fields.append((b"forwarded", forwarded + b'host="' + host + b'";proto=' + scheme))
    fields.append((b"x-request-id", request_id.encode()))


def _cookie_name(set_cookie: bytes) -> bytes:
    # `=gateway=x` is a cookie without a name (RFC 6265bis §5.6), which browsers send back as `gateway=x`
    return set_cookie.partition(b";")[0].lstrip(b" \t=").partition(b"=")[0].strip()


def _private(fields: Fields) -> Fields:
    """Keep an answer out of shared caches (RFC 9111 §5.2.2), never weaker than the app said."""
    said = [found for name, value in fields if name == b"cache-control" for found in _DIRECTIVE.findall(value)]
    words = {directive.lower() for directive in said}
    directives = [part for part in said if part.partition(b"=")[0].strip().lower() not in _SHARED]
    kept = [(name, value) for name, value in fields if name != b"cache-control" and not _overrides_caching(name)]
    if b"no-store" not in words:
        if not _varies(fields) & {b"cookie", b"*"}:
            kept.append((b"vary", b"Cookie"))
        words.add(b"private")
    if b"private" in words:  # the bare word: `private="x"` is about the field x only (§5.2.2.7)
        directives.insert(0, b"private")
    kept.append((b"cache-control", b", ".join(directives)))
    return kept


def _overrides_caching(name: bytes) -> bool:
    return name in _CACHE_OVERRIDES or name.endswith(b"cdn-cache-control")


def _varies(fields: Fields) -> set[bytes]:
    return {part.strip().lower() for name, value in fields if name == b"vary" for part in value.split(b",")}
