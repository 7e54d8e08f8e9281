"""Callers remembered: recalled while true, forgotten at every change, never older than a change."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import datetime, timedelta

import pytest

from gateway.core.fields import Fields
from gateway.core.identity import IdentityHeaders
from gateway.core.path import canonicalise
from gateway.core.policy import Policy
from gateway.core.request import RequestHead
from gateway.core.route import Route
from gateway.flows.authentication import Authentication
from gateway.flows.gate import Gate, Passage, Refusal, Unknown
from gateway.flows.memory import BESIDES, Memory
from gateway.flows.sessions import SignedIn
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio


def request_with(session_id: str) -> RequestHead:
    headers: Fields = [(b"host", b"app.example"), (b"cookie", b"gateway=" + session_id.encode())]
    return RequestHead(
        method="GET",
        scheme="https",
        host="app.example",
        path=canonicalise(b"/"),
        query=b"",
        raw_target=b"/",
        headers=tuple(headers),
        client_address="192.0.2.1",
    )


def build_gate(world: World, process: Process, *, lasts: timedelta = timedelta(minutes=10)) -> Gate:
    authentication = Authentication(process.sessions, process.refresh, cookie_name="gateway", clock=world.clock)
    headers = IdentityHeaders(["tiktok"], {})
    memory = Memory(world.store, lasts)
    return Gate(Policy([Route(path="/**")]), headers, authentication, process.sessions, memory, clock=world.clock)


def recall(gate: Gate, head: RequestHead) -> Passage | None:
    """What the gate says without asking the store; None when it would have to."""
    match = gate.match(head.method, head.host, head.path)
    found = gate.admit_at_once(match, next(iter(gate.read_session_keys(head.headers)), None))
    assert found is not None
    return None if isinstance(found, Unknown) else found


async def caller_of(gate: Gate, head: RequestHead) -> SignedIn | None:
    """Who calls, by all that the gate can find out."""
    verdict = await gate.check(head)
    return verdict.caller.signed_in if isinstance(verdict, Passage) and verdict.caller is not None else None


async def test_the_second_request_asks_nothing(world: World, process: Process) -> None:
    _, grant, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    assert recall(gate, head) is None
    asked = await gate.check(head)
    recalled = recall(gate, head)
    assert recalled is not None
    assert recalled.caller is not None
    assert recalled.caller.signed_in.grant.subject == grant.subject
    assert recalled == asked


async def test_no_cookie_or_no_session_id_is_decided_at_once(world: World, process: Process) -> None:
    gate = build_gate(world, process)
    head = request_with("nonsense")
    match = gate.match(head.method, head.host, head.path)
    assert gate.read_session_keys(head.headers) == ()
    assert gate.admit_at_once(match, None) is None
    assert isinstance(await gate.check(head), Refusal)


async def test_nothing_is_remembered_for_longer_than_asked(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process, lasts=timedelta(seconds=5)), request_with(session_id)
    await gate.check(head)
    assert recall(gate, head) is not None
    world.clock.forward(timedelta(seconds=5))
    assert recall(gate, head) is None


async def test_zero_remembers_nothing(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process, lasts=timedelta(0)), request_with(session_id)
    await gate.check(head)
    assert recall(gate, head) is None


async def test_a_sign_out_is_seen_by_the_next_request(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    await gate.check(head)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    await process.sessions.end(signed_in)
    assert recall(gate, head) is None
    assert await caller_of(gate, head) is None


async def test_a_refresh_is_seen_by_every_session_of_the_person(world: World, process: Process) -> None:
    key, grant, first = await world.signed_in(process)
    _, _, second = await world.signed_in(process)
    gate = build_gate(world, process)
    for session_id in (first, second):
        await gate.check(request_with(session_id))
    await process.refresh.renew(key, force=True)
    for session_id in (first, second):
        assert recall(gate, request_with(session_id)) is None
        signed_in = await caller_of(gate, request_with(session_id))
        assert signed_in is not None
        assert signed_in.grant.tokens.access_token != grant.tokens.access_token


async def test_somebody_elses_change_is_no_reason_to_forget(world: World, process: Process) -> None:
    _, _, mine = await world.signed_in(process, "plain")
    gate = build_gate(world, process)
    await gate.check(request_with(mine))
    await world.signed_in(process, "emoji")
    assert recall(gate, request_with(mine)) is not None


async def test_what_must_be_done_is_not_forgotten_over_remembering(world: World, process: Process) -> None:
    """The session is marked as seen, and the token renewed, although requests come all the time."""
    _, grant, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process, lasts=timedelta(days=9)), request_with(session_id)
    before = await process.read(session_id)
    await gate.check(head)
    world.clock.forward(world.limits.touch_interval)
    assert recall(gate, head) is None
    await gate.check(head)
    after = await process.read(session_id)
    assert before is not None
    assert after is not None
    assert after.session.last_seen_at > before.session.last_seen_at
    due = grant.settled_until() - world.clock()
    assert due > timedelta(0)
    world.clock.forward(due)
    assert recall(gate, head) is None


class Crossing:
    """A read that a change crosses on its way."""

    def __init__(self, memory: Memory, now: datetime) -> None:
        self.memory, self.now = memory, now

    async def holds(self, gate: Gate, head: RequestHead, *changed: str | None) -> bool:
        signed_in = await caller_of(gate, head)
        assert signed_in is not None
        known = self.memory.recall(signed_in.session_key, self.now)
        assert known is not None
        mark = self.memory.begin_read()
        for key in changed:
            self.memory.forget(key)
        self.memory.remember(known, mark, self.now)
        held = self.memory.recall(known.signed_in.session_key, self.now) is known
        self.memory.forget(None)
        return held


async def test_a_read_that_a_change_crossed_is_not_remembered(world: World, process: Process) -> None:
    key, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    crossing = Crossing(gate._memory, world.clock())
    assert not await crossing.holds(gate, head, signed_in.session_key)
    assert not await crossing.holds(gate, head, key)
    assert not await crossing.holds(gate, head, None)
    assert not await crossing.holds(gate, head, None, "session:other")
    assert await crossing.holds(gate, head, "session:other")


async def test_so_many_changes_that_they_are_lost_sight_of(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flows.memory.RECENT", 4)
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    crossing = Crossing(gate._memory, world.clock())
    signed_in = await process.read(session_id)
    assert signed_in is not None
    assert not await crossing.holds(gate, head, signed_in.session_key, *(f"session:{n}" for n in range(9)))
    assert len(gate._memory._recent) <= 5


async def test_memory_is_bounded_in_bytes_and_who_came_first_goes_first(world: World, process: Process) -> None:
    sizes: list[int] = []
    gate = build_gate(world, process)
    memory = gate._memory = Memory(world.store, timedelta(minutes=10), 3 * BESIDES + BESIDES // 2, sizes.append)
    heads = []
    for _ in range(7):
        _, _, session_id = await world.signed_in(process)
        heads.append(request_with(session_id))
        await gate.check(heads[-1])
        assert sizes[-1] == sum(each.weight for each in memory._known.values()) <= memory._most
    assert 1 <= len(memory._known) <= 3
    assert recall(gate, heads[-1]) is not None
    assert recall(gate, heads[0]) is None
    memory.forget(None)
    assert sizes[-1] == 0


async def test_whoever_there_is_no_room_for_is_not_remembered(world: World, process: Process) -> None:
    """And in nobody's hands either: nobody would hear of their end."""
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    gate._memory = Memory(world.store, timedelta(minutes=10), BESIDES)
    for _ in range(2):
        verdict = await gate.check(head)
        assert isinstance(verdict, Passage)
        assert verdict.caller is not None
        assert not verdict.caller.remembered


async def test_the_estimate_of_its_size_is_fair(world: World, process: Process) -> None:
    """Within a half and twice of what Python says that it takes."""
    ids = [(await world.signed_in(process))[2] for _ in range(50)]
    gate = build_gate(world, process)
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for session_id in ids:
            await gate.check(request_with(session_id))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken / 2 < gate._memory._weight < taken * 2


class DeafStore:
    """A store whose word on changes cannot be relied on."""

    following = False

    def follow(self, changed: object) -> None:
        """Never call it."""


async def test_while_changes_are_not_told_nothing_is_answered_from_memory(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    await gate.check(head)
    assert recall(gate, head) is not None
    gate._memory._store = DeafStore()  # type: ignore[assignment]
    assert recall(gate, head) is None
    assert await caller_of(gate, head) is not None
    assert recall(gate, head) is None


async def test_nor_is_what_is_found_out_meanwhile_remembered_in_anybodys_hands(world: World, process: Process) -> None:
    """Whoever keeps a caller asks `remembered` alone, and would not hear of its end."""
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    gate._memory._store = DeafStore()  # type: ignore[assignment]
    for _ in range(2):  # read, and then found to be the same
        verdict = await gate.check(head)
        assert isinstance(verdict, Passage)
        assert verdict.caller is not None
        assert not verdict.caller.remembered
        assert gate.seconds_left(verdict.caller) == 0.0


async def test_what_takes_the_place_of_a_caller_takes_it_out_of_everybodys_hands(
    world: World, process: Process
) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process), request_with(session_id)
    match, (key,) = gate.match(head.method, head.host, head.path), gate.read_session_keys(head.headers)
    first, second = await gate.read_caller(key), await gate.read_caller(key)
    assert first is not None
    assert second is not None
    assert (first.remembered, second.remembered) == (False, True)
    found = gate.admit_at_once(match, key)
    assert isinstance(found, Passage)
    assert found.caller is second


async def test_what_is_too_old_to_answer_from_is_found_until_it_has_to_be_seen_to(
    world: World, process: Process
) -> None:
    _, _, session_id = await world.signed_in(process)
    gate, head = build_gate(world, process, lasts=timedelta(seconds=5)), request_with(session_id)
    (key,) = gate.read_session_keys(head.headers)
    known = await gate.read_caller(key)
    assert known is not None
    assert known.until < known.settled_until
    memory = gate._memory
    assert memory.recall(key, known.until) is None
    assert memory.find(key, known.until) is known
    assert memory.find(key, known.settled_until) is None


async def test_whom_it_remembers_is_no_work_for_the_collector_of_cycles(world: World, process: Process) -> None:
    """Else it goes over all of them again and again, and everybody waits for it meanwhile."""
    gate = build_gate(world, process)
    _, _, session_id = await world.signed_in(process)
    verdict = await gate.check(request_with(session_id))
    assert isinstance(verdict, Passage)
    known = verdict.caller
    assert known is not None
    gc.collect()  # lets go of tuples of values,
    gc.collect()  # and of tuples of those
    kept = [
        *(known, known.allow, known.allow.set_headers, *known.allow.set_headers, known.allow.identity, known.by_route),
        *(known.signed_in, known.signed_in.session, known.signed_in.grant),
        *(known.signed_in.grant.tokens, known.signed_in.grant.profile, known.signed_in.grant.tokens.scopes),
    ]
    assert [each for each in kept if gc.is_tracked(each)] == []
