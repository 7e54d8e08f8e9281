"""From an ASGI scope to a `RequestHead`.

Under our own server the raw request target is at hand (`gateway.target`); under somebody else's it is rebuilt from
`raw_path` and `query_string`. The header list is copied: a server may append trailers to its own list later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from gateway.core.forwarded import TrustedProxies
from gateway.core.request import Limits, RequestHead, read_head

TARGET_KEY: Final = "gateway.target"
"""Scope key under which our server's protocol leaves the request target, as bytes."""

Scope = Any


class HeadReader:
    """Reads the head of a request from its scope, by the operator's limits and trusted proxies.

    `probes` are targets that may be asked for without a Host in HTTP/1.0, as load balancers ask for a server's health;
    `own_host` stands in for it. For any other target nobody could say whose request it is.
    """

    def __init__(
        self, trusted: TrustedProxies, limits: Limits, *, own_host: bytes = b"", probes: frozenset[bytes] = frozenset()
    ) -> None:
        self.trusted = trusted
        self.limits = limits
        self._own_host = own_host
        self._probes = probes

    def read(self, scope: Scope) -> RequestHead:
        """Return the head. Raises a `RequestRefused` when it cannot be understood in exactly one way."""
        client, target, headers = scope.get("client"), _read_target(scope), scope["headers"]
        if scope.get("http_version") == "1.0" and target in self._probes and not any(n == b"host" for n, _ in headers):
            headers = [*headers, (b"host", self._own_host)]  # RFC 9112 §3.2: only HTTP/1.1 demands it
        return self.read_raw(
            method=scope.get("method", "GET"),
            scheme=scope.get("scheme", "http"),
            target=target,
            headers=headers,
            peer=client[0] if client else None,
            http_version=scope.get("http_version", "1.1"),
            websocket=scope["type"] == "websocket",
        )

    def read_raw(
        self,
        *,
        method: str,
        scheme: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        peer: str | None,
        http_version: str = "1.1",
        websocket: bool = False,
    ) -> RequestHead:
        """Return the head, read from its parts; raises as `read` does."""
        return read_head(
            method=method,
            scheme=scheme,
            target=target,
            headers=headers,
            peer=peer,
            trusted=self.trusted,
            limits=self.limits,
            http_version=http_version,
            websocket=websocket,
        )


def _read_target(scope: Scope) -> bytes:
    target: bytes | None = scope.get(TARGET_KEY)
    if target is not None:
        return target
    path: bytes | None = scope.get("raw_path")
    if path is None:
        # raw_path is optional in ASGI; what the app will see is the decoded path, so judge exactly that
        path = quote(scope["path"], safe="/!$&'()*+,;=:@-._~").encode()
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path
