"""From a request to a WebSocket: when the upstream switches protocols, both sockets become the ends of a tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.flows.gate import Passage
from gateway.flows.live import Asked, OpenSocket
from gateway.server.short.client import Client
from gateway.server.short.lane import Means
from gateway.upstream.connection import Connection
from gateway.upstream.tunnel import Tunnel


def join(
    client: Client,
    connection: Connection,
    passage: Passage,
    asked: Asked,
    means: Means,
    rest: bytes,
    report: Callable[[], None],
) -> None:
    """Join the client's socket and the upstream's; `rest` is what the upstream has said already.

    `report` tells the request, when the WebSocket ends. It is noted under its session, so that a sign-out ends it.
    """

    def ended() -> None:
        means.metrics.add_websockets(-1)
        means.live.opened.discard(socket)
        guard.discard(tunnel)
        connection.connection_lost(None)
        report()

    guard = client.guard
    tunnel = Tunnel(
        client.transport,
        connection.detach(),
        loop=asyncio.get_running_loop(),
        idle_limit=means.websocket_idle,
        ended=ended,
        may_wait=guard.note_waiting,
    )
    means.metrics.add_websockets(1)
    socket = OpenSocket(passage, tunnel.close, asked)
    means.live.opened.add(socket)
    tunnel.start(client.leave_to(tunnel), rest)
