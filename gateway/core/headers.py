"""Header fields: what goes in to the app, and what comes back out.

In is sacred, out is ours; strip, then inject. The order is the defence: hop-by-hop fields go first, with whatever
`Connection` names, then every reserved name in every spelling, and only then ours are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
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


class Kind(Enum):
    """What must be looked at in a response field."""

    HOP = auto()  # concerns one connection
    COOKIE = auto()
    CACHING = auto()
    DATE = auto()
    OTHER = auto()


_MEMO_SIZE: Final = 2048
_normal: dict[bytes, bytes] = {}
_passing: dict[bytes, bytes] = {}
_leaving: dict[bytes, tuple[bytes, bytes, Kind]] = {}
_SAYS_PRIVATE: Final = ((b"vary", b"Cookie"), (b"cache-control", b"private"))
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
    passing = passing_headers(head, remove_headers=remove_headers, own_cookies=own_cookies)
    return [(b"host", host), *passing, (b"x-request-id", request_id.encode()), *set_headers]


def passing_headers(head: RequestHead, *, remove_headers: frozenset[bytes], own_cookies: frozenset[bytes]) -> Fields:
    """Return the part of that which depends on nothing but the client: its own fields, and who it is."""
    fields = _cleaned(head, remove_headers, own_cookies)
    _add_forwarded(fields, head)
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
    _add_forwarded(fields, head)
    return [*fields, (b"x-request-id", request_id.encode()), *set_headers]


def client_headers(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    own_cookies: frozenset[bytes],
    remove_headers: frozenset[bytes],
    identity_bearing: bool,
    keep_date: bool = True,
) -> Fields:
    """Return an app's response fields as the client may see them.

    Without the hop-by-hop ones, without identity headers, without cookies that would set the gateway's own, and, when
    the answer was made for somebody in particular, kept out of shared caches. `keep_date` is for servers that do not
    date answers themselves.
    """
    fields: Fields = []
    named: set[bytes] = set()
    says_caching = False
    for name, value in headers:
        lower, normal, kind = _leaving.get(name) or _learn_leaving(name)
        if kind is Kind.HOP:
            if lower == b"connection":
                named.update(_named_by_connection(((lower, value),)))
            continue
        if normal in remove_headers or (kind is Kind.DATE and not keep_date):
            continue
        if kind is Kind.COOKIE and _cookie_name(value) in own_cookies:
            continue
        if kind is Kind.CACHING:
            says_caching = True
        fields.append((lower, value))
    if named:
        fields = [field for field in fields if field[0] not in named]
    if not identity_bearing:
        return fields
    if says_caching:
        return _private(fields)
    fields += _SAYS_PRIVATE
    return fields


def _learn_leaving(name: bytes) -> tuple[bytes, bytes, Kind]:
    """Return a response field's name in lower case, normalised, and what must be looked at."""
    lower = name.lower()
    if lower in HOP_BY_HOP:
        kind = Kind.HOP
    elif lower == b"set-cookie":
        kind = Kind.COOKIE
    elif lower == b"date":
        kind = Kind.DATE
    elif lower in {b"cache-control", b"vary"} or _overrides_caching(lower):
        kind = Kind.CACHING
    else:
        kind = Kind.OTHER
    known = (lower, normalised(lower), kind)
    if len(name) <= 64:
        if len(_leaving) >= _MEMO_SIZE:
            _leaving.clear()
        _leaving[name] = known
    return known


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


def _add_forwarded(fields: Fields, head: RequestHead) -> None:
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
