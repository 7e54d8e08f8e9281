"""Disconnect: over here at once, and at TikTok in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from gateway.core.grant import build_lease_key
from gateway.flows import disconnect as disconnecting
from gateway.flows.disconnect import REVOCATION, Disconnect, Revocation
from gateway.flows.outbox import Outbox
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio


def build(world: World, process: Process) -> tuple[Disconnect, Outbox]:
    revocation = Revocation(process.provider, clock=world.clock)
    outbox = Outbox(world.store, world.keyring, {REVOCATION: revocation}, clock=world.clock)
    outbox._closed = True
    return Disconnect(world.store, process.sessions, outbox, clock=world.clock), outbox


async def job_of(world: World) -> str:
    (job_id,) = await world.store.members("jobs", now=0)
    return job_id


async def until_asked(world: World, before: int) -> None:
    for _ in range(1000):
        if world.simulator.refreshes > before:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("TikTok was not asked")


def is_alive_at_tiktok(world: World) -> bool:
    return any(not token.dead for token in world.simulator.simulator.access_tokens.values())


async def test_it_ends_here_and_at_tiktok(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process)
    disconnect, _ = build(world, process)
    assert len(await disconnect.disconnect(grant)) == 1
    assert await process.read(session_id) is None
    assert await process.sessions.read_grant(key) is None
    assert not is_alive_at_tiktok(world)
    assert await world.store.members("jobs", now=0) == []


async def test_a_tiktok_that_is_away_is_told_later_by_whoever_is_there(world: World, process: Process) -> None:
    _, grant, session_id = await world.signed_in(process)
    disconnect, _ = build(world, process)
    world.simulator.troubles.html = True
    await disconnect.disconnect(grant)
    assert await process.read(session_id) is None
    assert is_alive_at_tiktok(world)
    world.simulator.troubles.html = False
    world.clock.forward(timedelta(seconds=10))
    _, after_restart = build(world, world.process())
    assert await after_restart.perform(await job_of(world))
    assert not is_alive_at_tiktok(world)


async def test_an_expired_token_is_refreshed_first_and_a_rotated_one_is_kept(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    disconnect, outbox = build(world, process)
    world.clock.forward(timedelta(hours=3))
    original = process.provider.revoke

    async def fail(access_token: str) -> None:
        world.simulator.troubles.html = True
        await original(access_token)

    process.provider.revoke = fail  # type: ignore[method-assign]
    await disconnect.disconnect(grant)
    process.provider.revoke = original  # type: ignore[method-assign]
    assert world.simulator.refreshes == 1
    assert is_alive_at_tiktok(world)
    world.simulator.troubles.html = False
    world.clock.forward(timedelta(seconds=10))
    assert await outbox.perform(await job_of(world))
    assert world.simulator.refreshes == 1
    assert not is_alive_at_tiktok(world)


async def test_a_later_sign_in_of_the_grant_ends_too_where_the_earlier_is_dead(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.simulator.simulator.disconnect(grant.subject)
    spare = await process.provider.redeem(world.code())
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert await process.sessions.replace_grant(stored, msgspec.structs.replace(grant, spare=spare))
    disconnect, _ = build(world, process)
    await disconnect.disconnect(grant)
    assert not is_alive_at_tiktok(world)
    assert await world.store.members("jobs", now=0) == []


async def test_a_refresh_that_is_under_way_leaves_nothing_alive(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process)
    disconnect, _ = build(world, world.process())
    world.clock.forward(timedelta(hours=3))
    world.simulator.troubles.token_delay = 1
    before = world.simulator.refreshes
    refresh = asyncio.create_task(process.refresh.renew(key))
    await until_asked(world, before)
    await disconnect.disconnect(grant)
    await refresh
    assert not is_alive_at_tiktok(world)
    assert await process.read(session_id) is None
    assert await process.sessions.read_grant(key) is None


async def test_a_refresh_that_hangs_does_not_keep_anybody_signed_in(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disconnecting, "PATIENCE", 0.4)
    key, grant, session_id = await world.signed_in(process)
    assert await world.store.acquire_lease(build_lease_key(key), "somebody else", 60_000)
    disconnect, _ = build(world, process)
    await disconnect.disconnect(grant)
    assert await process.read(session_id) is None
    assert not await world.store.acquire_lease(build_lease_key(key), "me", 60_000)  # it is still theirs


async def test_the_end_of_a_process_waits_for_what_is_under_way(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disconnecting, "PATIENCE", 0.4)
    _, grant, _ = await world.signed_in(process)
    disconnect, _ = build(world, process)
    world.clock.forward(timedelta(hours=3))
    world.simulator.troubles.token_delay = 1
    await disconnect.disconnect(grant)
    assert is_alive_at_tiktok(world)
    assert await world.store.members("jobs", now=0) != []
    await disconnect.close()
    assert not is_alive_at_tiktok(world)
    assert await world.store.members("jobs", now=0) == []


async def test_jobs_of_an_older_version_are_done(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    _, outbox = build(world, process)
    await outbox.add("revocation-x", REVOCATION, msgspec.msgpack.encode(grant.tokens))
    assert await outbox.perform("revocation-x")
    assert not is_alive_at_tiktok(world)


async def test_a_grant_that_is_dead_already_is_fine(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    disconnect, _ = build(world, process)
    world.simulator.simulator.disconnect(grant.subject)
    world.clock.forward(timedelta(hours=3))
    await disconnect.disconnect(grant)
    assert await world.store.members("jobs", now=0) == []


async def test_a_new_sign_in_withdraws_it(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    disconnect, _ = build(world, process)
    world.simulator.troubles.html = True
    await disconnect.disconnect(grant)
    world.simulator.troubles.html = False
    await disconnect.withdraw(grant.subject)
    assert await world.store.members("jobs", now=0) == []
