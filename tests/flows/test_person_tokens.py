"""Access tokens for an app in this process: fresh, for who is signed in, and no use of a session."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.core.session import build_session_key
from gateway.errors import InsufficientScope, ProviderUnavailable, SessionEnded
from gateway.flows.person_tokens import PersonTokens
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

BASIC, VIDEOS = "user.info.basic", "video.list"
EXPIRED = timedelta(days=1, seconds=1)


def open_tokens(world: World, process: Process) -> PersonTokens:
    return PersonTokens(process.sessions, process.refresh, clock=world.clock)


async def sign_in(world: World, process: Process) -> tuple[str, str, str]:
    """Return the session's key, its access token, and whose it is."""
    _, grant, session_id = await world.signed_in(process)
    return build_session_key(session_id.encode()) or "", grant.tokens.access_token, grant.subject


async def test_the_token_serves_and_has_the_scopes(world: World, process: Process) -> None:
    key, token, _ = await sign_in(world, process)
    assert await open_tokens(world, process).issue(key, (BASIC,)) == token
    with pytest.raises(InsufficientScope, match="has not granted") as refused:
        await open_tokens(world, process).issue(key, (BASIC, VIDEOS))
    assert refused.value.missing == (VIDEOS,)


async def test_all_who_ask_at_once_wait_for_one_refresh(world: World, process: Process) -> None:
    key, token, _ = await sign_in(world, process)
    world.clock.forward(EXPIRED)
    told = await asyncio.gather(
        *(open_tokens(world, each).issue(key, ()) for each in [process] * 8 + [world.process()])
    )
    assert set(told) != {token}
    assert len(set(told)) == world.simulator.refreshes == 1


async def test_a_task_that_asks_keeps_nobody_signed_in(world: World, process: Process) -> None:
    key, _, _ = await sign_in(world, process)
    tokens = open_tokens(world, process)
    for _ in range(6):
        world.clock.forward(timedelta(days=1))
        assert await tokens.issue(key, ())
    world.clock.forward(world.limits.idle - timedelta(days=6))
    with pytest.raises(SessionEnded):
        await tokens.issue(key, ())


async def test_who_has_signed_out_has_none_though_another_device_goes_on(world: World, process: Process) -> None:
    laptop, _, _ = await sign_in(world, process)
    phone, _, _ = await sign_in(world, process)
    found = await process.sessions.read(laptop, world.clock())
    assert found is not None
    await process.sessions.end(found)
    with pytest.raises(SessionEnded):
        await open_tokens(world, process).issue(laptop, ())
    assert await open_tokens(world, process).issue(phone, ())
    with pytest.raises(SessionEnded):
        await open_tokens(world, process).issue("", ())


async def test_while_tiktok_is_away_it_is_said_so(world: World, process: Process) -> None:
    key, _, _ = await sign_in(world, process)
    world.clock.forward(EXPIRED)
    world.simulator.troubles.update({"html": True})
    with pytest.raises(ProviderUnavailable):
        await open_tokens(world, process).issue(key, ())


async def test_a_grant_that_tiktok_has_ended_gives_none(world: World, process: Process) -> None:
    key, _, subject = await sign_in(world, process)
    world.clock.forward(EXPIRED)
    world.simulator.simulator.disconnect(subject)
    with pytest.raises(SessionEnded, match="ended at TikTok"):
        await open_tokens(world, process).issue(key, ())
