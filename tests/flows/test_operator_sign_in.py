"""Operators' sessions: how long they last, what ends them, and how often one may guess."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.core.keyring import Keyring
from gateway.core.operator_session import ABSOLUTE, IDLE, REWRITTEN_EVERY
from gateway.errors import StoreUnavailable, TooManyAttempts, Unauthenticated
from gateway.flows.operator_sign_in import OperatorKey, Operators
from gateway.flows.wrong_keys import OF_ALL, OF_NETWORK, WINDOW
from tests.flows.conftest import World

pytestmark = pytest.mark.anyio

ADA, BOB = "a" * 40, "b" * 40
KEYS = (OperatorKey.of(ADA, "ada"), OperatorKey.of(BOB, "bob"))


def operators(world: World, *keys: OperatorKey, keyring: Keyring | None = None) -> Operators:
    return Operators(world.store, keyring or world.keyring, keys or KEYS, clock=world.clock)


async def enter(world: World, key: str = ADA) -> bytes:
    return (await operators(world).sign_in(key, "192.0.2.1", secure=False))[1].encode()


async def whose(world: World, cookie: bytes, *keys: OperatorKey) -> str | None:
    found = await operators(world, *keys).recall(cookie)
    return found[1].name if found is not None else None


async def test_a_cookie_says_whose_key_it_was_made_with(world: World) -> None:
    assert await whose(world, await enter(world)) == "ada"
    assert await whose(world, await enter(world, BOB)) == "bob"
    with pytest.raises(Unauthenticated):
        await enter(world, "c" * 40)


async def test_a_key_that_is_taken_away_takes_its_cookies_with_it(world: World) -> None:
    cookie = await enter(world)
    assert await whose(world, cookie, KEYS[1]) is None
    assert await whose(world, cookie, KEYS[0]) == "ada"
    # nor does a new key of the same name bring them back
    assert await whose(world, cookie, OperatorKey.of("d" * 40, "ada")) is None


async def test_idle_and_absolute_limits_hold(world: World) -> None:
    cookie, here = await enter(world), operators(world)
    began = world.clock()
    while world.clock() + IDLE / 2 < began + ABSOLUTE:
        world.clock.forward(IDLE / 2)
        found = await here.recall(cookie)
        assert found is not None
        newer = here.renew(found[0])
        assert newer is not None
        cookie = newer.encode()
    world.clock.forward(IDLE / 2)
    assert await here.recall(cookie) is None  # it was in use all the time
    cookie = await enter(world)
    world.clock.forward(IDLE - timedelta(seconds=1))
    assert await here.recall(cookie) is not None
    world.clock.forward(timedelta(seconds=2))
    assert await here.recall(cookie) is None


async def test_a_cookie_is_not_written_anew_with_each_page(world: World) -> None:
    here = operators(world)
    found = await here.recall(await enter(world))
    assert found is not None
    assert here.renew(found[0]) is None
    world.clock.forward(REWRITTEN_EVERY)
    assert here.renew(found[0]) is not None


async def test_a_cookie_from_a_clock_that_was_wrong_opens_nothing(world: World) -> None:
    world.clock.forward(timedelta(hours=1))
    cookie = await enter(world)
    world.clock.forward(-timedelta(hours=1))
    assert await whose(world, cookie) is None


async def test_signing_out_ends_every_copy_on_every_replica(world: World) -> None:
    cookie, other = await enter(world), await enter(world)
    here = operators(world)
    found = await here.recall(cookie)
    assert found is not None
    world.clock.forward(REWRITTEN_EVERY)
    newer = here.renew(found[0])
    assert newer is not None
    await here.sign_out(found[0])
    assert await whose(world, cookie) is None
    assert await whose(world, newer.encode()) is None
    assert await whose(world, other) == "ada"


async def test_an_operator_gets_in_while_the_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("it is away")

    for name in ("read", "read_many", "increment"):
        monkeypatch.setattr(world.store, name, fail)
    monkeypatch.setattr(world.store, "write", fail)
    cookie = await enter(world)
    assert await whose(world, cookie) == "ada"
    found = await operators(world).recall(cookie)
    assert found is not None
    with pytest.raises(StoreUnavailable):
        await operators(world).sign_out(found[0])


async def test_no_byte_of_a_cookie_may_be_changed_and_none_is_made_without_the_keys(world: World) -> None:
    cookie = await enter(world)
    for at in range(len(cookie)):
        other = b"A" if cookie[at : at + 1] != b"A" else b"B"
        changed = cookie[:at] + other + cookie[at + 1 :]
        # the last digit has bits that say nothing
        if changed[:-1] != cookie[:-1]:
            assert await whose(world, changed) is None
    _, strange = await operators(world, keyring=Keyring([b"x" * 32])).sign_in(ADA, "", secure=False)
    _, of_another = await operators(world, keyring=Keyring([b"k" * 32], b"another")).sign_in(ADA, "", secure=False)
    for value in (
        strange.encode(),
        of_another.encode(),
        b"",
        b"x",
        cookie[:-4],
        cookie + b"A",
        cookie * 100,
        b"\xff" * 99,
    ):
        assert await whose(world, value) is None


async def guess(here: Operators, address: str, key: str = "x" * 40) -> str:
    try:
        await here.sign_in(key, address, secure=False)
    except (Unauthenticated, TooManyAttempts) as error:
        return error.code
    return "in"


async def test_wrong_keys_are_soon_not_heard_any_more(world: World) -> None:
    here = operators(world)
    assert [await guess(here, "192.0.2.1") for _ in range(OF_NETWORK)] == ["unauthenticated"] * OF_NETWORK
    assert await guess(here, "192.0.2.1") == "too_many_attempts"
    assert await guess(here, "192.0.2.1", ADA) == "too_many_attempts"  # else guessing would tell
    assert await guess(here, "198.51.100.7", ADA) == "in"
    world.clock.forward(timedelta(seconds=WINDOW))
    assert await guess(here, "192.0.2.1", ADA) == "in"


async def test_many_addresses_do_not_get_round_that(world: World) -> None:
    here = operators(world)
    heard = [await guess(here, f"10.0.{number // 250}.{number % 250}") for number in range(2000)].count(
        "unauthenticated"
    )
    assert heard == OF_ALL
    assert len(here._wrong_keys._here) <= OF_ALL + 1


async def test_right_keys_do_not_count(world: World) -> None:
    here = operators(world)
    assert {await guess(here, "192.0.2.1", ADA) for _ in range(2 * OF_NETWORK)} == {"in"}


async def test_several_workers_and_a_reload_give_no_more_tries(world: World) -> None:
    told = [await guess(operators(world), "192.0.2.1") for _ in range(OF_NETWORK + 3)]
    assert told == ["unauthenticated"] * OF_NETWORK + ["too_many_attempts"] * 3
    assert await guess(operators(world), "192.0.2.1", ADA) == "too_many_attempts"
    assert await guess(operators(world), "198.51.100.7", ADA) == "in"
    told = [await guess(operators(world), f"10.0.0.{number}") for number in range(OF_ALL)]
    assert told.count("unauthenticated") == OF_ALL - OF_NETWORK
    assert await guess(operators(world), "198.51.100.7", ADA) == "too_many_attempts"
    world.clock.forward(timedelta(seconds=WINDOW))
    assert await guess(operators(world), "192.0.2.1", ADA) == "in"


async def test_while_the_store_is_away_each_process_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    for name in ("read_many", "increment"):
        monkeypatch.setattr(world.store, name, fail)
    here = operators(world)
    assert [await guess(here, "192.0.2.1") for _ in range(OF_NETWORK)] == ["unauthenticated"] * OF_NETWORK
    assert await guess(here, "192.0.2.1", ADA) == "too_many_attempts"
    assert await guess(here, "198.51.100.7", ADA) == "in"


async def test_many_tries_at_once_are_no_more_than_one_by_one(world: World) -> None:
    here = operators(world)
    told = await asyncio.gather(*(guess(here, "192.0.2.1") for _ in range(3 * OF_NETWORK)))
    assert told.count("unauthenticated") == OF_NETWORK
