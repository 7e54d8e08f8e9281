"""Load of small requests: so many connections, each asking again as soon as it is answered (a closed loop).

It needs no other program, and reaches with bare nginx what `wrk` reaches. Load and app on one core and no proxy between
make 1.7 times the requests of nginx; where a proxy comes near that, the tables show the other core as busy.
"""

from __future__ import annotations

import asyncio
import gc
from array import array
from collections.abc import Callable
from time import perf_counter
from typing import cast

import msgspec
import uvloop

from benchmarks.load.answers import Reading

SETTLE = 0.3
"""Seconds of asking before the time is taken: until then proxies connect to the app."""


class Load(msgspec.Struct):
    """What came back in `seconds`."""

    times: array[float]
    """Seconds until each answer was complete, ascending."""
    answers: int
    """How many there were, those from before the time was taken included."""
    errors: int
    """Answers with another status than 200, and connections that were lost."""
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds

    def quantile(self, part: float) -> float:
        """Milliseconds within which this part (0 to 1) of the answers came."""
        if not self.times:
            return float("nan")
        return self.times[min(int(len(self.times) * part), len(self.times) - 1)] * 1000


def ask(port: int, make: Callable[[], bytes], *, seconds: float, connections: int) -> Load:
    """Ask for so many seconds on so many connections; `make` makes each request, a GET."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_ask(port, make, seconds, connections))
    finally:
        gc.enable()


async def _ask(port: int, make: Callable[[], bytes], seconds: float, connections: int) -> Load:
    crowd = _Crowd(port, make)
    for _ in range(connections):
        await crowd.connect()
    await asyncio.sleep(SETTLE)
    before = len(crowd.times)
    crowd.times, crowd.errors = array("d"), 0
    began = perf_counter()
    await asyncio.sleep(seconds)
    crowd.open = False
    took = perf_counter() - began
    crowd.close()
    times = array("d", sorted(crowd.times))
    return Load(times=times, answers=before + len(times), errors=crowd.errors, seconds=took)


class _Crowd:
    """All connections, and what they note."""

    def __init__(self, port: int, make: Callable[[], bytes]) -> None:
        self.make = make
        self.times = array("d")
        self.errors = 0
        self.open = True  # whether to ask again
        self._port = port
        self._members: set[_Asker] = set()

    async def connect(self) -> None:
        """One more connection; an error if there can be none."""
        try:
            async with asyncio.timeout(5):
                _, asker = await asyncio.get_running_loop().create_connection(
                    lambda: _Asker(self), "127.0.0.1", self._port
                )
            self._members.add(asker)
        except OSError:
            self.errors += 1

    def replace(self, asker: _Asker) -> None:
        """Another connection for one that was lost."""
        self._members.discard(asker)
        if self.open:
            self._task = asyncio.get_running_loop().create_task(self.connect())

    def close(self) -> None:
        """Hang up."""
        for asker in self._members:
            asker.hang_up()


class _Asker(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, crowd: _Crowd) -> None:
        self._crowd = crowd
        self._answer = Reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: ask."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._answer.begin()
        self._asked = perf_counter()
        self._transport.write(self._crowd.make())

    def data_received(self, data: bytes) -> None:
        """Some of an answer."""
        try:
            whole = self._answer.take(data)
        except ValueError:
            self._transport.abort()  # counts as lost
        else:
            if whole:
                self._note()

    def _note(self) -> None:
        if not self._crowd.open:
            return
        if self._answer.good:
            self._crowd.times.append(perf_counter() - self._asked)
        else:
            self._crowd.errors += 1
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Lost: an error while the run goes on."""
        if self._crowd.open:
            self._crowd.errors += 1
        self._crowd.replace(self)

    def hang_up(self) -> None:
        """End at once, whatever is under way."""
        self._transport.abort()
