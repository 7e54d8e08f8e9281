"""Load of small requests that come when they come, whether or not those before are answered (an open loop).

The moments are fixed beforehand (a Poisson process of a given seed), and the time of an answer counts from the moment
at which its request was due. So a proxy that pauses is charged for all who would have come meanwhile, also for those
who waited here because every connection was busy (no coordinated omission).

asyncio's timers have a resolution of a millisecond, which would send requests in bursts; here `select` waits for the
next moment to microseconds, without spinning, since the app is on the same core. How late requests went out though a
connection was free, is told: where that is much of what was measured, it is the load that was slow, not the proxy.
"""

from __future__ import annotations

import contextlib
import gc
import random
import select
import socket
from array import array
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from benchmarks.load.answers import Reading
from benchmarks.load.requests import SETTLE, Load

PATIENCE = 5.0
"""Longest time in seconds for answers to come after the last request was due; those that do not are errors."""
_BATCH = 16
"""Requests sent before answers are looked for."""


class OpenLoad(Load):
    """What came back, and how far the load itself kept to its times."""

    late: array[float]
    """Seconds after its moment at which each request was sent that found a connection free, ascending."""

    def lateness(self, part: float) -> float:
        """Milliseconds within which this part (0 to 1) of those requests was sent."""
        return self.late[min(int(len(self.late) * part), len(self.late) - 1)] * 1000 if self.late else float("nan")


def ask_at_times(
    port: int, make: Callable[[], bytes], *, rate: float, seconds: float, connections: int, seed: int
) -> OpenLoad:
    """Ask `rate` times a second on average, on no more than so many connections; `make` makes each request, a GET."""
    times = choose_times(rate, SETTLE + seconds, seed)
    gc.collect()
    gc.disable()
    try:
        with contextlib.closing(_Crowd(port, make, connections)) as crowd:
            _wait_exactly()
            return crowd.ask(times, seconds)
    finally:
        gc.enable()


def choose_times(rate: float, seconds: float, seed: int) -> array[float]:
    """The moments in seconds from the begin, of events that know nothing of each other (a Poisson process)."""
    chance = random.Random(seed)
    times, moment = array("d"), chance.expovariate(rate)
    while moment < seconds:
        times.append(moment)
        moment += chance.expovariate(rate)
    return times


def _wait_exactly() -> None:
    """Have the kernel wake this thread when it said, and not up to 50 µs later (proc(5): timerslack_ns)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1")


class _Line:
    """One connection, and when the request that is under way on it was due."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.answer = Reading()
        self.due = 0.0


class _Crowd:
    """All connections, and those who wait for one."""

    def __init__(self, port: int, make: Callable[[], bytes], connections: int) -> None:
        self._port = port
        self._make = make
        self._poll = select.epoll()
        self._lines: dict[int, _Line] = {}
        self._free: deque[_Line] = deque()
        self._waiting: deque[float] = deque()  # when each was due
        self._times, self._late, self._errors = array("d"), array("d"), 0
        self._counted_from = 0.0
        for _ in range(connections):
            self._connect()

    def ask(self, times: array[float], seconds: float) -> OpenLoad:
        """Send each request at its time, and wait for what is still to come."""
        began = perf_counter()
        self._counted_from = began + SETTLE
        dues = deque(began + moment for moment in times)
        while dues:
            now = perf_counter()
            for _ in range(_BATCH):
                if not dues or dues[0] > now:
                    break
                self._send(dues.popleft())
            self._receive(dues[0] - perf_counter() if dues else 0.0)
        give_up_at = perf_counter() + PATIENCE
        while self._under_way and perf_counter() < give_up_at:
            self._receive(0.01)
        return OpenLoad(
            times=array("d", sorted(self._times)),
            answers=len(times) - self._under_way,
            errors=self._errors + self._under_way,
            seconds=seconds,
            late=array("d", sorted(self._late)),
        )

    def close(self) -> None:
        """Hang up."""
        for line in self._lines.values():
            line.sock.close()
        self._poll.close()

    @property
    def _under_way(self) -> int:
        return len(self._waiting) + len(self._lines) - len(self._free)

    def _connect(self) -> None:
        line = _Line(self._port)
        self._lines[line.sock.fileno()] = line
        self._poll.register(line.sock, select.EPOLLIN)
        self._free_up(line)

    def _send(self, due: float) -> None:
        """Send a request that is due, or have it wait for a connection."""
        if not self._free:
            self._waiting.append(due)
            return
        if due >= self._counted_from:
            self._late.append(perf_counter() - due)
        self._send_on(self._free.popleft(), due)

    def _send_on(self, line: _Line, due: float) -> None:
        line.due = due
        line.answer.begin()
        try:
            line.sock.sendall(self._make())
        except OSError:
            self._lose(line)

    def _receive(self, longest: float) -> None:
        """Take the answers that are there; wait so many seconds for one."""
        if longest > 0:
            select.select([self._poll], [], [], longest)
        for number, _ in self._poll.poll(0):
            line = self._lines[number]
            try:
                data = line.sock.recv(65536)
                whole = line.answer.take(data)
            except BlockingIOError:  # of one that took the place of another which was lost
                continue
            except (OSError, ValueError):
                data = b""
            if not data:
                self._lose(line)
            elif whole:
                self._note(line)

    def _note(self, line: _Line) -> None:
        """An answer is whole; the connection is free for who waits."""
        if not line.answer.good:
            self._errors += 1
        elif line.due >= self._counted_from:
            self._times.append(perf_counter() - line.due)
        self._free_up(line)

    def _free_up(self, line: _Line) -> None:
        line.due = 0.0
        if self._waiting:
            self._send_on(line, self._waiting.popleft())
        else:
            self._free.append(line)

    def _lose(self, line: _Line) -> None:
        """Another connection for one that was lost, and with it an answer, if one was to come."""
        self._errors += bool(line.due)
        number = line.sock.fileno()
        self._poll.unregister(number)
        del self._lines[number]
        line.sock.close()
        if line in self._free:
            self._free.remove(line)
        self._connect()
