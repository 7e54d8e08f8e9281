"""What is under way ends when it is no longer admitted, and for no other reason."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from gateway.core.frames import GOING_AWAY
from gateway.errors import Forbidden, ProviderUnavailable, SessionEnded, StoreUnavailable
from gateway.flows.gate import Gate, Passage
from gateway.flows.live import FORBIDDEN, SIGNED_OUT, Live, OpenSocket, Watch, why
from gateway.flows.memory import KnownCaller
from tests.flows.conftest import Process, World
from tests.flows.test_memory import build_gate, request_with

pytestmark = pytest.mark.anyio


class Stage:
    """A gate with a watch, and a WebSocket of somebody who is signed in."""

    def __init__(self, world: World, gate: Gate, passage: Passage) -> None:
        self.world, self.gate, self.live = world, gate, Live()
        self.watch = Watch(self.live, gate, clock=world.clock)
        self.codes: list[int] = []
        self._closed = asyncio.Event()
        self.socket = OpenSocket(passage, self._close)
        self.live.opened.add(self.socket)

    def _close(self, code: int) -> None:
        self.codes.append(code)
        self._closed.set()

    async def closed(self) -> None:
        """Wait until the socket was closed."""
        async with asyncio.timeout(5):
            await self._closed.wait()

    @property
    def session_key(self) -> str:
        assert self.socket.passage is not None
        return self.socket.passage.session_key


async def begin(world: World, process: Process) -> tuple[Stage, str]:
    _, _, session_id = await world.signed_in(process)
    gate = build_gate(world, process)
    passage = await gate.check(request_with(session_id))
    assert isinstance(passage, Passage)
    return Stage(world, gate, passage), session_id


async def test_a_look_for_nothing_ends_nothing(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    await stage.watch.look()
    assert stage.codes == []


async def test_the_end_of_its_session_ends_it(world: World, process: Process) -> None:
    stage, session_id = await begin(world, process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)
    stage.watch.note(stage.session_key)
    await stage.watch.look()
    assert stage.codes == [SIGNED_OUT]
    await stage.watch.look()
    assert stage.codes == [SIGNED_OUT]  # once
    await stage.watch.close()


async def test_a_change_that_leaves_it_admitted_ends_nothing_and_is_taken_over(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    before = stage.socket.passage
    assert before is not None
    assert before.caller is not None
    renewed = await process.refresh.renew(before.caller.signed_in.session.grant_key, force=True)
    assert renewed is not None
    stage.watch.note(before.caller.signed_in.session.grant_key)
    await stage.watch.look()
    assert stage.codes == []
    after = stage.socket.passage
    assert after is not None
    assert after.caller is not None
    assert after.caller.signed_in.grant.tokens.access_token == renewed.tokens.access_token
    await stage.watch.close()


async def test_what_its_route_needs_and_is_gone_ends_it_with_another_code(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = await begin(world, process)
    monkeypatch.setattr(stage.gate, "admit", lambda match, known: None)
    stage.watch.note(stage.session_key)
    await stage.watch.look()
    assert stage.codes == [FORBIDDEN]
    await stage.watch.close()


async def test_expiry_ends_it_though_nobody_tells(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    world.clock.forward(timedelta(days=31))
    await stage.watch.look()
    assert stage.codes == [SIGNED_OUT]


async def test_a_socket_outlives_the_proof_it_was_opened_with_but_not_for_ever(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    assert stage.socket.passage is not None
    until = world.clock() + timedelta(minutes=11)
    stage.socket.passage = msgspec.structs.replace(stage.socket.passage, until=until)
    for _ in range(2):  # whatever changes meanwhile
        world.clock.forward(timedelta(minutes=35))
        stage.watch.note(stage.session_key)
        await stage.watch.look()
        assert stage.codes == []
    world.clock.forward(timedelta(minutes=1))
    await stage.watch.look()
    assert stage.codes == [GOING_AWAY]
    await stage.watch.close()


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), ProviderUnavailable("away")], ids=["store", "provider"])
async def test_a_passing_fault_ends_nothing_and_is_asked_about_again(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    stage, session_id = await begin(world, process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)

    async def fail(session_key: str) -> KnownCaller | None:
        raise fault

    with monkeypatch.context() as away:
        away.setattr(stage.gate, "read_caller", fail)
        stage.watch.note(stage.session_key)
        await stage.watch.look()
        await stage.watch.look()
        assert stage.codes == []
    await stage.watch.look()
    assert stage.codes == [SIGNED_OUT]
    await stage.watch.close()


async def test_while_changes_are_not_told_everything_is_judged_again(world: World, process: Process) -> None:
    stage, session_id = await begin(world, process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)
    stage.watch.note(None)
    await stage.watch.look()
    assert stage.codes == [SIGNED_OUT]
    await stage.watch.close()


async def test_it_looks_by_itself_soon_after_a_change(world: World, process: Process) -> None:
    stage, session_id = await begin(world, process)
    world.store.follow(stage.watch.note)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)
    await stage.closed()
    await stage.watch.close()


async def test_a_bug_in_one_look_does_not_end_all_further_ones(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = await begin(world, process)
    failed = asyncio.Event()

    async def fail_once(session_key: str) -> KnownCaller | None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return None

    monkeypatch.setattr(stage.gate, "read_caller", fail_once)
    stage.watch.note(None)
    async with asyncio.timeout(5):
        await failed.wait()
    stage.watch.note(None)
    await stage.closed()
    await stage.watch.close()


async def test_a_shutdown_closes_websockets_and_counts_them_before(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    assert stage.live.count_websockets() == 1
    stage.live.close_websockets()
    assert stage.codes == [GOING_AWAY]


def test_each_code_has_its_error() -> None:
    assert isinstance(why(SIGNED_OUT), SessionEnded)
    assert isinstance(why(FORBIDDEN), Forbidden)


async def test_what_is_ended_twice_is_closed_once_and_keeps_its_first_code(world: World, process: Process) -> None:
    stage, _ = await begin(world, process)
    stage.socket.end(SIGNED_OUT)
    stage.live.close_websockets()
    assert stage.codes == [SIGNED_OUT]
    assert stage.socket.close_code == SIGNED_OUT
