"""Several worker processes on one host, forked from one parent (pre-fork server).

The parent holds the sockets and the shared boards, serves nothing, and starts anew what dies. Each worker has a TCP
socket of its own on the same address (SO_REUSEPORT), so that the kernel spreads connections evenly; a connection that
waits in a dead worker's socket is taken by its successor. A unix socket, and the admin listener, are shared by all.

SIGTERM or SIGINT to the parent: every worker drains and ends as it would alone; a second one ends them at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Final

from gateway.telemetry.logs import log

STEADY: Final = 5.0
"""Seconds after which a worker that dies is replaced at once; one that dies sooner is replaced after a pause."""
PAUSE: Final = 1.0


def run_workers(
    number: int, work: Callable[[int], None], *, replacing: Callable[[int], None], stopping: Callable[[], None]
) -> None:
    """Fork so many workers, and return when all have ended after a signal; `work` is called with a worker's number.

    `replacing` is called with the number of one that takes a dead one's place, `stopping` when they are told to end.
    """
    parent = _Parent(number, work, replacing, stopping)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, parent.stop)
    parent.run()


class _Parent:
    def __init__(
        self, number: int, work: Callable[[int], None], replacing: Callable[[int], None], stopping: Callable[[], None]
    ) -> None:
        self._work = work
        self._replacing = replacing
        self._tell_stopping = stopping
        self._workers: dict[int, tuple[int, float]] = {}  # process id to number and start
        self._stopping = False
        for each in range(number):
            self._fork(each)

    def run(self) -> None:
        """Replace workers that die, until all have been told to end and have."""
        while self._workers:
            pid, status = os.wait()
            number, started_at = self._workers.pop(pid)
            if self._stopping:
                continue
            log.error("worker_died", worker=number, code=os.waitstatus_to_exitcode(status), advice="it is replaced")
            if time.monotonic() - started_at < STEADY:
                time.sleep(PAUSE)
            if not self._stopping:
                self._replacing(number)
                self._fork(number)

    def stop(self, *_: object) -> None:
        """Tell every worker to end."""
        if not self._stopping:
            self._tell_stopping()
        self._stopping = True
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _fork(self, number: int) -> None:
        # a signal that comes between fork and note would miss the new worker
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(number)
            self._workers[pid] = number, time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def _be_worker(self, number: int) -> None:
        """Work, in the new process, and end it."""
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent tells us to end
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
            self._work(number)
            code = 0
        except BaseException:  # noqa: BLE001 -- the process ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(code)
