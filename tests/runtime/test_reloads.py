"""When settings are read anew: one reload at a time, and none is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from gateway.errors import SettingsError
from gateway.runtime import reload as reloading
from gateway.runtime.current import Current, Prepared
from gateway.runtime.reload import Reloads
from gateway.runtime.source import Candidate, Source
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio


class Files(Source):
    """A file with a number in it; every other is refused where `refuses` says so."""

    def __init__(self) -> None:
        super().__init__(None, {})
        self.written = self.looked_at = 0
        self.refuses: set[int] = set()

    def read(self, in_force: Settings) -> Candidate:
        self.looked_at = number = self.written
        if number in self.refuses:
            raise SettingsError(f"number {number} cannot be used")
        return Candidate(cast("Settings", number), (), ())

    def have_changed(self, in_force: Settings, *, refused: bool) -> bool:
        return self.written != self.looked_at


class Building:
    """Stands for `Current`: notes what is in force, and whether two were ever built at once."""

    def __init__(self) -> None:
        self.in_force = 0
        self.builds = self.at_once = self.most_at_once = 0
        self.fails = False

    @property
    def settings(self) -> Any:
        return self.in_force

    async def prepare(self, settings: Any) -> Any:
        if self.fails:
            raise RuntimeError("a bug")
        self.builds += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        return settings

    def put_in_force(self, prepared: Prepared) -> None:
        self.in_force = cast("int", prepared)


class World:
    def __init__(self) -> None:
        self.files, self.building = Files(), Building()
        self.reloads = Reloads(self.files, Metrics())
        self.reloads.start(cast("Current", self.building))

    async def until_in_force(self, number: int) -> None:
        async with asyncio.timeout(20):
            while self.building.in_force != number:  # noqa: ASYNC110 -- nobody tells
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reloading, "TICK", 0.01)
    world = World()
    yield world
    await world.reloads.close()


async def test_a_burst_ends_with_the_last_and_two_are_never_built_at_once(world: World) -> None:
    asked = []
    for number in range(1, 21):
        world.files.written = number
        world.reloads.want()
        if number % 5 == 0:
            asked.append(asyncio.create_task(world.reloads.reload()))
        await asyncio.sleep(0.002)
    assert all(outcome.applied for outcome in await asyncio.gather(*asked))
    await world.until_in_force(20)
    assert world.building.most_at_once == 1
    assert world.building.builds < 20


async def test_what_is_written_while_one_is_under_way_is_not_lost(world: World) -> None:
    world.files.written = 1
    first = asyncio.create_task(world.reloads.reload())
    async with asyncio.timeout(20):
        while not world.building.at_once:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.001)
    world.files.written = 2
    await first
    await world.until_in_force(2)


async def test_a_refusal_is_told_until_a_good_one_comes(world: World) -> None:
    world.files.refuses = {1}
    world.files.written = 1
    outcome = await world.reloads.reload()
    assert (outcome.applied, outcome.reason) == (False, "number 1 cannot be used")
    assert world.reloads.refused == outcome.reason
    assert world.building.in_force == 0
    world.files.written = 2
    await world.until_in_force(2)
    assert world.reloads.refused == ""


async def test_a_bug_refuses_and_the_next_one_is_taken(world: World) -> None:
    world.building.fails = True
    assert (await world.reloads.reload()).reason == reloading.BUG
    world.building.fails = False
    assert (await world.reloads.reload()).applied


async def test_a_look_that_fails_ends_no_further_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fail(*_: Any, **__: Any) -> bool:
        failed.set()
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Files, "have_changed", fail)
        assert await asyncio.to_thread(failed.wait, 20)
    world.files.written = 1
    await world.until_in_force(1)
