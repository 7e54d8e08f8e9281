"""From a request to a WebSocket: when the upstream switches protocols, both sockets become the ends of a tunnel."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, Final

from gateway.core.response import AnswerField
from gateway.errors import UpstreamBroken
from gateway.flows.gate import Passage
from gateway.flows.live import OpenSocket
from gateway.server.short.lane import Means
from gateway.upstream.connection import Connection
from gateway.upstream.tunnel import Tunnel

if TYPE_CHECKING:
    from gateway.server.short.client import Client
    from gateway.server.short.exchange import ShortExchange

SWITCH: Final = b"connection: Upgrade\r\nupgrade: websocket\r\n"
"""What each side says of its own leg (RFC 6455 §4.1, §4.2.2)."""
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


def check_accept(key: bytes | None, fields: list[AnswerField]) -> None:
    """Check that the upstream has understood the handshake (RFC 6455 §4.1). Raises `UpstreamBroken`."""
    digest = hashlib.sha1((key or b"") + _GUID, usedforsecurity=False).digest()
    accepts = [field.value for field in fields if field.name == b"sec-websocket-accept"]
    if accepts != [base64.b64encode(digest)]:
        raise UpstreamBroken("the upstream switches protocols without having understood the WebSocket handshake")


def join(
    exchange: ShortExchange, client: Client, connection: Connection, passage: Passage, means: Means, rest: bytes
) -> None:
    """Join the client's socket and the upstream's; `rest` is what the upstream has said already.

    The request is told when the WebSocket ends. It is noted under its session, so that a sign-out ends it.
    """

    def ended() -> None:
        means.metrics.add_websockets(-1)
        means.live.opened.discard(socket)
        guard.discard(tunnel)
        connection.connection_lost(None)
        exchange.report()

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
    socket = OpenSocket(passage, tunnel.close)
    means.live.opened.add(socket)
    tunnel.start(client.leave_to(tunnel), rest)
