"""The reverse proxy that the web layer calls: requests and WebSockets to one upstream."""

from __future__ import annotations

import asyncio

from gateway.core.fields import Fields
from gateway.core.request import RequestHead
from gateway.core.response import EditResponse
from gateway.upstream.address import Upstream
from gateway.upstream.http import Receive, Send, forward
from gateway.upstream.pool import Pool
from gateway.upstream.websocket import SocketRelay


class ReverseProxy:
    """Forwards to one upstream. `headers` come in final: hop-by-hop fields removed, Host present.

    `edit_response` gets the answer's fields (hop-by-hop fields still there) and returns those for the client.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.pool = Pool(upstream)
        self._sockets = SocketRelay(self.pool)

    async def forward(
        self,
        head: RequestHead,
        headers: Fields,
        receive: Receive,
        send: Send,
        edit_response: EditResponse | None = None,
    ) -> None:
        """Forward a request; see `http.forward` for what is raised, and when."""
        await forward(self.pool, head, headers, receive, send, edit_response)

    async def relay(
        self,
        head: RequestHead,
        headers: Fields,
        receive: Receive,
        send: Send,
        edit_response: EditResponse | None = None,
    ) -> None:
        """Relay a WebSocket; see `websocket.SocketRelay.relay`."""
        await self._sockets.relay(head, headers, receive, send, edit_response)

    async def reachable(self) -> None:
        """Connect once, for readiness.

        Raises:
            UpstreamUnreachable, UpstreamTimeout: the upstream takes no connections.
        """
        await self.pool.reach()

    async def close(self) -> None:
        """Close what is idle; exchanges still going on end by themselves."""
        self.pool.close()
        await self._sockets.close()
        await asyncio.sleep(0)  # the event loop learns what was closed
