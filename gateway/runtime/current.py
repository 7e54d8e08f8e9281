"""The generation in force, and those before it for as long as something of theirs is open (graceful reload).

A listener's app asks here with each request, so one reference is all that changes when another generation takes over.
What is under way goes on with the generation that it began with, which closes when nothing of it is left.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gateway.runtime.build import build_successor
from gateway.runtime.generation import Generation
from gateway.runtime.wiring.doors import Doors
from gateway.settings import Settings
from gateway.tasks import stop
from gateway.telemetry.logs import configure_logs, log

TICK: Final = 1.0
"""Seconds between two looks whether something of a former generation is still open."""

MANY: Final = 8
"""Former generations that are open at a time; each more is warned of, since each keeps connections and memory."""

THRESHOLDS: Final = (5_000, 5, 200)
"""Objects more than before at which the collector of cycles goes over those: in a millisecond or two. Then, how many
times before it goes over all of these times together, and so on."""

Commit = Callable[[], None]
Preparing = Callable[[Generation], Commit]
"""Gets ready for another generation, and returns what is to be done when it takes over; raises `SettingsError` to
refuse it. Nothing may change before that."""


class Prepared(NamedTuple):
    """A generation that can take over at once."""

    generation: Generation
    commits: tuple[Commit, ...]


class _Reign:
    """One generation, and how many requests it has from ASGI apps."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.requests = 0


class Current:
    """The one reference."""

    def __init__(self, generation: Generation) -> None:
        self._reign = _Reign(generation)
        self._leaving: dict[asyncio.Task[None], _Reign] = {}
        self.preparing: list[Preparing] = []
        """Whoever of this process follows the settings adds to it: servers, certificates."""

    @property
    def generation(self) -> Generation:
        """The generation in force."""
        return self._reign.generation

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._reign.generation.settings

    def door(self, choose: Callable[[Doors], Any]) -> Any:
        """Return an ASGI app that is, with each request, the one chosen of the generation in force."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            reign = self._reign
            reign.requests += 1
            try:
                await choose(reign.generation.doors)(scope, receive, send)
            finally:
                reign.requests -= 1

        return app

    async def prepare(self, settings: Settings) -> Prepared:
        """Build what is to take over, beside the one in force. Raises `SettingsError` when that cannot be."""
        generation = await asyncio.to_thread(build_successor, self.generation, settings)
        try:
            return Prepared(generation, tuple(each(generation) for each in self.preparing))
        except BaseException:
            await generation.close()
            raise

    def put_in_force(self, prepared: Prepared) -> None:
        """Have another generation take over, at once, for all that comes from now on."""
        before, new = self._reign, _Reign(prepared.generation)
        logs = new.generation.settings.log
        if logs != before.generation.settings.log:
            configure_logs(logs.format, logs.level, shared=new.generation.workers > 1)
        self._reign = new
        for commit in prepared.commits:
            commit()
        new.generation.succeed(before.generation)
        leaving = asyncio.get_running_loop().create_task(self._leave(before), name="former generation")
        self._leaving[leaving] = before
        self._tell_former()
        if len(self._leaving) > MANY:
            log.warning(
                "many_former_generations",
                open=len(self._leaving),
                advice="requests from before so many reloads go on: reload less often, or restart to end them",
            )

    async def close(self) -> None:
        """Close all that there is. It is called once no request is under way."""
        for task, reign in tuple(self._leaving.items()):
            await stop(task)
            await reign.generation.close()
        await self.generation.close()

    def _tell_former(self) -> None:
        self.generation.metrics.set_former_generations(len(self._leaving))

    async def _leave(self, reign: _Reign) -> None:
        """Close a former generation when nothing of it is open any more."""
        try:
            await reign.generation.life.abdicate()
            while reign.requests or reign.generation.in_use:  # noqa: ASYNC110 -- to be told would cost each request
                await asyncio.sleep(TICK)
            await reign.generation.close()
        except Exception as error:  # noqa: BLE001 -- it is let go of all the same
            log.error("bug", exc_info=error)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- this runs in one
        del self._leaving[task], reign
        self._tell_former()
        log.debug("former_generation_closed", still_open=len(self._leaving))
        settle_memory()


def settle_memory() -> None:
    """Keep the collector of cycles off what is here to stay: going over it takes tens of milliseconds each time.

    Requests make next to no cycles, so it may look for them rarely. But whoever comes for the first time is remembered,
    which is nothing to be collected: so it looks often enough that it never has much to go over at once.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
