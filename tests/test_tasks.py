"""A task that works for an owner: it tells of its error, and leads back to nobody once it has ended."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.tasks import OwnedTask

pytestmark = pytest.mark.anyio


class Owner:
    """Has a task, and hears of its error."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.go_on = asyncio.Event()
        self.seen_from_within: list[bool] = []
        self.task = OwnedTask(self._work(), self.errors.append)

    async def _work(self) -> None:
        await self.go_on.wait()
        self.seen_from_within.append(self.task.goes_on)
        self.task.cancel()  # by itself: no harm
        await asyncio.sleep(0)
        raise ValueError("a fault of the work")


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_its_error_is_the_owners() -> None:
    owner = Owner()
    await settle()
    assert owner.task.goes_on
    owner.go_on.set()
    await settle()
    assert [str(error) for error in owner.errors] == ["a fault of the work"]
    assert owner.seen_from_within == [False]
    assert not owner.task.goes_on


async def test_a_task_that_is_cancelled_has_no_error() -> None:
    owner = Owner()
    await settle()
    owner.task.cancel()
    await settle()
    assert owner.errors == []
    assert not owner.task.goes_on
    owner.task.cancel()  # once more: there is nothing left to do


async def test_once_it_has_ended_nothing_of_it_leads_back() -> None:
    owner = Owner()
    owner.go_on.set()
    await settle()
    task = owner.task
    assert [each for each in gc.get_referents(task) if each is not None] == [OwnedTask]
