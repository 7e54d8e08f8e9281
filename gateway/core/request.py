"""The head of one request, as every door hands it to the gate; and the reading of it, which refuses what is ambiguous.

Servers let much through that two programs read in two ways (request smuggling, desync); each check below names what it
stands on. A target that names another host than `Host` does is refused: the gateway fetches nothing for strangers
(SSRF). The result is frozen: policy decides on exactly what is forwarded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.core.fields import NAMES_A_MOUNT, Headers, is_token, normalised
from gateway.core.forwarded import (
    NO_FRONT,
    Front,
    TrustedProxies,
    is_host,
    read_forwarded,
    read_front,
    without_default_port,
)
from gateway.core.message_end import read_body_length
from gateway.core.names import ALL_NAMES, FieldNames
from gateway.core.path import CanonicalPath, canonicalise
from gateway.core.spelling import leads_up
from gateway.errors import HeadersTooLarge, MalformedRequest, MethodRefused, TargetTooLong

_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 §5.5: no CR, LF, NUL or other control
_QUERY_BYTES: Final = rb"[\x21\x22\x24-\x7e]*"  # visible ASCII without "#"
_PATH_BYTES: Final = rb"[\x21\x22\x24-\x3e\x40-\x7e]*"  # nor "?"
_QUERY: Final = re.compile(_QUERY_BYTES)
EXPECTS_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say "no content" aloud, with Content-Length: 0 (RFC 9110 §8.6)."""
_METHODS: Final = EXPECTS_BODY | {"GET", "HEAD", "DELETE", "OPTIONS"}
_PLAIN_LINE: Final = re.compile(
    rb"(%b) ((/%b)(?:\?(%b))?) HTTP/1\.1" % ("|".join(sorted(_METHODS)).encode(), _PATH_BYTES, _QUERY_BYTES)
)
"""A request line of the plainest form (RFC 9112 §3), of a usual method."""
LONGEST_METHOD: Final = 64
"""Most characters of a method; those of WebDAV and its kin have at most 17."""
ROOM: Final = 1024
"""Bytes for what our own targets say besides the one that they name."""
UNKNOWN_METHOD: Final = ""
"""Stands for the method of a request whose front does not tell it; nobody can send it."""


class RequestHead(msgspec.Struct, frozen=True):
    """A request judged well-formed: what policy decides on, and exactly what is forwarded."""

    method: str
    scheme: str  # "http" or "https": what the visitor's browser spoke, trusted proxies considered
    host: str  # authority the visitor's browser asked for, e.g. "app.example.com:8443"; never with a default port
    path: CanonicalPath
    query: bytes  # raw, without "?"; byte-identical to what was received
    raw_target: bytes  # path and query exactly as the browser has them, to return to after a sign-in
    headers: Headers
    client_address: str  # right-most untrusted hop; "" when unknown
    websocket: bool = False
    mount: str = ""  # the part of `path.text` that the app hangs below (root_path, SCRIPT_NAME); "" at the root
    destination: bytes | None = None  # what WebDAV's `Destination` says, see `webdav`
    front: Front = NO_FRONT  # what a trusted proxy says besides
    scheme_told: bool = False  # whether a trusted proxy named the scheme

    def __repr__(self) -> str:
        """Show no cookie and no query: this object may end in a traceback of the app."""
        return f"RequestHead({self.method} {self.path.text!r})"

    @property
    def is_bare(self) -> bool:
        """Whether the target has a "?" with no query after it."""
        return not self.query and b"?" in self.raw_target


class Limits(msgspec.Struct, frozen=True):
    """How large a request head may be."""

    header_bytes: int = 32 * 1024
    header_count: int = 100
    target_bytes: int = 8 * 1024
    own_targets: tuple[bytes, ...] = ()  # how targets of our own begin that name another one in their query
    check_target: bytes = b""  # the one of our own whose rest is another one, whole

    def takes_address(self, target: bytes) -> bool:
        """Whether a target is of our own, and long only for the one that it names: every byte of that may be three."""
        return len(target) <= 3 * self.target_bytes + ROOM and target.startswith(self.own_targets)

    def holds_another(self, target: bytes) -> bool:
        """Whether a target's rest is that of another request.

        Nothing of it is this request's own: dot segments there must lead to no page of ours (path traversal).
        """
        own = self.check_target
        return bool(own) and target.startswith(own) and target[len(own) : len(own) + 1] in {b"/", b"?"}


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
    mount: str = "",
    encoded_slashes: bool = False,
) -> RequestHead:
    """Read the head of a request; fields that `names` drops are left out.

    `target` is the request target as received, `peer` the address of the other end (None over a unix socket), `mount`
    the canonical path that the app hangs below, which is part of the target. The asterisk form (`OPTIONS *`, RFC 9112
    §3.2.4) is refused: no route can match it. `encoded_slashes`: there are routes that take them.
    Raises `MalformedRequest`, `MethodRefused`, `TargetTooLong` or `HeadersTooLarge`.
    """
    check_method(method)
    own_length = len(limits.check_target) if limits.holds_another(target) else 0
    if len(target) - own_length > limits.target_bytes and not limits.takes_address(target):
        raise TargetTooLong(f"the request target is longer than {limits.target_bytes} bytes")
    fields = read_headers(headers, limits, names)
    read_body_length(fields, http_version)
    host, destination = _read_singular(fields)
    raw_target = target if target.startswith(b"/") else _strip_authority(target, host)
    own_part = limits.check_target if limits.holds_another(raw_target) else raw_target
    path, query = split_target(own_part, encoded_slashes=encoded_slashes)
    if mount:
        _check_mounted(path, mount, fields)
    front = read_front(fields, peer=peer, trusted=trusted) if trusted.kept else NO_FRONT
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
        path=path,
        query=query,
        raw_target=front.prefix.encode() + raw_target if front.prefix else raw_target,
        headers=fields,
        client_address=origin.client_address,
        websocket=websocket,
        mount=mount,
        destination=destination,
        front=front,
        scheme_told=trusted.trusts(peer) and any(_names_scheme(*field) for field in fields),
    )


def _names_scheme(name: bytes, value: bytes) -> bool:
    return name == b"x-forwarded-proto" or (name == b"forwarded" and b"proto=" in value.lower())


def find_check_target(
    raw: bytes | None, path: bytes, query: bytes, mount: CanonicalPath | None, limits: Limits
) -> bytes | None:
    """Return the whole target of a check that has another request's behind it, as it was received; None for any other.

    `raw` is the path as it was received, if the server tells it, and `path` what the server made of it. Servers decode,
    and some resolve dot segments, so `path` is not what a front asks about. Raises `MalformedRequest` without `raw`.
    """
    if raw is not None:
        for received in (raw, mount.raw + raw) if mount is not None else (raw,):
            if limits.holds_another(received):
                return received + b"?" + query if query else received
    if limits.holds_another(path):
        raise MalformedRequest("the server does not tell a target as it was received: no front can ask by path here")
    return None


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


def split_target(target: bytes, *, encoded_slashes: bool = False, fixed: bool = False) -> tuple[CanonicalPath, bytes]:
    """Return the path and the query of a target in origin form; see `canonicalise`.

    Raises `MalformedRequest` for what is none.
    """
    path, _, query = target.partition(b"?")
    if not _QUERY.fullmatch(query):
        raise MalformedRequest("the query has a character that does not belong there")
    return canonicalise(path, encoded_slashes=encoded_slashes, fixed=fixed), query


def split_plain_line(line: bytes) -> tuple[str, bytes, bytes, bytes] | None:
    """Return method, target, path and query of a request line of the plainest kind, given without its end.

    None for any other: that it is refused is for whoever reads it as a whole to say.
    """
    found = _PLAIN_LINE.fullmatch(line)
    if found is None:
        return None
    method, target, path, query = found.groups()
    return method.decode("ascii"), target, path, query or b""


def check_method(method: str) -> None:
    """Check a request method. Raises `MethodRefused` for one that is never forwarded, `MalformedRequest` for none."""
    if method in _METHODS:
        return
    if len(method) > LONGEST_METHOD:
        raise MalformedRequest(f"the method is longer than {LONGEST_METHOD} characters")
    # CONNECT asks for a tunnel, TRACE for our own headers back (RFC 9110 §9.3.6, §9.3.8)
    if method.upper() in {"CONNECT", "TRACE", "TRACK"}:
        raise MethodRefused(f"{method} is not forwarded")
    if not is_token(method.encode("utf-8", "replace")):
        raise MalformedRequest("the method is no token")


def _read_singular(fields: Headers) -> tuple[bytes, bytes | None]:
    """Return the host and, of WebDAV, the destination. Raises `MalformedRequest` unless there is exactly one host."""
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1:
        raise MalformedRequest("there are two Host headers")  # RFC 9112 §3.2
    if not hosts or not is_host(hosts[0]):
        raise MalformedRequest("Host is missing or is no host")
    destinations = [value for name, value in fields if name == b"destination"]
    if len(destinations) > 1:
        raise MalformedRequest("there are two Destination headers")  # RFC 4918 §10.3
    return hosts[0], destinations[0] if destinations else None


def _check_mounted(path: CanonicalPath, mount: str, fields: Headers) -> None:
    """Refuse what the app would be called with otherwise than it is judged.

    An app looks at what is left below its mount. So the path must be there, dot segments resolved; and where the mount
    is, is not for a request to say: it could have any part of a path that is open cut off from one that is not.
    """
    if not (path.is_under(mount) and path.keep_slashes().is_under(mount)):
        raise MalformedRequest(f"the path leads out of where the app is mounted ({mount})")
    if leads_up(path.text):  # what is above the mount, the app cannot know, and would end at its own root
        raise MalformedRequest("the path has dot segments that are encoded twice, or hidden otherwise, below a mount")
    if any(normalised(name) in NAMES_A_MOUNT for name, _ in fields):
        raise MalformedRequest(
            "a header names the mount (Script-Name, Daphne-Root-Path): set it where the server starts"
        )


def _strip_authority(target: bytes, host: bytes) -> bytes:
    """Read an absolute-form target (RFC 9112 §3.2.2), only if it names the very host of the Host header."""
    scheme, separator, rest = target.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    spoken = scheme.lower().decode("latin-1")
    named, asked = (without_default_port(spoken, each.lower().decode("latin-1")) for each in (authority, host))
    if not separator or spoken not in {"http", "https"} or named != asked:
        raise MalformedRequest("the request target is neither a path nor an address of this host")
    return slash + path if slash else b"/"
