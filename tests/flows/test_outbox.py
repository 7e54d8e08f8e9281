"""Jobs are done in the end: after failures, restarts and outages; and no more than is needed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.errors import ProviderUnavailable, StoreUnavailable
from gateway.flows import outbox as module
from gateway.flows.outbox import KEPT, Outbox, Perform, Save
from tests.flows.conftest import World

pytestmark = pytest.mark.anyio


class Work:
    """Does jobs, after so many failures."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.seen: list[bytes] = []

    async def __call__(self, data: bytes, save: Save) -> None:
        self.seen.append(data)
        await save(data + b"+")
        if len(self.seen) <= self.failures:
            raise ProviderUnavailable("not yet")


def build(world: World, work: Perform) -> Outbox:
    """Return the outbox of another process; it looks only when a test does."""
    outbox = Outbox(world.store, world.keyring, {"work": work}, clock=world.clock)
    outbox._closed = True
    return outbox


async def test_a_job_is_done_once(world: World) -> None:
    work = Work()
    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    assert await outbox.perform("a")
    assert await outbox.perform("a")
    assert work.seen == [b"data"]
    assert await world.store.members("jobs", now=0) == []


async def test_what_fails_comes_again_later_and_later_with_what_was_saved(world: World) -> None:
    work = Work(failures=3)
    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    pauses: list[timedelta] = []
    for _ in range(3):
        assert not await outbox.perform("a")
        pause = timedelta(0)
        while not await outbox.perform("a") and len(work.seen) == len(pauses) + 1:
            world.clock.forward(timedelta(seconds=1))
            pause += timedelta(seconds=1)
        pauses.append(pause)
    assert pauses == sorted(pauses)
    assert timedelta(seconds=3) < pauses[0] < timedelta(seconds=8)
    assert pauses[2] > pauses[0] * 2
    assert work.seen == [b"data", b"data+", b"data++", b"data+++"]


async def test_another_process_does_what_one_left_behind(world: World) -> None:
    await build(world, Work()).add("a", "work", b"data")
    work = Work()
    assert await build(world, work).perform("a")
    assert work.seen == [b"data"]


async def test_two_processes_do_not_do_it_at_the_same_time(world: World) -> None:
    inner_done: list[bool] = []

    async def work(data: bytes, save: Save) -> None:
        inner_done.append(await build(world, work).perform("a"))

    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    assert await outbox.perform("a")
    assert inner_done == [False]


async def test_what_only_a_newer_version_can_do_is_left_to_it_as_it_is(world: World) -> None:
    newer = Outbox(world.store, world.keyring, {"new": (work := Work())}, clock=world.clock)
    newer._closed = True
    await newer.add("a", "new", b"data")
    written = await world.store.read("job:a")
    assert not await build(world, Work()).perform("a")
    assert await world.store.read("job:a") == written
    assert await newer.perform("a")
    assert work.seen == [b"data"]


async def test_a_job_that_was_withdrawn_is_not_done(world: World) -> None:
    work = Work()
    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    await outbox.withdraw("a")
    await outbox.withdraw("never there")
    assert await outbox.perform("a")
    assert work.seen == []


async def test_a_job_that_is_withdrawn_while_it_fails_does_not_come_back(world: World) -> None:
    async def work(data: bytes, save: Save) -> None:
        await outbox.withdraw("a")
        await save(b"more")
        raise ProviderUnavailable("not yet")

    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    assert not await outbox.perform("a")
    assert not await outbox.holds("a")
    assert await world.store.members("jobs", now=0) == []


async def test_a_job_that_is_done_does_not_take_its_successor_along(world: World) -> None:
    seen: list[bytes] = []

    async def work(data: bytes, save: Save) -> None:
        seen.append(data)
        if len(seen) == 1:
            await outbox.add("a", "work", b"newer")

    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    await outbox.perform("a")
    assert await outbox.holds("a")
    assert await outbox.perform("a")
    assert seen == [b"data", b"newer"]


async def test_a_bug_in_one_job_puts_it_off_like_any_failure(world: World) -> None:
    async def work(data: bytes, save: Save) -> None:
        raise ZeroDivisionError

    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    assert not await outbox.perform("a")
    assert await outbox.holds("a")


async def test_in_the_end_it_is_given_up(world: World) -> None:
    work = Work(failures=1000)
    outbox = build(world, work)
    await outbox.add("a", "work", b"data")
    for _ in range(200):
        await outbox.perform("a")
        world.clock.forward(timedelta(hours=1.5))
    assert 45 < len(work.seen) < 60  # one each hour and a half, for three days
    assert await world.store.members("jobs", now=0) == []
    assert await world.store.read("job:a") is None
    assert timedelta(hours=72) == KEPT


async def test_there_is_an_end_to_what_it_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_JOBS", 3)
    outbox = build(world, Work())
    for name in "abc":
        await outbox.add(name, "work", b"")
    with pytest.raises(StoreUnavailable):
        await outbox.add("d", "work", b"")


async def test_a_job_that_takes_for_ever_is_put_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(data: bytes, save: Save) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(module, "TIME", timedelta(seconds=0.05))
    outbox = build(world, hang)
    await outbox.add("a", "work", b"")
    assert not await outbox.perform("a")
    assert await world.store.members("jobs", now=0) == ["a"]


async def test_nothing_of_a_job_can_be_read_in_the_store(world: World) -> None:
    await build(world, Work()).add("a", "work", b"a token")
    stored = await world.store.read("job:a")
    assert stored is not None
    assert b"token" not in stored


async def test_a_bug_in_one_look_does_not_end_all_further_ones(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)
    looks, done = list[int](), asyncio.Event()
    members = world.store.members

    async def work(data: bytes, save: Save) -> None:
        done.set()

    async def stumble(index: str, *, now: int) -> list[str]:
        looks.append(now)
        if len(looks) <= 2:
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "odd")
        return await members(index, now=now)

    outbox = Outbox(world.store, world.keyring, {"work": work}, clock=world.clock)
    await build(world, work).add("a", "work", b"data")
    monkeypatch.setattr(world.store, "members", stumble)
    outbox.start()
    await done.wait()
    await outbox.close()
    assert len(looks) >= 3


async def test_operators_see_what_waits_and_nothing_of_what_is_in_it(world: World) -> None:
    outbox = build(world, Work(failures=9))
    assert await outbox.waiting(10) == (0, [])
    for number in range(5):
        await outbox.add(str(number), "work", b"data")
        world.clock.forward(timedelta(seconds=1))
    await outbox.perform("0")
    number, jobs = await outbox.waiting(10)
    assert (number, len(jobs)) == (5, 5)
    assert [job.failures for job in jobs] == [0, 0, 0, 0, 1]  # what is due first is first
    assert jobs == sorted(jobs, key=lambda job: job.due_at)
    assert "data" not in repr(jobs)
    number, jobs = await outbox.waiting(2)
    assert (number, len(jobs)) == (5, 2)
