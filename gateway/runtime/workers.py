"""Several worker processes on one host, forked from one parent (pre-fork server).

The parent holds the sockets and the shared boards, serves nothing, and starts anew what dies. Each worker has a TCP
socket of its own on the same address (SO_REUSEPORT), so that the kernel spreads connections evenly; a connection that
waits in a dead worker's socket is taken by its successor. A unix socket, and the admin listener, are shared by all.

SIGTERM or SIGINT to the parent: every worker drains and ends as it would alone; a second one ends them at once. SIGHUP:
all of them have the settings read anew (see `fleet`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

from gateway.runtime.fleet import Fleet
from gateway.runtime.pulse import Pulse
from gateway.telemetry.logs import log

STEADY: Final = 5.0
"""Seconds after which a worker that dies is replaced at once; one that dies sooner is replaced after a pause."""
PAUSE: Final = 1.0
_ENDS: Final = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[int, Connection], None]


def run_workers(number: int, work: Work, fleet: Fleet, pulse: Pulse) -> None:
    """Fork so many workers, and return when all have ended after a signal.

    `work` is called with a worker's number, and with its link to the parent's `fleet`. `pulse` is told of what ends.
    """
    parent = _Parent(number, work, fleet, pulse)
    for name in _ENDS:
        signal.signal(name, parent.stop)
    signal.signal(signal.SIGHUP, lambda *_: fleet.want())
    parent.run()


class _Parent:
    def __init__(self, number: int, work: Work, fleet: Fleet, pulse: Pulse) -> None:
        self._work = work
        self._fleet = fleet
        self._pulse = pulse
        self._workers: dict[int, tuple[int, float]] = {}  # process id to number and start
        self._stopping = False
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)  # a signal ends any wait
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for each in range(number):
            self._fork(each)

    def run(self) -> None:
        """Replace workers that die, until all have been told to end and have."""
        while self._workers:
            self._fleet.turn(self._woken.fileno())
            with contextlib.suppress(BlockingIOError):
                while self._woken.recv(4096):
                    pass
            self._reap()

    def stop(self, *_: object) -> None:
        """Tell every worker to end."""
        if not self._stopping:
            self._pulse.stop_watching()
        self._stopping = True
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        """See to all that have ended."""
        for pid in tuple(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._replace(pid, status)

    def _replace(self, pid: int, status: int) -> None:
        number, started_at = self._workers.pop(pid)
        self._fleet.leave(number)
        if self._stopping:
            return
        log.error("worker_died", worker=number, code=os.waitstatus_to_exitcode(status), advice="it is replaced")
        if time.monotonic() - started_at < STEADY:
            time.sleep(PAUSE)
        if not self._stopping:
            self._pulse.replace(number)
            self._fork(number)

    def _fork(self, number: int) -> None:
        link = self._fleet.join(number)
        # a signal that comes between fork and note would miss the new worker
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            pid = os.fork()
            if pid == 0:
                self._be_worker(number, link)
            self._workers[pid] = number, time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
            link.close()

    def _be_worker(self, number: int, link: Connection) -> None:
        """Work, in the new process, and end it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to all; the parent tells us what to do
                signal.signal(each, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
            self._work(number, link)
            code = 0
        except BaseException:  # noqa: BLE001 -- the process ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(code)
