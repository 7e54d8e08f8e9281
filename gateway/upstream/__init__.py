"""The app behind the gateway, and how requests are forwarded to it.

address     where the upstream is, and its limits
place       which of its places is next (load balancing), and which are left out (failover)
share       what one client may hold of the connections
request     the head and the body framing that are sent (sans-IO)
response    the head and the body framing that come back (sans-IO)
connection  one HTTP/1.1 connection, one exchange at a time
connecting  makes one
pool        the connections kept for reuse (connection pool, keep-alive)
http        requests: the ASGI side; when one may be sent again (retry)
handshake   opens a WebSocket
websocket   WebSockets: the ASGI side
tunnel      WebSockets: two sockets joined
proxy       both, as the reverse proxy that the web layer calls

`connection` and `pool` know nothing of ASGI: whoever writes a request head to a `Connection` and gives it a
`ResponseSink` can forward.
"""

from __future__ import annotations

from gateway.upstream.address import Address, Upstream
from gateway.upstream.proxy import ReverseProxy

__all__ = ["Address", "ReverseProxy", "Upstream"]
