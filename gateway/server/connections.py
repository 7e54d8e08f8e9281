"""The client connections of a process: how many an address may have, and who looks at the clock for them.

The counts stand on a board that the workers of this host share, each address (with IPv6, each /64) in the slot that its
hash names. Two addresses in one slot count as one; with thousands of slots and a limit in the hundreds that harms
nobody.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from gateway.core.forwarded import TrustedProxies, find_network
from gateway.telemetry.board import Board
from gateway.telemetry.logs import log

SLOTS: Final = 16_384
TICK: Final = 1.0  # seconds between two looks at the clock
SILENCE: Final = 60.0  # seconds between two warnings


class Connection(Protocol):
    """A client connection."""

    def check(self, now: float) -> None:
        """End what takes too long."""


def open_connection_board(workers: int) -> Board:
    """Return a board for the counts of so many processes."""
    return Board(rows=workers, columns=SLOTS)


class ConnectionGuard:
    """Admits connections, and wakes those that wait once a second. `limit` 0 admits any number."""

    def __init__(self, limit: int, trusted: TrustedProxies, *, board: Board | None = None, worker: int = 0) -> None:
        self._limit = limit
        self._trusted = trusted
        self._board = board or open_connection_board(1)
        self._counts = self._board.row(worker)
        for slot in range(SLOTS):  # those of a predecessor are gone
            self._counts[slot] = 0.0
        self._slots: dict[Connection, int] = {}  # -1: not counted
        self._timer: asyncio.TimerHandle | None = None
        self._warned_at = -SILENCE

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._slots)

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Note a connection; False when its address has too many. Proxies that are trusted speak for many clients."""
        slot = -1
        if self._limit and address and not self._trusted.trusts(address):
            slot = hash(find_network(address)) % SLOTS
            if self._board.total(slot) >= self._limit:
                self._warn(address)
                return False
            self._counts[slot] += 1.0
        self._slots[connection] = slot
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        return True

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended, or that was not admitted."""
        slot = self._slots.pop(connection, -1)
        if slot >= 0:
            self._counts[slot] -= 1.0

    def replace(self, connection: Connection, successor: Connection) -> None:
        """Have another object stand for a connection."""
        self._slots[successor] = self._slots.pop(connection, -1)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK, self._tick) if self._slots else None
        now = loop.time()
        for connection in tuple(self._slots):
            connection.check(now)

    def _warn(self, address: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._warned_at >= SILENCE:
            self._warned_at = now
            log.warning(
                "too_many_connections",
                client=address,
                advice="raise limits.connections_per_address, or list the proxy it is in trusted_proxies",
            )
