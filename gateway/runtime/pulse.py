"""Whether a gateway lives, in all its processes, and telling systemd of it (readiness, watchdog).

One process tells it from its event loop: what hangs there is silent. Of several, the parent tells it, for as long as
every worker has lately said so on a board that they share.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Generator
from typing import Final

from gateway.runtime.systemd import Systemd
from gateway.tasks import stop
from gateway.telemetry.board import Board

TICK: Final = 1.0
"""Seconds between two signs of life of a worker."""
FIRST_LOOK: Final = 0.1
"""Seconds between two looks of the parent, until all workers serve."""
BEAT, SERVES = range(2)


class Pulse:
    """What `systemd` is told of so many workers; made before they are forked."""

    def __init__(self, systemd: Systemd, workers: int) -> None:
        self._systemd = systemd
        self._workers = workers
        self._board = Board(rows=workers, columns=2)
        self._status = ""
        self._task: asyncio.Task[None] | None = None
        self._told_ready = False

    # A process that serves

    def begin(self, worker: int, status: str) -> None:
        """Say that this one serves, within its event loop; and go on saying that it lives, if systemd wants to hear."""
        self._status = status
        row = self._board.row(worker)
        row[BEAT], row[SERVES] = time.monotonic(), 1.0
        if self._workers == 1:
            self._look()
        if self._systemd.watchdog:
            self._task = asyncio.get_running_loop().create_task(self._run(row), name="pulse")

    async def close(self) -> None:
        """Say nothing more."""
        if self._task is not None:
            await stop(self._task)

    def tell_stopping(self) -> None:
        """Say that the gateway ends; of several workers, the parent says so."""
        if self._workers == 1:
            self._systemd.tell_stopping()

    @contextlib.contextmanager
    def reloading(self) -> Generator[None]:
        """Say that other settings are being taken, and then that this is done, whether or not they were."""
        self._systemd.tell_reloading()
        try:
            yield
        finally:
            self._systemd.tell_ready(self._status)

    async def _run(self, row: memoryview[float]) -> None:
        while True:
            await asyncio.sleep(min(TICK, self._systemd.watchdog / 2))
            row[BEAT] = time.monotonic()
            if self._workers == 1:
                self._look()

    # The parent of several, which waits for their ends and is woken by an alarm

    def watch(self, status: str) -> None:
        """Look after the workers from now on, by alarms."""
        self._status = status
        signal.signal(signal.SIGALRM, lambda *_: self._look())
        signal.setitimer(signal.ITIMER_REAL, FIRST_LOOK, FIRST_LOOK)

    def stop_watching(self) -> None:
        """Say that the gateway ends, and look no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._systemd.tell_stopping()

    def replace(self, worker: int) -> None:
        """Give a worker that takes a dead one's place as long as any."""
        self._board.row(worker)[BEAT] = time.monotonic()

    def _look(self) -> None:
        """Tell what there is to tell."""
        if not self._told_ready and self._board.total(SERVES) == self._workers:
            self._told_ready = True
            self._systemd.tell_ready(self._status)
            if self._workers > 1:
                often = self._systemd.watchdog / 2
                signal.setitimer(signal.ITIMER_REAL, often, often)  # 0, without a watchdog: no more alarms
        if self._told_ready and self._systemd.watchdog and self._all_live():
            self._systemd.tell_alive()

    def _all_live(self) -> bool:
        oldest = time.monotonic() - self._systemd.watchdog
        return all(self._board.row(worker)[BEAT] > oldest for worker in range(self._workers))
