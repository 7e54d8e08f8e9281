"""Secret keys rotate without a sign-out: what is used is sealed anew, what is not lives out under the old key."""

from __future__ import annotations

import pytest

from gateway.core.keyring import Keyring
from gateway.core.session import build_session_key
from gateway.errors import StoreUnavailable
from gateway.flows.sessions import Sessions
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

OLD, NEW = b"k" * 32, b"n" * 32


def with_keys(world: World, *keys: bytes) -> Sessions:
    client_key = world.simulator.settings.client_key
    return Sessions(world.store, Keyring(keys), world.limits, client_key=client_key)


async def test_a_rotation_signs_nobody_out(world: World, process: Process) -> None:
    _, grant, session_id = await world.signed_in(process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    key, now = signed_in.session_key, world.clock()

    rotated = with_keys(world, NEW, OLD)
    found = await rotated.read(key, now)
    assert found is not None
    # what it says it read is what is stored now: a memory may compare by it
    assert await world.store.read_many((key, found.session.grant_key)) == [found.sealed_session, found.sealed_grant]

    # the old key is gone: whoever was seen in between is still signed in
    alone = with_keys(world, NEW)
    again = await alone.read(key, now)
    assert again is not None
    assert again.grant.tokens == grant.tokens
    assert await with_keys(world, OLD).read(key, now) is None


async def test_a_record_is_sealed_anew_once(world: World, process: Process) -> None:
    _, _, session_id = await world.signed_in(process)
    signed_in = await process.read(session_id)
    assert signed_in is not None
    rotated = with_keys(world, NEW, OLD)
    first = await rotated.read(signed_in.session_key, world.clock())
    second = await rotated.read(signed_in.session_key, world.clock())
    assert first is not None
    assert second is not None
    assert first.sealed_session == second.sealed_session
    assert first.sealed_grant == second.sealed_grant


async def test_a_store_that_takes_no_writes_keeps_people_signed_in(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, session_id = await world.signed_in(process)
    signed_in = await process.read(session_id)
    assert signed_in is not None

    async def fail(*_: object, **__: object) -> bool:
        raise StoreUnavailable("read-only")

    monkeypatch.setattr(world.store, "replace", fail)
    assert await with_keys(world, NEW, OLD).read(signed_in.session_key, world.clock()) is not None


async def test_a_replica_that_lacks_a_key_says_so_and_not_with_every_request(
    world: World, process: Process, caplog: pytest.LogCaptureFixture
) -> None:
    _, grant, _ = await world.signed_in(process)
    session_id = await with_keys(world, NEW, OLD).begin(grant, user_agent="test", now=world.clock())
    key, lacking = build_session_key(session_id.encode()), with_keys(world, OLD)
    assert key is not None
    for _ in range(3):
        assert await lacking.read(key, world.clock()) is None
    assert caplog.text.count("session_unreadable") == 1
    assert session_id not in caplog.text
