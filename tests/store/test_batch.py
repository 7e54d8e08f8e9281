import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.batch import ReadBatch, Told, Values

pytestmark = pytest.mark.anyio


def batch_over(fetch: Callable[[Sequence[str]], Awaitable[Values]]) -> ReadBatch:
    """Return a batch that tells what a coroutine returns, or raises."""
    tasks = set[asyncio.Task[None]]()

    def ask(keys: Sequence[str], told: Told) -> None:
        async def tell() -> None:
            try:
                told(await fetch(keys))
            except StoreUnavailable as error:
                told(error)

        tasks.add(asyncio.create_task(tell()))

    return ReadBatch(ask)


async def test_reads_of_one_turn_share_a_command_and_keep_their_order() -> None:
    asked: list[list[str]] = []

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        asked.append(list(keys))
        return [key.encode() for key in keys]

    batch = batch_over(fetch)
    found = await asyncio.gather(batch.read(("a", "b")), batch.read(("c",)), batch.read(("a",)))
    assert list(found) == [[b"a", b"b"], [b"c"], [b"a"]]
    assert asked == [["a", "b", "c", "a"]]
    assert await batch.read(("d",)) == [b"d"]
    assert asked[1:] == [["d"]]


async def test_a_failure_reaches_everybody_on_their_own() -> None:
    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("away")

    batch = batch_over(fetch)
    found = await asyncio.gather(batch.read(("a",)), batch.read(("b",)), return_exceptions=True)
    assert [str(error) for error in found] == ["away", "away"]
    assert found[0] is not found[1]


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    release = asyncio.Event()

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        await release.wait()
        return [key.encode() for key in keys]

    batch = batch_over(fetch)
    first, second = asyncio.create_task(batch.read(("a",))), asyncio.create_task(batch.read(("b",)))
    await asyncio.sleep(0)
    first.cancel()
    release.set()
    assert await second == [b"b"]


async def test_reads_that_come_while_others_are_under_way_share_the_next_command() -> None:
    asked: list[list[str]] = []
    release = asyncio.Event()

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        asked.append(list(keys))
        await release.wait()
        return [key.encode() for key in keys]

    batch = batch_over(fetch)
    reads = []
    for key in "abcde":
        reads.append(asyncio.create_task(batch.read((key,))))
        await asyncio.sleep(0.01)
    assert asked == [["a"], ["b"]]
    release.set()
    assert await asyncio.gather(*reads) == [[key.encode()] for key in "abcde"]
    assert asked == [["a"], ["b"], ["c", "d", "e"]]


async def test_no_command_reads_more_than_redis_can_do_beside_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.batch.MOST_READS", 3)
    asked: list[int] = []

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        asked.append(len(keys))
        return [key.encode() for key in keys]

    batch = batch_over(fetch)
    found = await asyncio.gather(*(batch.read((str(number),)) for number in range(8)))
    assert found == [[b"%d" % number] for number in range(8)]
    assert asked == [3, 3, 2]


async def test_nothing_is_asked_for_nothing() -> None:
    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        raise AssertionError

    assert await batch_over(fetch).read(()) == []


async def test_a_bug_of_one_who_asks_leaves_nobody_waiting() -> None:
    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        return [key.encode() for key in keys]

    batch = batch_over(fetch)
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    bug = RuntimeError("a bug")

    def fail(_: object) -> None:
        raise bug

    batch.ask(("a",), fail)
    assert await batch.read(("b",)) == [b"b"]
    assert seen == [bug]
