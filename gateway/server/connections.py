"""The client connections of a process: how many an address may have, what may wait for it, and who looks at the clock.

The counts stand on a board that the workers of this host share, each address (with IPv6, each /64) in the slot that its
hash names. Two addresses in one slot count as one; with thousands of slots and a limit in the hundreds that harms
nobody. So a flood from one address (denial of service) leaves room for all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

from gateway.core.forwarded import TrustedProxies, find_network
from gateway.server.trim import Tide
from gateway.telemetry.board import Board
from gateway.telemetry.logs import log

SLOTS: Final = 16_384
TURNS: Final = 0.005
"""Seconds in which connections that have much to be parsed have their turn, before the event loop sees to others."""
TICK: Final = 1.0  # seconds between two looks at the clock
AT_ONCE: Final = 128
"""Connections that are told of the clock in one turn of the event loop: all at once would keep it from all others."""
SILENCE: Final = 60.0  # seconds between two warnings


class Connection(Protocol):
    """A client connection."""

    def tick(self, now: float) -> None:
        """End what takes too long."""


class Parsing(Protocol):
    """A connection that has more to parse than may be done in one go."""

    def go_on(self) -> None:
        """Parse some of it."""


def open_connection_board(workers: int) -> Board:
    """Return a board for the counts of so many processes."""
    return Board(rows=workers, columns=SLOTS)


class ConnectionGuard:
    """Admits connections, and wakes those that wait once a second.

    `limit` 0 admits any number. `most_waiting` is how many bytes may wait in this process for one address and from it:
    what was read and cannot be passed on yet, and what nobody takes; 0 for any number.
    """

    def __init__(
        self,
        limit: int,
        trusted: TrustedProxies,
        *,
        most_waiting: int = 0,
        board: Board | None = None,
        worker: int = 0,
    ) -> None:
        self._limit = limit
        self._most_waiting = most_waiting
        self._trusted = trusted
        self._board = board or open_connection_board(1)
        self._counts = self._board.row(worker)
        for slot in range(SLOTS):  # those of a predecessor are gone
            self._counts[slot] = 0.0
        self._slots: dict[Connection, int] = {}  # -1: not counted
        self._waiting: dict[Connection, tuple[int, int]] = {}  # slot, and bytes, where there are any
        self._waiting_of: Counter[int] = Counter()  # all of a slot
        self._tide = Tide()
        self._turns: deque[Parsing] = deque()
        self._turning = False  # whether they are about to be given
        self._timer: asyncio.TimerHandle | None = None
        self._warned_at: dict[str, float] = {}

    def adopt(self, limit: int, trusted: TrustedProxies, *, most_waiting: int) -> None:
        """Go by other limits from now on; connections that are counted stay counted."""
        self._limit = limit
        self._trusted = trusted
        self._most_waiting = most_waiting

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._slots)

    def admit(self, connection: Connection, address: str | None) -> bool:
        """Note a connection; False when its address has too many. Proxies that are trusted speak for many clients."""
        slot = self._find_slot(address)
        if slot >= 0:
            if self._limit and self._board.total(slot) >= self._limit:
                self._warn("too_many_connections", "limits.connections_per_address", address or "")
                return False
            self._counts[slot] += 1.0
        self._slots[connection] = slot
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        return True

    def _find_slot(self, address: str | None) -> int:
        return hash(find_network(address)) % SLOTS if address and not self._trusted.trusts(address) else -1

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended, or that was not admitted."""
        self.note_waiting(connection, 0)
        slot = self._slots.pop(connection, -1)
        if slot >= 0:
            self._counts[slot] -= 1.0

    def replace(self, connection: Connection, successor: Connection) -> None:
        """Have another object stand for a connection."""
        self.note_waiting(connection, 0)
        self._slots[successor] = self._slots.pop(connection, -1)

    def note_waiting(self, connection: Connection, size: int, address: str | None = None) -> bool:
        """Note how many bytes wait on a connection; False when it is one too many of its address.

        `address`: whose it is, where it is only a part of a connection, and not admitted itself.
        """
        slot, before = self._waiting.pop(connection, (-1, 0))
        if slot < 0:
            slot = self._slots.get(connection, -1)
        if slot < 0 and size:
            slot = self._find_slot(address)
        if slot < 0 or not (size or before):
            return True
        total = self._waiting_of[slot] = self._waiting_of[slot] + size - before
        if size:
            self._waiting[connection] = slot, size
        elif not total:
            del self._waiting_of[slot]
        if not size or not self._most_waiting or total <= self._most_waiting:
            return True
        self._warn("too_much_waits", "limits.waiting_per_address")
        return False

    @property
    def is_busy(self) -> bool:
        """Whether some connection waits for its turn."""
        return bool(self._turns)

    def call_in_turn(self, connection: Parsing) -> None:
        """Have a connection go on soon, after those that wait already."""
        self._turns.append(connection)
        self._give_turns_soon()

    def _give_turns_soon(self) -> None:
        if self._turns and not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._give_turns)

    def _give_turns(self) -> None:
        """Let connections go on for a moment; then the event loop sees to the others."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURNS
        try:
            for _ in range(len(self._turns)):
                self._turns.popleft().go_on()
                if loop.time() >= until:
                    break
        finally:
            self._turning = False
            self._give_turns_soon()

    def _tick(self) -> None:
        """Begin to tell all connections of the clock."""
        self._tide.look(len(self._slots), self._waiting_of.total())
        self._tell_some(iter(tuple(self._slots)))

    def _tell_some(self, connections: Iterator[Connection]) -> None:
        """Tell some of them, and the others in the next turns; all of them anew, a while after the last."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        some = tuple(islice(connections, AT_ONCE))
        for connection in some:
            if connection in self._slots:  # it may have ended since the first were told
                connection.tick(now)
        if some:
            loop.call_soon(self._tell_some, connections)
        else:
            self._timer = loop.call_later(TICK, self._tick) if self._slots else None

    def trusts(self, address: str | None) -> bool:
        """Whether a peer is one of the trusted proxies."""
        return self._trusted.trusts(address)

    def warn(self, event: str, **said: str) -> None:
        """Warn of something that anybody can bring about; of one kind no more than once a minute."""
        now = asyncio.get_running_loop().time()
        if now - self._warned_at.get(event, -SILENCE) >= SILENCE:
            self._warned_at[event] = now
            log.warning(event, **said)

    def _warn(self, event: str, limit: str, client: str = "") -> None:
        self.warn(event, client=client, advice=f"raise {limit}, or list the proxy it is in trusted_proxies")
