"""Joins reads into few commands (batching, request coalescing).

Under load many requests share a command: those of one turn of the event loop, and those that come while others are
under way. Alone, a read waits for nothing but the turn it was asked in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.tasks import until_told

Values = list[bytes | None]


MOST_AT_ONCE: Final = 2
"""Commands under way at the same time; what is asked meanwhile waits for one of them, and shares the next."""
MOST_READS: Final = 250
"""Most reads that share a command: Redis does nothing else meanwhile."""


Told = Callable[[Values | StoreUnavailable], None]


class ReadBatch:
    """Collects reads. `fetch` has the values of many keys told, or why there are none; once, whatever happens."""

    def __init__(self, fetch: Callable[[Sequence[str], Told], None]) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[Sequence[str], Told]] = []
        self._running = 0  # commands

    def ask(self, keys: Sequence[str], told: Told) -> None:
        """Have the values of `keys` told, in order, once they are here, or why they are not."""
        if not self._waiting and self._running < MOST_AT_ONCE:
            asyncio.get_running_loop().call_soon(self._start)
        self._waiting.append((keys, told))

    async def read(self, keys: Sequence[str]) -> Values:
        """Return the values of `keys`, in order. Raises `StoreUnavailable`."""
        if not keys:
            return []
        told: Values | StoreUnavailable = await until_told(partial(self.ask, keys))
        if isinstance(told, StoreUnavailable):
            # one each: a shared exception would collect the traceback of everybody
            raise type(told)(str(told))
        return told

    def _start(self) -> None:
        while self._waiting and self._running < MOST_AT_ONCE:
            asked, self._waiting = self._waiting[:MOST_READS], self._waiting[MOST_READS:]
            self._running += 1
            self._fetch([key for keys, _ in asked for key in keys], partial(self._answer, asked))

    def _answer(self, asked: list[tuple[Sequence[str], Told]], values: Values | StoreUnavailable) -> None:
        self._running -= 1
        begin = 0
        for keys, told in asked:
            end = begin + len(keys)
            try:
                told(values[begin:end] if isinstance(values, list) else values)
            except Exception as error:  # noqa: BLE001 -- one who asks has a bug: the others are told all the same
                asyncio.get_running_loop().call_exception_handler({"message": "a read was in vain", "exception": error})
            begin = end
        self._start()
