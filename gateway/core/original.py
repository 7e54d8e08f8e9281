"""The request that a front asks about: forward-auth's check, read.

A check is a request of its own, which says in its fields what the visitor's request was, and copies the visitor's other
fields. Fronts have two dialects, and some speak both:

    X-Forwarded-Method, -Proto, -Host, -Uri       Traefik, Caddy, HAProxy, the nginx file of ours
    X-Original-Method, X-Original-URL or -URI     nginx by its older recipes, ingress-nginx

A front that sets one may let a client's copy of the other through. So what is said twice must be the same, and what is
not said is never guessed: a method that is not told stands for every method. `Connection` and `Upgrade` concern the
check's own connection and mean nothing; a WebSocket is known by its key (RFC 6455 §4.1).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from gateway.core.forwarded import is_host, without_default_port
from gateway.core.headers import every, first
from gateway.core.request import UNKNOWN_METHOD, Headers, RequestHead, check_method, split_target
from gateway.errors import CheckMisconfigured, CheckRefused

PROOF: Final = b"x-gateway-check"
"""Field in which a front proves by a secret that it asks."""

_ADDRESSES: Final = (b"x-forwarded-uri", b"x-original-uri", b"x-original-url")
_METHODS: Final = (b"x-forwarded-method", b"x-original-method")
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_URL: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_NOT_TOLD: Final = (
    "the front does not say what it asks about: have it send X-Forwarded-Uri (path and query as they came), "
    "X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Proto"
)


class _Address(NamedTuple):
    """What one field says: the target, and scheme and host where it is a whole URL."""

    target: bytes
    scheme: str = ""
    host: str = ""


def read_original(head: RequestHead, *, encoded_slashes: bool = False) -> RequestHead | None:
    """Return the request that a check is about; None where it does not say.

    Only for checks of a front that is believed. Its path must be the one that the front forwards: only a path that is
    canonical but for its percent-encoding is taken. Raises `RequestRefused`: for fields that contradict each other, and
    for what the proxy form would refuse too.
    """
    said = {_read_address(value) for name in _ADDRESSES for value in every(head.headers, name)}
    targets = {address.target for address in said}
    if not targets:
        return None
    if len(targets) > 1:
        raise CheckRefused("the fields that name the original address contradict each other")
    (target,) = targets
    path, query = split_target(target, encoded_slashes=encoded_slashes, fixed=True)
    host = _last(head.headers, b"x-forwarded-host") or head.host
    if not is_host(host.encode("latin-1")):
        raise CheckRefused("X-Forwarded-Host names a host that is none")
    if any(not _is_same_host(address, host) for address in said):
        raise CheckRefused(
            "X-Original-URL names another host than X-Forwarded-Host (without that: Host): have the front set both"
        )
    return msgspec.structs.replace(
        head,
        method=_read_method(head.headers),
        scheme=_read_scheme(head, said),
        host=host,
        path=path,
        query=query,
        raw_target=target,
        websocket=first(head.headers, b"sec-websocket-key") is not None,
    )


def not_told() -> CheckMisconfigured:
    """Return the error for a check that does not say what it is about."""
    return CheckMisconfigured(_NOT_TOLD)


def _read_address(value: bytes) -> _Address:
    found = _URL.fullmatch(value)
    if found is None:
        return _Address(value)
    target = found[3] if found[3].startswith(b"/") else b"/" + found[3]  # a URL may have a query and no path
    return _Address(target, found[1].decode("ascii").lower(), found[2].decode("latin-1").lower())


def _is_same_host(address: _Address, host: str) -> bool:
    scheme = address.scheme
    return not scheme or without_default_port(scheme, address.host) == without_default_port(scheme, host.lower())


def _read_method(headers: Headers) -> str:
    said = {value for name in _METHODS for value in every(headers, name)}
    if len(said) > 1:
        raise CheckRefused("X-Forwarded-Method and X-Original-Method contradict each other")
    if not said:
        return UNKNOWN_METHOD
    method = said.pop().decode("latin-1")
    check_method(method)
    return method


def _read_scheme(head: RequestHead, said: set[_Address]) -> str:
    """Return what the visitor's browser spoke. No rule depends on it."""
    by_url = next((address.scheme for address in said if address.scheme), head.scheme)
    named = _last(head.headers, b"x-forwarded-proto") or by_url
    scheme = _SCHEMES.get(named.lower())
    if scheme is None:
        raise CheckRefused("the front names a scheme that is none")
    return scheme


def _last(headers: Headers, name: bytes) -> str:
    """Return the last word of a list, over all fields of that name; "" for none."""
    return b",".join(every(headers, name)).decode("latin-1").rpartition(",")[2].strip()
