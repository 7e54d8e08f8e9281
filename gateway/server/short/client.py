"""The client's connection, as the short way sees it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gateway.server.connections import ConnectionGuard
from gateway.server.short.learned import LearnedBlock
from gateway.upstream.tunnel import Tunnel


class Client(Protocol):
    """What a request on the short way needs of it; `ShortWayProtocol` obeys."""

    guard: ConnectionGuard
    transport: asyncio.Transport

    def own_fields(self) -> bytes:
        """Return the lines of a response head that are the server's own."""

    def date_field(self) -> bytes:
        """Return the one of them that is there in any case."""

    def hold(self, waiting: int) -> None:
        """Take no more of the request body for now: so many bytes of it wait for the upstream."""

    def release(self) -> None:
        """Take more of it."""

    def finish(self, block: LearnedBlock, *, whole: bool) -> None:
        """The answer has ended; if not `whole`, the connection must end too, and visibly so."""

    def leave_to(self, tunnel: Tunnel) -> bytes:
        """Hand the connection over for good; returns what has been received and belongs to the tunnel."""
