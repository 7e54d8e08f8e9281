"""How many sign-ins may begin: of one network, and of all together."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest

from gateway.errors import SignInsBusy, TooManyAttempts
from gateway.flows.attempt_limit import WINDOW, AttemptLimit
from tests.flows.conftest import World

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def at_the_start_of_a_window(world: World) -> None:
    """So that a test does not pass from one into the next."""
    world.clock.forward(timedelta(seconds=WINDOW - world.clock().timestamp() % WINDOW))


def limit(world: World, *, of_network: int = 0, of_all: int = 0) -> AttemptLimit:
    return AttemptLimit(world.store, of_network=of_network, of_all=of_all, clock=world.clock)


async def count(found: AttemptLimit, *addresses: str) -> list[type[Exception] | None]:
    """Count an attempt of each address; returns what each was told."""
    told: list[type[Exception] | None] = []
    for address in addresses:
        try:
            await found.count(address)
            told.append(None)
        except (TooManyAttempts, SignInsBusy) as error:
            told.append(type(error))
    return told


async def test_one_network_may_begin_so_many_in_a_minute_on_all_replicas(world: World) -> None:
    replicas = [limit(world, of_network=2) for _ in range(3)]
    assert [(await count(each, "192.0.2.7"))[0] for each in replicas] == [None, None, TooManyAttempts]
    assert await count(replicas[0], "192.0.2.8") == [None]
    world.clock.forward(timedelta(seconds=WINDOW))
    assert await count(replicas[0], "192.0.2.7") == [None]


async def test_with_ipv6_a_network_is_what_one_customer_has(world: World) -> None:
    found = limit(world, of_network=1)
    assert await count(found, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9") == [None, TooManyAttempts]
    assert await count(found, "2001:db8:1:3::1") == [None]


async def test_who_has_no_address_shares_nobodys_limit(world: World) -> None:
    assert await count(limit(world, of_network=1), "", "", "") == [None, None, None]


async def test_all_together_may_begin_so_many(world: World) -> None:
    told = await count(limit(world, of_all=2), "192.0.2.1", "192.0.2.2", "192.0.2.3", "")
    assert told == [None, None, SignInsBusy, SignInsBusy]


async def test_one_network_cannot_use_up_what_is_there_for_all(world: World) -> None:
    found = limit(world, of_network=2, of_all=4)
    assert await count(found, *["192.0.2.7"] * 20) == [None, None, *[TooManyAttempts] * 18]
    assert await count(found, "192.0.2.8", "192.0.2.8") == [None, None]
    assert await count(found, "192.0.2.9") == [SignInsBusy]


async def test_zero_is_no_limit_and_writes_nothing(world: World) -> None:
    assert await count(limit(world), *["192.0.2.7"] * 50) == [None] * 50
    assert [key async for key in world.store.walk("attempts")] == []


async def test_what_it_writes_names_no_address_and_ends(world: World) -> None:
    with contextlib.suppress(TooManyAttempts):
        await limit(world, of_network=1, of_all=1).count("192.0.2.7")
    keys = [key async for key in world.store.walk("attempts")]
    assert len(keys) == 2
    assert not any("192.0.2" in key for key in keys)
    for key in keys:
        assert 0 < await world.store._client.ttl("test:" + key) <= WINDOW
