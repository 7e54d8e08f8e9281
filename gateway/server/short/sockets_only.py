"""The short way for WebSockets only, where requests are to take the long one: it is there that they are traced."""

from __future__ import annotations

from typing import Any

from gateway.server.short.client import Client
from gateway.server.short.entry import ShortWay
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.learned import LearnedBlock


class SocketsOnly(ShortWay):
    """Takes WebSockets, and leaves every request to the ASGI app."""

    def read_block(self, raw: bytes, peer: str | None, scheme: str, *, counted: bool = False) -> LearnedBlock | None:
        """Know nothing, so that the parser reads each head."""
        return None

    def take(self, client: Client, *, websocket: bool = False, **read: Any) -> ShortExchange | None:
        """Take a WebSocket."""
        return super().take(client, websocket=True, **read) if websocket else None
