"""Who is seen is written down once, with others, and nobody waits for it; none is lost at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.errors import StoreUnavailable
from gateway.flows import touches
from gateway.flows.sessions import SignedIn
from gateway.flows.touches import MOST_TOGETHER, Seen, Touches

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def session(number: int) -> SignedIn:
    return cast("SignedIn", SimpleNamespace(session_key=f"session:{number}"))


class Written:
    """What has been written; `away` is Redis."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.away = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self, seen: Sequence[Seen]) -> None:
        self.calls.append([each.session_key for each, _ in seen])
        await self.goes_on.wait()
        if self.away:
            raise StoreUnavailable("away")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written by itself."""
    monkeypatch.setattr(touches, "TOGETHER", 3600)


async def test_those_who_are_seen_together_are_written_together() -> None:
    written = Written()
    noted = Touches(written)
    for number in range(10):
        noted.note(session(number), NOW)
    while not written.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    assert written.calls == [[f"session:{number}" for number in range(10)]]


@pytest.mark.usefixtures("slow")
async def test_who_is_seen_again_meanwhile_is_written_once() -> None:
    written = Written()
    noted = Touches(written)
    for _ in range(3):
        noted.note(session(1), NOW)
    written.goes_on.clear()
    closing = asyncio.create_task(noted.close())
    await asyncio.sleep(0.01)
    noted.note(session(1), NOW)  # it is being written
    written.goes_on.set()
    await closing
    assert written.calls == [["session:1"]]
    noted.note(session(1), NOW)
    await noted.close()
    assert written.calls == [["session:1"]] * 2


@pytest.mark.usefixtures("slow")
async def test_at_the_end_all_is_written_at_once_and_in_calls_of_bounded_size() -> None:
    written = Written()
    noted = Touches(written)
    for number in range(2 * MOST_TOGETHER + 1):
        noted.note(session(number), NOW)
    async with asyncio.timeout(5):
        await noted.close()
    assert [len(call) for call in written.calls] == [MOST_TOGETHER, MOST_TOGETHER, 1]
    assert len({key for call in written.calls for key in call}) == 2 * MOST_TOGETHER + 1


@pytest.mark.usefixtures("slow")
async def test_a_store_that_is_away_is_asked_once_and_holds_up_no_end() -> None:
    written = Written()
    written.away = True
    noted = Touches(written)
    for number in range(2 * MOST_TOGETHER):
        noted.note(session(number), NOW)
    await noted.close()
    assert len(written.calls) == 1
    written.away = False
    noted.note(session(1), NOW)  # who is seen next is written down then
    await noted.close()
    assert written.calls[1:] == [["session:1"]]


async def test_nothing_is_written_where_nobody_was_seen() -> None:
    written = Written()
    await Touches(written).close()
    assert not written.calls


async def test_a_bug_stops_only_what_was_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    async def write(seen: Sequence[Seen]) -> None:
        calls.append(seen)
        if len(calls) == 1:
            raise RuntimeError("a bug")

    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    monkeypatch.setattr(touches, "TOGETHER", 0)
    noted = Touches(write)
    noted.note(session(1), NOW)
    await noted.close()
    noted.note(session(1), NOW)
    await noted.close()
    assert len(calls) == 2
