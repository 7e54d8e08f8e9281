"""The app behind the gateway, and how requests are forwarded to it.

    address      where the upstream is, and its limits
    request      the head and the body framing that are sent (sans-IO)
    response     the head and the body framing that come back (sans-IO)
    connection   one HTTP/1.1 connection, one exchange at a time
    pool         the connections kept for reuse
    http         requests: the ASGI side
    handshake    opens a WebSocket
    websocket    WebSockets: the ASGI side
    proxy        both, as the reverse proxy that the web layer calls

`connection` and `pool` know nothing of ASGI: whoever writes a request head to a `Connection` and gives it a
`ResponseSink` can forward.
"""

from __future__ import annotations

from gateway.upstream.address import Upstream
from gateway.upstream.proxy import ReverseProxy

__all__ = ["ReverseProxy", "Upstream"]
