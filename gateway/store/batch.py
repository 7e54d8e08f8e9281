"""Joins reads into few commands.

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
MOST_KEYS: Final = 500
"""Most keys read by one command: Redis does nothing else meanwhile."""


class ReadBatch:
    """Collects reads. `fetch` reads many keys at once, and raises `StoreUnavailable`."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Values]]) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Values]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def read(self, keys: Sequence[str]) -> asyncio.Future[Values]:
        """Return the values of `keys`, in order, once they are here."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Values] = loop.create_future()
        if not keys:
            future.set_result([])
            return future
        if not self._waiting and len(self._running) < MOST_AT_ONCE:
            loop.call_soon(self._start)
        self._waiting.append((keys, future))
        return future

    def _start(self) -> None:
        waiting, self._waiting = self._waiting[:MOST_KEYS], self._waiting[MOST_KEYS:]
        if not waiting:
            return
        task = asyncio.create_task(self._answer(waiting), name="read batch")
        self._running.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting:
            self._start()

    async def _answer(self, waiting: list[tuple[Sequence[str], asyncio.Future[Values]]]) -> None:
        try:
            values = await self._fetch([key for keys, _ in waiting for key in keys])
        except StoreUnavailable as error:
            for _, future in waiting:
                if not future.done():
                    # one each: a shared exception would collect the traceback of everybody
                    future.set_exception(StoreUnavailable(str(error)))
            return
        except BaseException:
            # whatever else happens, nobody is left waiting
            for _, future in waiting:
                future.cancel()
            raise
        position = 0
        for keys, future in waiting:
            if not future.done():
                future.set_result(values[position : position + len(keys)])
            position += len(keys)
