"""From an ASGI scope to a `RequestHead`.

Under our own server the raw request target is at hand (`gateway.target`); under somebody else's it is rebuilt from
`raw_path` and `query_string`. The header list is copied: a server may append trailers to its own list later.

`root_path` is part of `path` (ASGI, "HTTP Connection Scope"); where a server or a framework leaves it out, because a
front took it off, it is put in front. So the path that is judged is the public one, and the app is called with that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import Request

from gateway.core.forwarded import TrustedProxies
from gateway.core.names import ALL_NAMES, FieldNames
from gateway.core.path import CanonicalPath, canonicalise, encode_path, read_mount
from gateway.core.request import Limits, RequestHead, find_check_target, read_head

TARGET_KEY: Final = "gateway.target"
"""Scope key under which our server's protocol leaves the request target, as bytes."""

HEAD_KEY: Final = "gateway.head"
"""Scope key under which the door leaves the judged head."""
EXCHANGE_KEY: Final = "gateway.exchange"
"""Scope key of what is known of the request and its answer."""

Scope = Any
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class HeadReader:
    """Reads the head of a request from its scope, by the operator's limits, trusted proxies and dropped fields.

    `encoded_slashes`: some route takes them in paths. `probes` are targets that may be asked for without a Host in
    HTTP/1.0, as load balancers ask for a server's health; `own_host` stands in for it. For any other target nobody
    could say whose request it is.
    """

    def __init__(
        self,
        trusted: TrustedProxies,
        limits: Limits,
        names: FieldNames = ALL_NAMES,
        *,
        encoded_slashes: bool = False,
        own_host: bytes = b"",
        probes: frozenset[bytes] = frozenset(),
    ) -> None:
        self.trusted = trusted
        self.limits = limits
        self.names = names
        self.encoded_slashes = encoded_slashes
        self._own_host = own_host
        self._probes = probes

    def read(self, scope: Scope) -> RequestHead:
        """Return the head. Raises a `RequestRefused` when it cannot be understood in exactly one way."""
        client, headers = scope.get("client"), scope["headers"]
        mount = read_mount(_encode(scope.get("root_path") or ""))
        target = _read_target(scope, mount, self.limits)
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
            mount=mount.text if mount is not None else "",
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
        mount: str = "",
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
            names=self.names,
            http_version=http_version,
            websocket=websocket,
            mount=mount,
            encoded_slashes=self.encoded_slashes,
        )


def head_of(request: Request) -> RequestHead:
    """Return the judged head of a request to the gateway's own pages."""
    head: RequestHead = request.scope[HEAD_KEY]
    return head


def _read_target(scope: Scope, mount: CanonicalPath | None, limits: Limits) -> bytes:
    target: bytes | None = scope.get(TARGET_KEY)
    if target is not None:
        return target
    raw, query = scope.get("raw_path"), scope.get("query_string", b"")
    check = find_check_target(raw, _encode(scope["path"]), query, mount, limits)
    if check is not None:
        return check
    path = _read_path(scope)
    if mount is not None and path.startswith(b"/") and not _is_below(scope["path"], mount.text):
        path = mount.raw + path
    return path + b"?" + query if query else path


def _read_path(scope: Scope) -> bytes:
    """Return the path as it was received, if it is there, and if it is the one that the app would see."""
    raw: bytes | None = scope.get("raw_path")
    path: str = scope["path"]
    if raw is not None:
        if unquote(raw.decode("latin-1")) == path:
            return raw
        canonicalise(raw)  # refuses what decoding has hidden, such as an encoded slash
    # raw_path is optional in ASGI, and who rewrites a path may leave it as it was: what the app will see is judged
    return encode_path(_encode(path))


def _is_below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount + "/")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # which is no UTF-8 where there are surrogates, and so refused
