"""Who asks, and what their browser asked for, when there are other proxies in front.

Nobody is believed by default. When the peer is a trusted proxy, the client address is the right-most hop that is not
trusted itself; scheme and host are what the nearest proxy says. Malformed words of a trusted proxy are refused: a front
that is set up wrongly must not decide who somebody is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.errors import MalformedRequest

if TYPE_CHECKING:
    from gateway.core.request import Headers

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MEMO_SIZE: Final = 4096
_PAIR: Final = re.compile(r'\s*([A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))\s*')
_HOP: Final = re.compile(
    r"\[(?P<bracketed>[0-9A-Fa-f:.]+)\](?::\d{1,5})?|(?P<plain>[^:\[\]\s]+)(?::\d{1,5})?|(?P<bare>[0-9A-Fa-f:.]+)"
)
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{1,5})?")  # RFC 9110 §7.2
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Origin(msgspec.Struct, frozen=True):
    """Where a request comes from and what it was sent to, all proxies considered."""

    client_address: str  # "" when unknown, e.g. over a unix socket
    scheme: str
    host: str


class TrustedProxies:
    """The peers whose forwarding headers are believed: CIDRs, addresses, and `unix` for unix sockets."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._unix = "unix" in entries
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(entry, strict=False) for entry in entries if entry != "unix"
        )
        self._memo: dict[str, bool] = {}

    def trusts(self, peer: str | None) -> bool:
        """Whether `peer` (an address; None or "" over a unix socket) is trusted."""
        if not peer:
            return self._unix
        if not self._networks:
            return False
        known = self._memo.get(peer)
        if known is None:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            known = self._memo[peer] = self._is_listed(peer)
        return known

    def _is_listed(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def read_forwarded(headers: Headers, *, peer: str | None, scheme: str, host: str, trusted: TrustedProxies) -> Origin:
    """Return the origin of a request. Raises `MalformedRequest` when a trusted peer contradicts itself."""
    if not trusted.trusts(peer):
        return Origin(client_address=peer or "", scheme=scheme, host=host)
    said = _read_x_forwarded(headers)
    standard = _read_standard(headers)
    origins = [
        _build_origin(each, Origin(client_address=peer or "", scheme=scheme, host=host), trusted)
        for each in (said, standard)
        if any(each)
    ]
    if len(origins) == 2 and origins[0] != origins[1]:
        # a proxy that sets one kind and lets the client's other kind through is told apart from one that sets both
        raise MalformedRequest("a trusted proxy sends X-Forwarded-* and Forwarded, and they disagree")
    return origins[0] if origins else Origin(client_address=peer or "", scheme=scheme, host=host)


def is_host(text: bytes) -> bool:
    """Whether `text` is a host name or address with an optional port, and nothing that could be read as more."""
    return _HOST.fullmatch(text) is not None


Said = tuple[list[str], list[str], list[str]]  # for, proto, host


def _build_origin(said: Said, seen: Origin, trusted: TrustedProxies) -> Origin:
    hops, protos, hosts = said
    proto = protos[-1].lower() if protos else seen.scheme
    if proto not in _SCHEMES:
        raise MalformedRequest("a trusted proxy names a scheme that is none")
    host = hosts[-1] if hosts else seen.host
    if not is_host(host.encode("latin-1", "replace")):
        raise MalformedRequest("a trusted proxy names a host that is none")
    return Origin(
        client_address=_read_client_address(hops, trusted) if hops else seen.client_address,
        scheme=_SCHEMES[proto],
        host=host,
    )


def _read_x_forwarded(headers: Headers) -> Said:
    return (
        _read_list(headers, b"x-forwarded-for"),
        _read_list(headers, b"x-forwarded-proto"),
        _read_list(headers, b"x-forwarded-host"),
    )


def _read_list(headers: Headers, name: bytes) -> list[str]:
    values = [value.decode("latin-1") for header, value in headers if header == name and value]
    return [item.strip() for value in values for item in value.split(",")]


def _read_standard(headers: Headers) -> Said:
    """Read `Forwarded` (RFC 7239 §4)."""
    said: dict[str, list[str]] = {"for": [], "proto": [], "host": []}
    values = [value.decode("latin-1") for header, value in headers if header == b"forwarded" and value]
    for pair in _split_pairs(",".join(values)) if values else ():
        found = _PAIR.fullmatch(pair)
        if found is None:
            raise MalformedRequest("a trusted proxy sends a malformed Forwarded header")
        name, quoted, token = found[1].lower(), found[2], found[3]
        if name in said:
            said[name].append(token if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
    return said["for"], said["proto"], said["host"]


def _split_pairs(text: str) -> list[str]:
    """Split at `,` and `;` outside quoted strings."""
    return re.findall(r'(?:[^",;]|"(?:[^"\\]|\\.)*"?)+', text)


def _read_client_address(hops: list[str], trusted: TrustedProxies) -> str:
    """Return the right-most hop that is not a trusted proxy; what stands further left may be invented."""
    address = ""
    for hop in reversed(hops):
        address = _read_address(hop)
        if not address or not trusted.trusts(address):
            break
    return address


def _read_address(hop: str) -> str:
    """Return a hop without port and brackets; "" for `unknown` and obfuscated ones (RFC 7239 §6.2, §6.3)."""
    found = _HOP.fullmatch(hop)
    if found is None:
        raise MalformedRequest("a trusted proxy names an address that is none")
    text = found["bracketed"] or found["plain"] or found["bare"]
    if text.lower() == "unknown" or text.startswith("_"):
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise MalformedRequest("a trusted proxy names an address that is none") from None
