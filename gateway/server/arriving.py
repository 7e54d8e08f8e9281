"""A client connection before it speaks HTTP: while it shakes hands (TLS), or a balancer says for whom it is.

It counts as one of its address from the moment it is accepted, and has as long as a head may take, so that whoever
dawdles here holds no more than whoever dawdles later (slowloris).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from uvicorn.protocols.utils import get_remote_addr

from gateway.core.forwarded import unmap
from gateway.server.connections import ConnectionGuard
from gateway.telemetry.logs import log

Client = tuple[str, int]
"""Address and port."""


class Reception(NamedTuple):
    """What a server has for connections that arrive: who counts them, and the set that it ends when it ends.

    `patience`: how many seconds they have, from when they were accepted.
    """

    guard: ConnectionGuard
    patience: Callable[[], float]
    connections: set[Any]


class Arrived(Protocol):
    """A protocol that takes a connection over from here."""

    came_from: Client | None
    arrived_at: float


class Arriving(asyncio.Protocol):
    """One such connection."""

    came_from: Client | None = None  # who it is for, where a balancer has said so
    arrived_at = 0.0  # by the event loop's clock

    def __init__(self, reception: Reception) -> None:
        self.guard, patience, self._connections = reception
        self._patience = patience()
        self._client: Client | None = None
        self._raw: asyncio.Transport  # the event loop's

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless the address has too many connections already."""
        self._raw = transport
        self._connections.add(self)
        self.arrived_at = self.arrived_at or asyncio.get_running_loop().time()
        peer = self.came_from or get_remote_addr(transport)
        self._client = (unmap(peer[0]), peer[1]) if peer is not None else None
        if not self.guard.admit(self, self.address):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End unheard."""
        self._forget()

    @property
    def address(self) -> str | None:
        """Who it counts for; None over a unix socket."""
        return self._client[0] if self._client is not None else None

    def tick(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if now - self.arrived_at > self._patience:
            self.refuse("connection_not_begun", "it took too long")

    def pass_on_to(self, arrived: Arrived) -> None:
        """Leave the connection to `arrived`, which counts it from here on."""
        self._forget()
        arrived.came_from, arrived.arrived_at = self.came_from, self.arrived_at

    def refuse(self, event: str, reason: str) -> None:
        """End a connection that never began; whoever scans the network makes many, so it is told for debugging only."""
        log.debug(event, client=self.address or "", reason=reason)
        self._raw.close()
        self._forget()

    def shutdown(self) -> None:
        """End: the server does."""
        self._raw.abort()

    def _forget(self) -> None:
        self.guard.discard(self)
        self._connections.discard(self)
