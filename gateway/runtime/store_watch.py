"""Whether Redis answers when a gateway starts, told in the log. Nothing waits for it.

A gateway that starts while Redis is away serves what needs no Redis, and the rest as soon as it can: an outage must not
grow because a gateway is restarted in it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.errors import StoreRefused, StoreUnavailable
from gateway.flows.ports import Store
from gateway.tasks import stop
from gateway.telemetry.logs import log

TICK: Final = 1.0
"""Seconds between two tries."""


class StoreWatch:
    """Asks the store until it answers, then has it tell changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self._told = ""

    def start(self) -> None:
        """Begin to ask, within the event loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="store watch")

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            await stop(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self._store.ping()
                break
            except StoreUnavailable as error:
                self._tell(error)
            await asyncio.sleep(TICK)
        if self._told:
            log.info("redis_answers")
        self._store.start()

    def _tell(self, error: StoreUnavailable) -> None:
        """Tell why it does not answer: each reason once, not every second."""
        if str(error) == self._told:
            return
        self._told = str(error)
        if isinstance(error, StoreRefused):
            log.error("redis_refuses", reason=self._told, advice="until that is mended nobody can sign in")
        else:
            log.warning(
                "waiting_for_redis",
                reason=self._told,
                advice="start Redis, or correct `redis`; meanwhile only what needs no Redis is served",
            )
