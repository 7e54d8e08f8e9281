"""WebDAV's second address: `Destination`, where a COPY or MOVE writes to (RFC 4918 §10.3).

The app obeys it as it obeys the request target, so it is judged as one: by the same routes, for the same person, as a
PUT there. It is handed on as it came, and so must be in canonical form but for its percent-encoding. On another host it
is another server's (§9.8.5, §9.9.4).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.forwarded import DEFAULT_PORTS
from gateway.core.path import CanonicalPath, canonicalise
from gateway.errors import DestinationElsewhere, MalformedRequest

JUDGED_AS: Final = "PUT"
"""The method by which routes judge a destination: whoever may not write there may not copy there."""

# Simple-ref = absolute-URI | ( path-absolute [ "?" query ] ); without user info, which would be a second host
_REFERENCE: Final = re.compile(
    rb"(?:(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<authority>[A-Za-z0-9._~:\[\]-]+))?"
    rb"(?P<path>/[\x21-\x7e]*?)?(?P<query>\?[\x21-\x7e]*)?"
)


class Reference(msgspec.Struct, frozen=True):
    """A destination: where, and how it was written."""

    path: CanonicalPath
    scheme: str = ""  # "" with `authority`: a path only
    authority: str = ""
    query: bytes = b""  # with its "?"


def read_destination(value: bytes, host: str) -> Reference:
    """Read a `Destination` of a request for `host`.

    Raises `MalformedRequest` for what can be read in two ways, `DestinationElsewhere` for another host.
    """
    found = _REFERENCE.fullmatch(value)
    if found is None or not (found["path"] or found["authority"]):
        raise MalformedRequest("the Destination is neither a path nor an http address")
    scheme, authority = (found["scheme"] or b"").decode().lower(), (found["authority"] or b"").decode()
    if authority and not _is_same_host(scheme, authority, host):
        raise DestinationElsewhere("the Destination is on another host")
    path = canonicalise(found["path"] or b"/", encoded_slashes=True, fixed=True)
    return Reference(path, scheme, authority, found["query"] or b"")


def _is_same_host(scheme: str, authority: str, host: str) -> bool:
    """Compare hosts, default ports aside. Clients behind TLS are known to say http, so the scheme does not count."""
    own = host.lower()
    named = authority.lower().removesuffix(DEFAULT_PORTS[scheme])
    return named == own or named in {own.removesuffix(port) for port in DEFAULT_PORTS.values()}
