import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.batch import ReadBatch

pytestmark = pytest.mark.anyio


async def test_reads_of_one_turn_share_a_command_and_keep_their_order() -> None:
    asked: list[list[str]] = []

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        asked.append(list(keys))
        return [key.encode() for key in keys]

    batch = ReadBatch(fetch)
    found = await asyncio.gather(batch.read(("a", "b")), batch.read(("c",)), batch.read(("a",)))
    assert list(found) == [[b"a", b"b"], [b"c"], [b"a"]]
    assert asked == [["a", "b", "c", "a"]]
    assert await batch.read(("d",)) == [b"d"]
    assert asked[1:] == [["d"]]


async def test_a_failure_reaches_everybody_on_their_own() -> None:
    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        raise StoreUnavailable("away")

    batch = ReadBatch(fetch)
    found = await asyncio.gather(batch.read(("a",)), batch.read(("b",)), return_exceptions=True)
    assert [str(error) for error in found] == ["away", "away"]
    assert found[0] is not found[1]


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    release = asyncio.Event()

    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        await release.wait()
        return [key.encode() for key in keys]

    batch = ReadBatch(fetch)
    first, second = batch.read(("a",)), batch.read(("b",))
    await asyncio.sleep(0)
    first.cancel()
    release.set()
    assert await second == [b"b"]


async def test_a_bug_leaves_nobody_waiting() -> None:
    async def fetch(keys: Sequence[str]) -> list[bytes | None]:
        raise RuntimeError("a bug")

    batch = ReadBatch(fetch)
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context))
    with pytest.raises(asyncio.CancelledError):
        await batch.read(("a",))
