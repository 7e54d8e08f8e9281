"""The head of one request, as every door hands it to the gate."""

from __future__ import annotations

import msgspec

from gateway.core.path import CanonicalPath

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order received; names in lower case, values without surrounding white space."""


class RequestHead(msgspec.Struct, frozen=True):
    """A request judged well-formed: what policy decides on, and exactly what is forwarded."""

    method: str
    scheme: str  # "http" or "https": what the visitor's browser spoke, trusted proxies considered
    host: str  # authority the visitor's browser asked for, e.g. "app.example.com:8443"
    path: CanonicalPath
    query: bytes  # raw, without "?"; byte-identical to what was received
    raw_target: bytes  # path and query exactly as received, to return to after a sign-in
    headers: Headers
    client_address: str  # right-most untrusted hop; "" when unknown
    websocket: bool = False
