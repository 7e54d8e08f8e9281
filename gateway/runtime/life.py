"""What is open or runs while a gateway serves: begun together, and closed in the reverse order of its making.

Who makes something of the kind hands it over here in the same line, so that its end cannot be forgotten; and what leans
on another is made after it, so it ends before it (graceful shutdown).
"""

from __future__ import annotations

import contextlib
from typing import Protocol, TypeVar


class Closable(Protocol):
    """Holds connections or tasks."""

    async def close(self) -> None:
        """Let go of them."""


class Service(Closable, Protocol):
    """Runs by itself, beside requests."""

    def start(self) -> None:
        """Begin, within the event loop; a second time is harmless."""


Made = TypeVar("Made", bound=Closable)
Run = TypeVar("Run", bound=Service)


class Life:
    """Everything of one generation that has an end."""

    def __init__(self) -> None:
        self.in_force = True  # False for a successor until it takes over, and for who was succeeded
        self._services: list[Service] = []
        self._until_succeeded: list[Closable] = []
        self._closers = contextlib.AsyncExitStack()

    def closing(self, made: Made) -> Made:
        """Have `made` closed at the end; returns it."""
        self._closers.push_async_callback(made.close)
        return made

    def running(self, service: Run) -> Run:
        """Have `service` started with the others, and closed at the end; returns it."""
        self._services.append(service)
        return self.closing(service)

    def leading(self, service: Run) -> Run:
        """As `running`, but it ends already when another generation takes over, whatever is still open."""
        self._until_succeeded.append(service)
        return self.running(service)

    async def abdicate(self) -> None:
        """Close what another generation does from now on."""
        self.in_force = False
        for service in reversed(self._until_succeeded):
            await service.close()

    def start(self) -> None:
        """Begin what runs beside requests, within the event loop."""
        for service in self._services:
            service.start()

    async def close(self) -> None:
        """Close all of it, the latest made first; what one of them raises comes out when all are closed."""
        await self._closers.aclose()
