"""The places where an app listens, and which of them gets the next connection: load balancing, and failover.

Rules
- A host name may stand for several places. It is looked up again while it is in use, since containers move: what is no
  longer named gets no more requests.
- The place with the fewest connections in use is next (WebSockets count). One that took no connection is left out for
  `DOWN_FOR` seconds, unless there is no other. So requests are what finds out (a passive health check), and nothing
  breaks a circuit: the best of the places is always tried.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.telemetry.logs import log
from gateway.upstream.address import Address, Upstream
from gateway.upstream.connection import Connection, Home

NAMES_LAST: Final = 30.0
"""Seconds for which a name is not looked up again."""
DOWN_FOR: Final = 10.0


class Place:
    """One address, with the connections to it."""

    __slots__ = ("address", "down_until", "gone", "idle", "name", "open")

    def __init__(self, address: Address, name: str) -> None:
        self.address = address
        self.name = name  # the host it was found under
        self.idle: list[Connection] = []  # the one used last at the end
        self.open = 0  # connections, idle ones and WebSockets included, and those being made
        self.down_until = 0.0
        self.gone = False  # the name no longer stands for it

    @property
    def in_use(self) -> int:
        """How many connections carry something."""
        return self.open - len(self.idle)

    def server_name(self, upstream: Upstream) -> str | None:
        """Return the name that the certificate must have; None for plain HTTP."""
        if upstream.ssl_context is None:
            return None
        return upstream.server_name or self.name or "localhost"


class Places:
    """The places of one app. `known` is empty until names have been looked up."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._has_names = any(address.is_name for address in upstream.addresses)
        self._found_at = float("-inf")
        self._lookup: asyncio.Task[None] | None = None
        self._turn = 0
        self.known: list[Place] = (
            [] if self._has_names else [Place(address, address.host) for address in upstream.addresses]
        )

    def choose(self, now: float) -> Place | None:
        """Return the place for the next request; None when none is known yet."""
        known = self.known
        if len(known) < 2:
            return known[0] if known else None
        return self.order(now)[0]

    def order(self, now: float) -> Sequence[Place]:
        """Return the places, best first: up, then with the fewest connections in use, then in turn."""
        self._turn += 1
        turn = self._turn % max(len(self.known), 1)
        places = self.known[turn:] + self.known[:turn]
        return sorted(places, key=lambda place: (max(place.down_until - now, 0.0), place.in_use))

    def leave_out(self, place: Home, now: float) -> None:
        """Note that a place took no connection, or dropped it without a word."""
        if len(self.known) > 1 and place.down_until <= now:
            log.warning("upstream_place_down", upstream=self._upstream.name, address=str(place.address))
        place.down_until = now + DOWN_FOR

    def are_due(self, now: float) -> bool:
        """Whether names have to be looked up (again)."""
        return self._has_names and now - self._found_at >= NAMES_LAST

    async def look_up(self) -> None:
        """Look the names up. Raises `UpstreamUnreachable` or `UpstreamTimeout` when no place is known afterwards."""
        await asyncio.shield(self.look_up_soon())

    def look_up_soon(self) -> asyncio.Task[None]:
        """Begin to look the names up, unless that is going on already."""
        if self._lookup is None or self._lookup.done():
            self._lookup = asyncio.create_task(self._look_up(), name="upstream names")
            self._lookup.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._lookup

    async def _look_up(self) -> None:
        loop, upstream = asyncio.get_running_loop(), self._upstream
        found: dict[Address, str] = {}
        try:
            async with asyncio.timeout(upstream.connect_timeout):
                for address in upstream.addresses:
                    found |= dict.fromkeys(await _find(loop, address), address.host)
        except (OSError, TimeoutError) as error:
            if not self.known:
                raise _explain(upstream, error) from None
            log.warning("upstream_name_not_found", upstream=upstream.name, reason=str(error) or "timeout")
            found = {place.address: place.name for place in self.known}  # better an old address than none
        self._found_at = loop.time()
        self._take(found)

    def _take(self, found: dict[Address, str]) -> None:
        kept = [place for place in self.known if place.address in found]
        for place in self.known:
            if place not in kept:
                place.gone = True
                for connection in tuple(place.idle):
                    connection.close()
        known = {place.address for place in kept}
        self.known = kept + [Place(address, name) for address, name in found.items() if address not in known]


async def _find(loop: asyncio.AbstractEventLoop, address: Address) -> Iterable[Address]:
    if not address.is_name:
        return [address]
    answers = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [Address(host=str(where[0]), port=address.port) for *_, where in answers]


def _explain(upstream: Upstream, error: Exception) -> UpstreamUnreachable | UpstreamTimeout:
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"the host name of the upstream {upstream} was not found in time")
    return UpstreamUnreachable(f"the host name of the upstream {upstream} is not known: {error}; is it spelled right?")
