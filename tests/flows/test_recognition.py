"""Who is recognised without a task: as `check` would have it, or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.keyring import Keyring
from gateway.core.route import Match
from gateway.errors import StoreUnavailable
from gateway.flows.gate import Gate, Passage
from gateway.flows.live import _is_due
from gateway.flows.sessions import Sessions
from tests.flows.conftest import Process, World
from tests.flows.test_gate import ask, build_gate

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate(world: World, process: Process) -> Gate:
    return build_gate(world, process)


def point(gate: Gate, path: str, session_id: str) -> tuple[Match | None, str]:
    head = ask(path, session_id)
    return gate.match(head.method, head.host, head.path), gate.read_session_keys(head.headers)[0]


async def recognise(gate: Gate, path: str, session_id: str) -> Passage | StoreUnavailable | None:
    told: asyncio.Future[Passage | StoreUnavailable | None] = asyncio.get_running_loop().create_future()
    gate.recognise(*point(gate, path, session_id), told.set_result)
    async with asyncio.timeout(5):
        return await told


@pytest.mark.parametrize("path", ["/app/x", "/maybe/x", "/office/x"])
async def test_who_may_pass_passes_as_by_the_long_way(
    world: World, process: Process, gate: Gate, session_id: str, path: str
) -> None:
    passed = await recognise(gate, path, session_id)
    assert isinstance(passed, Passage)
    longer = await build_gate(world, process).check(ask(path, session_id))
    assert isinstance(longer, Passage)
    assert (passed.allow, passed.match) == (longer.allow, longer.match)
    assert (passed.session_key, passed.session_name) == (longer.session_key, longer.session_name)


async def test_who_was_recognised_is_remembered(gate: Gate, session_id: str) -> None:
    passed = await recognise(gate, "/app/x", session_id)
    assert gate.admit_at_once(*point(gate, "/app/x", session_id)) == passed


async def test_who_is_recognised_again_is_only_confirmed(
    world: World, process: Process, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = build_gate(world, process, lasts=timedelta())
    first = await recognise(gate, "/app/x", session_id)
    opened: list[str] = []
    monkeypatch.setattr(Sessions, "_put_together", lambda *words: opened.append(str(words)))
    assert await recognise(gate, "/app/x", session_id) == first
    assert not opened


@pytest.mark.parametrize("path", ["/videos/x", "/no/x", "/elsewhere"])
async def test_who_may_not_is_left_to_the_long_way(gate: Gate, session_id: str, path: str) -> None:
    assert await recognise(gate, path, session_id) is None


async def test_nobody_is_left_to_the_long_way(gate: Gate, session_id: str) -> None:
    assert await recognise(gate, "/app/x", session_id[:-1] + ("A" if session_id[-1] != "A" else "B")) is None


async def test_who_has_signed_out_is_nobody(process: Process, gate: Gate, session_id: str) -> None:
    assert isinstance(await recognise(gate, "/app/x", session_id), Passage)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)
    assert gate.admit_at_once(*point(gate, "/app/x", session_id)) is not None  # Unknown: it was forgotten
    assert await recognise(gate, "/app/x", session_id) is None


async def test_a_session_that_has_ended_by_time_is_not_recognised(world: World, gate: Gate, session_id: str) -> None:
    world.clock.forward(world.limits.idle)
    assert await recognise(gate, "/app/x", session_id) is None


async def test_a_token_that_is_due_is_left_to_the_long_way(world: World, process: Process, gate: Gate) -> None:
    _, grant, session_id = await world.signed_in(process)
    world.clock.forward(grant.settled_until() - world.clock())
    assert await recognise(gate, "/app/x", session_id) is None


async def test_a_session_without_its_grant_is_nobody(world: World, process: Process, gate: Gate) -> None:
    grant_key, _, session_id = await world.signed_in(process)
    await world.store.delete(grant_key)
    assert await recognise(gate, "/app/x", session_id) is None


async def test_who_was_not_seen_lately_passes_and_is_written_down(
    world: World, process: Process, gate: Gate, session_id: str
) -> None:
    before = await process.read(session_id)
    world.clock.forward(world.limits.touch_interval)
    assert isinstance(await recognise(gate, "/app/x", session_id), Passage)
    await process.sessions.close()  # waits for what is being written
    after = await process.read(session_id)
    assert before is not None
    assert after is not None
    assert after.session.last_seen_at >= before.session.last_seen_at + world.limits.touch_interval
    assert isinstance(await recognise(gate, "/app/x", session_id), Passage)
    assert isinstance(gate.admit_at_once(*point(gate, "/app/x", session_id)), Passage)


async def test_one_session_is_written_down_once_however_many_requests_it_has(
    world: World, process: Process, gate: Gate, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced, replace_each = list[str](), world.store.replace_each

    async def count(swaps: Any) -> list[bool]:
        replaced.extend(key for key, *_ in swaps)
        return await replace_each(swaps)

    monkeypatch.setattr(world.store, "replace_each", count)
    world.clock.forward(world.limits.touch_interval)
    passed = await asyncio.gather(*(recognise(gate, "/app/x", session_id) for _ in range(5)))
    await process.sessions.close()
    assert all(isinstance(each, Passage) for each in passed)
    assert len(replaced) == 1


async def test_that_it_cannot_be_written_down_keeps_nobody_out(
    world: World, process: Process, gate: Gate, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(swaps: Any) -> list[bool]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "replace_each", away)
    world.clock.forward(world.limits.touch_interval)
    assert isinstance(await recognise(gate, "/app/x", session_id), Passage)
    await process.sessions.close()


@pytest.mark.parametrize("known", [False, True])
async def test_a_store_that_is_away_is_told(
    world: World, process: Process, session_id: str, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    gate = build_gate(world, process, lasts=timedelta())
    if known:
        assert isinstance(await recognise(gate, "/app/x", session_id), Passage)
    monkeypatch.setattr(world.store, "ask", lambda _, told: told(StoreUnavailable("away")))
    assert isinstance(await recognise(gate, "/app/x", session_id), StoreUnavailable)


async def test_a_change_that_crosses_the_read_is_not_overlooked(
    world: World, gate: Gate, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the change may let this one request in, and no other."""
    read = world.store.ask

    def cross(keys: Any, told: Any) -> None:
        def tell(values: Any) -> None:
            world.store._tell(point(gate, "/app/x", session_id)[1])
            told(values)

        read(keys, tell)

    monkeypatch.setattr(world.store, "ask", cross)
    passed = await recognise(gate, "/app/x", session_id)
    assert not isinstance(gate.admit_at_once(*point(gate, "/app/x", session_id)), Passage)
    # what goes on because of it, a stream say, is judged with the next look: the change itself came too early for that
    assert isinstance(passed, Passage)
    assert passed.caller is not None
    assert _is_due(passed, set(), world.clock())


async def test_a_change_that_crosses_a_confirmation_is_not_overlooked_either(
    world: World, process: Process, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = build_gate(world, process, lasts=timedelta())
    passed = await recognise(gate, "/app/x", session_id)
    assert isinstance(passed, Passage)
    assert passed.caller is not None
    read = world.store.ask
    told: asyncio.Future[bool | StoreUnavailable] = asyncio.get_running_loop().create_future()

    def cross(keys: Any, tell: Any) -> None:
        def late(values: Any) -> None:
            world.store._tell(passed.session_key)
            tell(values)

        read(keys, late)

    monkeypatch.setattr(world.store, "ask", cross)
    gate.confirm(passed.caller, told.set_result)
    async with asyncio.timeout(5):
        assert await told is False
    assert _is_due(passed, set(), world.clock())


async def test_what_an_older_key_has_sealed_is_left_to_the_long_way(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    newer = Sessions(
        world.store,
        Keyring([b"n" * 32, b"k" * 32]),
        world.limits,
        client_key=world.simulator.settings.client_key,
    )
    process.sessions = newer
    gate = build_gate(world, process)
    assert await recognise(gate, "/app/x", session_id) is None
