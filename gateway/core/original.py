"""The request that a front asks about: forward-auth's check, read.

A check is a request of its own, which says in its fields what the visitor's request was, and copies the visitor's other
fields. Fronts have three ways to say it, and some use two:

    X-Forwarded-Method, -Proto, -Host, -Uri       Traefik, Caddy, HAProxy, the nginx file of ours
    X-Original-Method, X-Original-URL or -URI     nginx by its older recipes, ingress-nginx
    the rest of the check's path, its method      Envoy, which puts a path of ours before the visitor's

A front that sets one may let a client's copy of the other through. So what is said twice must be the same, and what is
not said is never guessed: a method that is not told stands for every method. `Connection` and `Upgrade` concern the
check's own connection and mean nothing; a WebSocket is known by its key (RFC 6455 §4.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from gateway.core.forwarded import is_host, without_default_port
from gateway.core.request import UNKNOWN_METHOD, Limits, RequestHead, check_method, split_target
from gateway.errors import CheckMisconfigured, CheckRefused, TargetTooLong

BY_STATUS: Final = "auth"
"""Our page, below the prefix, that answers checks by a status."""
WHOLE: Final = "ext_authz"
"""Our page that answers them by whole answers."""
PROOF: Final = b"x-gateway-check"
"""Field in which a front proves by a secret that it asks."""

_ADDRESSES: Final = (b"x-forwarded-uri", b"x-original-uri", b"x-original-url")
_METHODS: Final = (b"x-forwarded-method", b"x-original-method")
SAY_ADDRESS: Final = frozenset(_ADDRESSES)
SAY_METHOD: Final = frozenset(_METHODS)
"""Fields that say what a check is about and, unlike `forwarded.SAY_ORIGIN`, nothing of where it comes from."""
_SAYING: Final = frozenset({*_ADDRESSES, *_METHODS, b"x-forwarded-host", b"x-forwarded-proto", b"sec-websocket-key"})
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_URL: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_NOT_TOLD: Final = (
    "the front does not say what it asks about: have it send X-Forwarded-Uri (path and query as they came), "
    "X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Proto"
)


Said = Mapping[bytes, Sequence[bytes]]  # values by the name of the field


class _Address(NamedTuple):
    """What one field says: the target, and scheme and host where it is a whole URL."""

    target: bytes
    scheme: str = ""
    host: str = ""


def read_original(
    head: RequestHead, rest: bytes = b"", *, encoded_slashes: bool = False, longest: int = Limits().target_bytes
) -> RequestHead | None:
    """Return the request that a check is about; None where it does not say.

    `rest` is what the check's own target has behind the page that answers it: the visitor's target, by their method. A
    target has `longest` bytes at most.

    Only for checks of a front that is believed. Its path must be the one that the front forwards: only a path that is
    canonical but for its percent-encoding is taken. Raises `RequestRefused`: for fields that contradict each other, and
    for what the proxy form would refuse too.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in head.headers:
        if name in _SAYING:
            said.setdefault(name, []).append(value)
    address = _read_address(said, rest)
    if address is None:
        return None
    scheme = _read_scheme(said, address, head.scheme)
    original = msgspec.structs.replace(
        head,
        method=_read_method(said, head.method if rest else None),
        scheme=scheme,
        host=without_default_port(scheme, _read_host(said, address, head.host)),
        websocket=b"sec-websocket-key" in said,
    )
    return with_target(original, address.target, encoded_slashes=encoded_slashes, longest=longest)


def with_target(
    original: RequestHead, target: bytes, *, encoded_slashes: bool = False, longest: int = Limits().target_bytes
) -> RequestHead:
    """Return what is asked about where a check is the same but for the target that it names, which is a path.

    Raises `RequestRefused`.
    """
    if len(target) > longest:
        raise TargetTooLong(f"the original target is longer than {longest} bytes")
    path, query = split_target(target, encoded_slashes=encoded_slashes, fixed=True)
    return msgspec.structs.replace(original, path=path, query=query, raw_target=target)


def not_told() -> CheckMisconfigured:
    """Return the error for a check that does not say what it is about."""
    return CheckMisconfigured(_NOT_TOLD)


def _read_address(said: Said, rest: bytes) -> _Address | None:
    """Return the one address that is named, with host and scheme where any field has them."""
    found = {_read_url(value) for name in _ADDRESSES for value in said.get(name, ())}
    if rest:
        found.add(_Address(rest))
    if len(found) < 2:
        return found.pop() if found else None
    if len({address.target for address in found}) > 1:
        raise CheckRefused("the fields that name the original address contradict each other")
    whole = [address for address in found if address.scheme]
    if len(whole) > 1:
        raise CheckRefused("the fields that name the original address contradict each other")
    return whole[0]


def _read_url(value: bytes) -> _Address:
    found = _URL.fullmatch(value)
    if found is None:
        return _Address(value)
    target = found[3] if found[3].startswith(b"/") else b"/" + found[3]  # a URL may have a query and no path
    return _Address(target, found[1].decode("ascii").lower(), found[2].decode("latin-1").lower())


def _read_host(said: Said, address: _Address, host: str) -> str:
    """Return the host that was asked for; `host` is that of the check."""
    named = _last(said, b"x-forwarded-host")
    if named and named != host:
        if not is_host(named.encode("latin-1")):
            raise CheckRefused("X-Forwarded-Host names a host that is none")
        host = named
    if address.scheme:
        named, asked = (without_default_port(address.scheme, each) for each in (address.host, host.lower()))
        if named != asked:
            raise CheckRefused(
                "X-Original-URL names another host than X-Forwarded-Host (without that: Host): have the front set both"
            )
    return host


def _read_method(said: Said, own: str | None) -> str:
    found = {value for name in _METHODS for value in said.get(name, ())}
    if own is not None:
        found.add(own.encode("latin-1"))
    if len(found) > 1:
        raise CheckRefused("the fields that name the original method contradict each other")
    if not found:
        return UNKNOWN_METHOD
    method = found.pop().decode("latin-1")
    check_method(method)
    return method


def _read_scheme(said: Said, address: _Address, scheme: str) -> str:
    """Return what the visitor's browser spoke; `scheme` is that of the check. No rule depends on it."""
    named = _SCHEMES.get((_last(said, b"x-forwarded-proto") or address.scheme or scheme).lower())
    if named is None:
        raise CheckRefused("the front names a scheme that is none")
    return named


def _last(said: Said, name: bytes) -> str:
    """Return the last word of a list, over all fields of that name; "" for none."""
    return said[name][-1].decode("latin-1").rpartition(",")[2].strip() if name in said else ""
