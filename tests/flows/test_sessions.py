"""Sessions: how they begin, last and end."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from gateway.core.record import seal_record
from gateway.core.session import build_session_key
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio


async def test_the_idle_limit_moves_with_use_and_the_absolute_one_holds(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    for _ in range(7):
        world.clock.forward(timedelta(days=4))
        found = await process.read(session_id)
        assert found is not None
        await process.sessions.touch(found, world.clock())
    world.clock.forward(timedelta(days=2, seconds=1))
    assert await process.read(session_id) is None


async def test_an_unused_session_ends(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    world.clock.forward(timedelta(days=7, seconds=1))
    assert await process.read(session_id) is None


async def test_a_touch_never_brings_a_session_back(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    found = await process.read(session_id)
    assert found is not None
    await process.sessions.end(found)
    world.clock.forward(timedelta(hours=1))
    await process.sessions.touch(found, world.clock())
    assert await process.read(session_id) is None


async def test_the_grant_goes_with_the_last_session(world: World, process: Process) -> None:
    key, _, first = await world.signed_in(process)
    _, _, second = await world.signed_in(process)
    for session_id, left in ((first, True), (second, False)):
        found = await process.read(session_id)
        assert found is not None
        await process.sessions.end(found)
        assert (await process.sessions.read_grant(key) is not None) is left


async def test_everywhere_is_everywhere(world: World, process: Process) -> None:
    _, grant, first = await world.signed_in(process)
    _, _, second = await world.signed_in(process)
    _, _, other = await world.signed_in(process, "dash")
    assert len(await process.sessions.of_subject(grant.subject, world.clock())) == 2
    ended = await process.sessions.end_all(grant.subject, world.clock())
    assert set(ended) == {build_session_key(first.encode()), build_session_key(second.encode())}
    assert await process.read(first) is None
    assert await process.read(second) is None
    assert await process.read(other) is not None
    assert await process.sessions.of_subject(grant.subject, world.clock()) == []


async def test_a_value_moved_to_another_key_does_not_open(world: World, process: Process) -> None:
    _, _, mine = await world.signed_in(process)
    _, _, theirs = await world.signed_in(process, "dash")
    my_key, their_key = build_session_key(mine.encode()), build_session_key(theirs.encode())
    assert my_key is not None
    assert their_key is not None
    stolen = await world.store.read(their_key)
    assert stolen is not None
    await world.store.write(my_key, stolen, 60)
    assert await process.read(mine) is None


async def test_a_sign_in_that_comes_between_keeps_its_grant(world: World, process: Process) -> None:
    """The last session ends, and its grant with it: that very one, not what a new sign-in has written meanwhile."""
    key, _, session_id = await world.signed_in(process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    remove_member, begun = world.store.remove_member, list[str]()

    async def remove_and_sign_in(index: str, *members: str) -> int:
        left = await remove_member(index, *members)
        begun.append((await world.signed_in(process))[2])
        return left

    world.store.remove_member = remove_and_sign_in  # type: ignore[method-assign]
    await process.sessions.end(signed_in)
    assert await process.read(session_id) is None
    assert await process.read(begun[0]) is not None
    assert await process.sessions.read_grant(key) is not None


async def test_a_grant_of_somebody_else_makes_nobody_signed_in(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process)
    tokens = msgspec.structs.replace(grant.tokens, open_id="-000somebody-else")
    other = msgspec.structs.replace(grant, tokens=tokens)
    await world.store.write(key, seal_record(world.keyring, key, other), 600)
    assert await process.read(session_id) is None
