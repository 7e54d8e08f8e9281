"""Header fields: what goes in to the app. What comes back out is `response`'s.

In is sacred; strip, then inject. The order is the defence against header spoofing: hop-by-hop fields go first, with
whatever `Connection` names, then every reserved name in every spelling, and only then ours are added. What fronts say
(`X-Forwarded-Host` and the like) is made anew, never a client's: by such fields shared caches are poisoned (cache
poisoning).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.core import cookies
from gateway.core.fields import NAMES_A_MOUNT, Fields, Headers, first, normalised, remember_name
from gateway.core.request import RequestHead

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

_OF_CONNECTIONS: Final = re.compile(rb"(?i)(?:ntlm|negotiate)(?![^\t ,])")
_passing: dict[bytes, bytes] = {}
_NEVER_NAMED: Final = frozenset({b"host", b"content-length", b"cookie", b"authorization"})
"""Fields that `Connection` cannot take away: it would change whose request this is, or where it ends."""


def signs_in_connection(name: bytes, value: bytes) -> bool:
    """Whether a field holds credentials that sign in a connection instead of a request (RFC 4559 §6; NTLM)."""
    return name == b"authorization" and _OF_CONNECTIONS.match(value) is not None


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
    remember_name(_passing, name, normal)
    return normal


def named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the fields that `Connection` declares hop-by-hop (RFC 9110 §7.6.1)."""
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection" and value not in {b"keep-alive", b"close", b"Upgrade"}:
            named.update(part.strip().lower() for part in value.split(b","))
    return named - _NEVER_NAMED if named else named


def forwarded_headers(client_address: str, host: str, scheme: str, port: str = "") -> Fields:
    """Say who asks and for what, by both kinds of fields (RFC 7239 §4); `port` only if a front has said so."""
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
