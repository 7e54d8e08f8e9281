"""Joins reads into few commands (batching, request coalescing).

A command through redis-py costs far more than Redis needs to answer it, so under load many requests share one: those of
one turn of the event loop, and those that come while others are under way. Alone, a read waits for nothing but the turn
it was asked in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.errors import StoreUnavailable

Values = list[bytes | None]


MOST_AT_ONCE: Final = 2
"""Commands under way at the same time; what is asked meanwhile waits for one of them, and shares the next."""
MOST_READS: Final = 250
"""Most reads that share a command: Redis does nothing else meanwhile."""


Told = Callable[[Values | StoreUnavailable], None]


class ReadBatch:
    """Collects reads. `fetch` reads many keys at once, and raises `StoreUnavailable`."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Values]]) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[Sequence[str], Told]] = []
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, keys: Sequence[str], told: Told) -> None:
        """Have the values of `keys` told, in order, once they are here, or why they are not."""
        if not self._waiting and len(self._running) < MOST_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._start)
        self._waiting.append((keys, told))

    async def read(self, keys: Sequence[str]) -> Values:
        """Return the values of `keys`, in order. Raises `StoreUnavailable`."""
        if not keys:
            return []
        future: asyncio.Future[Values | StoreUnavailable] = asyncio.get_running_loop().create_future()
        self.ask(keys, lambda told: None if future.done() else future.set_result(told))
        told = await future
        if isinstance(told, StoreUnavailable):
            # one each: a shared exception would collect the traceback of everybody
            raise type(told)(str(told))
        return told

    def _start(self) -> None:
        waiting, self._waiting = self._waiting[:MOST_READS], self._waiting[MOST_READS:]
        if not waiting:
            return
        task = asyncio.create_task(self._answer(waiting), name="read batch")
        self._running.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting:
            self._start()

    async def _answer(self, waiting: list[tuple[Sequence[str], Told]]) -> None:
        try:
            values = await self._fetch([key for keys, _ in waiting for key in keys])
        except BaseException as error:
            # whatever happens, nobody is left waiting
            failed = error if isinstance(error, StoreUnavailable) else StoreUnavailable("the read was broken off")
            for _, told in waiting:
                told(failed)
            if failed is error:
                return
            raise
        position = 0
        for keys, told in waiting:
            told(values[position : position + len(keys)])
            position += len(keys)
