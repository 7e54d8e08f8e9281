"""Who asks, and what their browser asked for, when there are other proxies in front.

Nobody is believed by default. When the peer is a trusted proxy, the client address (client IP) is the right-most hop
that is not trusted itself. Lists are read from the right, where the nearest proxy has written, hop by hop; the scheme
is the one said of the hop that counts. In `Forwarded` each element has a hop's host too; of X-Forwarded-Host the last
word counts. Malformed words of a trusted proxy are refused: a front that is set up wrongly must not decide who somebody
is.

What a front says besides is kept only if the operator asks for it: many fronts pass on what a client has invented.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Final, NamedTuple

import msgspec

from gateway.core.fields import Headers
from gateway.errors import MalformedRequest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MEMO_SIZE: Final = 4096
_PAIR: Final = re.compile(r'\s*([A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))\s*')
_ELEMENT: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_PAIR_TEXT: Final = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*"?)+')
_PORT: Final = r"(?::(?:\d{1,5}|_[A-Za-z0-9._-]+))?"  # RFC 7239 §6: a port may be obfuscated too
_ZONE: Final = r"(?:%[A-Za-z0-9._~-]+)?"  # RFC 4007 §11: means something on the proxy only
_NODE: Final = re.compile(
    rf"\[(?P<bracketed>[0-9A-Fa-f:.]+){_ZONE}\]{_PORT}|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*){_ZONE}"
    rf"|(?P<plain>[^:\[\]\s]+){_PORT}"
)
# RFC 9110 §7.2; of a name, no more than the DNS can have (RFC 1035 §2.3.4). No label is empty, and no port begins with
# 0: some take those for the host without, and routes would not.
_NAME: Final = rb"(?![A-Za-z0-9._~-]{256})(?:[A-Za-z0-9_~-]+\.)*[A-Za-z0-9_~-]+\.?"
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]{1,45}\]|" + _NAME + rb")(?::(?:0|[1-9][0-9]{0,4}))?")
SAY_ORIGIN: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})
"""The headers by which a proxy says where a request comes from and what it was sent to, in lower case."""
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_PORT_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}")
_LAST_PORT: Final = 65535
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._~+/=:@-]{1,128}")
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Origin(msgspec.Struct, frozen=True):
    """Where a request comes from and what it was sent to, all proxies considered."""

    client_address: str  # "" when unknown, e.g. over a unix socket
    scheme: str
    host: str


def unmap(address: str) -> str:
    """Return an IPv4 address as itself, where a socket of both families tells it as `::ffff:…` (RFC 4291 §2.5.5.2)."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


@lru_cache(maxsize=_MEMO_SIZE)
def find_network(address: str) -> str:
    """Return whom an address counts for: itself, or its /64 with IPv6, which one customer has whole (RFC 6177 §2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))


class Front(msgspec.Struct, frozen=True):
    """What a trusted proxy says besides the origin, as far as it is to be kept; "" where it says nothing."""

    prefix: str = ""  # what it took off the front of the path
    port: str = ""
    request_id: str = ""


NO_FRONT: Final = Front()


class TrustedProxies:
    """The peers whose forwarding headers are believed: CIDRs, addresses, and `unix` for unix sockets.

    `keep` are names of further headers of theirs that are kept, in lower case; see `read_front`.
    """

    def __init__(self, entries: Sequence[str], *, keep: Iterable[str] = ()) -> None:
        self.kept = frozenset(name.encode() for name in keep)
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
    """Return the origin of a request.

    `scheme` and `host` are what the peer itself used. Raises `MalformedRequest` when a trusted peer contradicts
    itself, or cannot be understood.
    """
    seen = Origin(client_address=peer or "", scheme=scheme, host=host)
    said = _collect(headers) if trusted.trusts(peer) else None
    origin = _read_origin(said, seen, trusted) if said else seen
    if ":" not in origin.host:
        return origin
    return msgspec.structs.replace(origin, host=without_default_port(origin.scheme, origin.host))


def _read_origin(said: dict[bytes, str], seen: Origin, trusted: TrustedProxies) -> Origin:
    heard = (_read_x_forwarded(said), _read_standard(said))
    origins = [_build_origin(hops, seen, trusted) for hops in heard if hops]
    if len(origins) == 2 and not _agree(*origins):
        # a proxy that sets one kind and lets the client's other kind through is told apart from one that sets both
        raise MalformedRequest("a trusted proxy sends X-Forwarded-* and Forwarded, and they disagree")
    return origins[0] if origins else seen


def without_default_port(scheme: str, host: str) -> str:
    """Return a host without the port that its scheme stands for: it is the same host (RFC 3986 §6.2.3)."""
    return host.removesuffix(DEFAULT_PORTS.get(scheme, "/"))


def plain_origin(origin: str) -> str:
    """Return an origin, as a browser writes it in `Origin`, without a default port (RFC 6454 §6.1)."""
    scheme, separator, host = origin.partition("://")
    return f"{scheme}://{without_default_port(scheme, host)}" if separator else origin


def read_front(headers: Headers, *, peer: str | None, trusted: TrustedProxies) -> Front:
    """Return what a trusted peer says besides.

    Raises `MalformedRequest` for a prefix or port that is none, or comes twice. A request id that cannot be ours is
    passed over: nothing is decided by it.
    """
    if not trusted.kept or not trusted.trusts(peer):
        return NO_FRONT
    said: dict[bytes, str] = {}
    ids = 0
    for name, value in headers:
        if name not in trusted.kept:
            continue
        ids += name == b"x-request-id"
        if name in said and name != b"x-request-id":
            raise MalformedRequest("a trusted proxy sends X-Forwarded-Prefix or X-Forwarded-Port twice")
        said[name] = value.decode("latin-1")
    prefix, port = said.get(b"x-forwarded-prefix", "").rstrip("/"), said.get(b"x-forwarded-port", "")
    if prefix and (not _PREFIX.fullmatch(prefix) or not {".", ".."}.isdisjoint(prefix.split("/"))):
        raise MalformedRequest("a trusted proxy sends an X-Forwarded-Prefix that is no plain path")
    if port and not (_PORT_NUMBER.fullmatch(port) and int(port) <= _LAST_PORT):
        raise MalformedRequest("a trusted proxy sends an X-Forwarded-Port that is none")
    request_id = said.get(b"x-request-id", "")
    return Front(prefix, port, request_id if ids == 1 and _REQUEST_ID.fullmatch(request_id) else "")


def is_host(text: bytes) -> bool:
    """Whether `text` is a host name or address with an optional port, and nothing that could be read as more."""
    return _HOST.fullmatch(text) is not None


class Hop(NamedTuple):
    """What one proxy says of the request it received; None where it says nothing."""

    node: str | None
    proto: str | None
    host: str | None


def _build_origin(hops: list[Hop], seen: Origin, trusted: TrustedProxies) -> Origin:
    """Walk from the nearest proxy to the first hop that is not trusted; what stands further left may be invented."""
    address, proto, host = seen.client_address, seen.scheme, seen.host
    for hop in reversed(hops):
        proto = proto if hop.proto is None else hop.proto.lower()
        host = host if hop.host is None else hop.host
        if hop.node is None:
            break
        address = _read_address(hop.node)
        if not address or not trusted.trusts(address):
            break
    if proto not in _SCHEMES:
        raise MalformedRequest("a trusted proxy names a scheme that is none")
    if not is_host(host.encode("latin-1", "replace")):
        raise MalformedRequest("a trusted proxy names a host that is none")
    return Origin(client_address=address, scheme=_SCHEMES[proto], host=host)


def _agree(one: Origin, other: Origin) -> bool:
    hosts = {without_default_port(each.scheme, each.host.lower()) for each in (one, other)}
    return (one.client_address, one.scheme, len(hosts)) == (other.client_address, other.scheme, 1)


def _collect(headers: Headers) -> dict[bytes, str]:
    """Return what is said of the origin; several lines of a list make one (RFC 9110 §5.3)."""
    said: dict[bytes, str] = {}
    for name, value in headers:
        if name in SAY_ORIGIN and value:
            text = value.decode("latin-1")
            said[name] = f"{said[name]},{text}" if name in said else text
    return said


def _read_x_forwarded(said: dict[bytes, str]) -> list[Hop]:
    """Read the lists, aligned from the right. Of hosts the last word counts."""
    nodes = _split_list(said, b"x-forwarded-for")
    protos = _split_list(said, b"x-forwarded-proto")
    hosts = _split_list(said, b"x-forwarded-host")
    if not (nodes or protos or hosts):
        return []
    # Apache appends to a client's X-Forwarded-Host: by position, the client would choose the host
    nearest = Hop(nodes[-1] if nodes else None, protos[-1] if protos else None, hosts[-1] if hosts else None)
    further = nodes[-2::-1]
    hops = [Hop(node, proto, None) for node, proto in zip_longest(further, protos[-2::-1][: len(further)])]
    return [*reversed(hops), nearest]


def _split_list(said: dict[bytes, str], name: bytes) -> list[str]:
    """Return the items of a list; empty ones are none (RFC 9110 §5.6.1)."""
    return [item.strip() for item in said.get(name, "").split(",") if item.strip()]


def _read_standard(said: dict[bytes, str]) -> list[Hop]:
    """Read `Forwarded`: elements between commas, pairs between semicolons (RFC 7239 §4)."""
    return [_read_element(element) for element in _ELEMENT.findall(said.get(b"forwarded", "")) if element.strip()]


def _read_element(element: str) -> Hop:
    pairs: dict[str, str] = {}
    for pair in _PAIR_TEXT.findall(element):
        found = _PAIR.fullmatch(pair)
        if found is None:
            raise MalformedRequest("a trusted proxy sends a malformed Forwarded header")
        name, quoted, token = found[1].lower(), found[2], found[3]
        if name in pairs:  # RFC 7239 §4: each parameter once an element
            raise MalformedRequest("a trusted proxy sends a Forwarded element that says one thing twice")
        pairs[name] = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return Hop(pairs.get("for"), pairs.get("proto"), pairs.get("host"))


def _read_address(node: str) -> str:
    """Return a node without port and brackets; "" for `unknown` and obfuscated ones (RFC 7239 §6.2, §6.3)."""
    found = _NODE.fullmatch(node)
    if found is None:
        raise MalformedRequest("a trusted proxy names an address that is none")
    text: str = found["bracketed"] or found["bare"] or found["plain"]
    if text.lower() == "unknown" or text.startswith("_"):
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise MalformedRequest("a trusted proxy names an address that is none") from None
    # one client, one name: rate limits count by it
    return str(getattr(address, "ipv4_mapped", None) or address)
