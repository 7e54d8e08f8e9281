"""Access tokens for an app's own jobs: who may have which, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from gateway.errors import InsufficientScope, NoSuchGrant, TooManyTokens
from gateway.flows.token_desk import WINDOW, TokenClient, TokenDesk
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

BASIC, PROFILE, VIDEOS = "user.info.basic", "user.info.profile", "video.list"
JOB = TokenClient("job", "k" * 40, frozenset({BASIC, PROFILE}), per_minute=0)
NARROW = TokenClient("narrow", "n" * 40, frozenset({BASIC}), per_minute=3)
EAGER = TokenClient("eager", "e" * 40, frozenset({BASIC, VIDEOS}), per_minute=3)


@pytest.fixture(autouse=True)
def at_the_start_of_a_window(world: World) -> None:
    """So that a test does not pass from one into the next."""
    world.clock.forward(timedelta(seconds=WINDOW - world.clock().timestamp() % WINDOW))


def open_desk(world: World, process: Process, clients: Sequence[TokenClient] = (JOB, NARROW, EAGER)) -> TokenDesk:
    client_key = world.simulator.settings.client_key
    return TokenDesk(world.store, process.sessions, process.refresh, clients, client_key=client_key, clock=world.clock)


async def test_a_key_is_one_clients_and_must_be_the_whole_of_it(world: World, process: Process) -> None:
    desk = open_desk(world, process)
    assert [desk.find_client(each.key) for each in (JOB, NARROW, EAGER)] == [JOB, NARROW, EAGER]
    for key in ("", JOB.key[:-1], JOB.key + "k", JOB.key.upper(), "é"):
        assert desk.find_client(key) is None
    assert open_desk(world, process, ()).find_client("") is None


async def test_a_token_is_the_persons_own_and_serves(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    issued = await open_desk(world, process).issue(JOB, grant.subject, ())
    assert issued.access_token == grant.tokens.access_token
    assert issued.expires_at == grant.tokens.access_expires_at.replace(microsecond=0)
    assert grant.tokens.access_token not in repr(issued)
    assert JOB.key not in repr(JOB)


async def test_one_that_has_expired_is_renewed_first(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    world.clock.forward(grant.tokens.access_expires_at - world.clock() + timedelta(seconds=1))
    issued = await open_desk(world, process).issue(JOB, grant.subject, ())
    assert issued.access_token != grant.tokens.access_token
    assert issued.expires_at > world.clock()


async def test_a_client_may_not_ask_for_what_it_may_not_have(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    desk = open_desk(world, process)
    assert (await desk.issue(NARROW, grant.subject, (BASIC,))).access_token
    with pytest.raises(InsufficientScope, match="may not have") as refused:
        await desk.issue(NARROW, grant.subject, (BASIC, PROFILE))
    assert refused.value.missing == (PROFILE,)


@pytest.mark.parametrize("scopes", [(VIDEOS,), ()], ids=["asked for", "all that it may have"])
async def test_what_the_person_has_not_granted_nobody_gets(
    world: World, process: Process, scopes: tuple[str, ...]
) -> None:
    _, grant, _ = await world.signed_in(process)
    with pytest.raises(InsufficientScope, match="has not granted") as refused:
        await open_desk(world, process).issue(EAGER, grant.subject, scopes)
    assert refused.value.missing == (VIDEOS,)
    assert (await open_desk(world, process).issue(EAGER, grant.subject, (BASIC,))).access_token


@pytest.mark.parametrize("subject", ["", "-000nobody", "-000nobody\0"])
async def test_who_has_no_grant_has_no_token(world: World, process: Process, subject: str) -> None:
    await world.signed_in(process)
    with pytest.raises(NoSuchGrant):
        await open_desk(world, process).issue(JOB, subject, ())


async def test_each_client_may_ask_so_often_in_a_minute_whatever_comes_of_it(world: World, process: Process) -> None:
    _, grant, _ = await world.signed_in(process)
    desks = [open_desk(world, process) for _ in range(2)]
    for number in range(3):
        with pytest.raises(InsufficientScope):
            await desks[number % 2].issue(NARROW, grant.subject, (VIDEOS,))
    with pytest.raises(TooManyTokens):
        await desks[0].issue(NARROW, grant.subject, (BASIC,))
    for _ in range(3):  # another's is its own
        await desks[0].issue(EAGER, grant.subject, (BASIC,))
    for _ in range(10):  # and 0 is any number
        await desks[1].issue(JOB, grant.subject, ())
    world.clock.forward(timedelta(seconds=WINDOW))
    assert (await desks[1].issue(NARROW, grant.subject, (BASIC,))).access_token
