"""How many connections an address may have, and what counts as one address."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gateway.core.forwarded import TrustedProxies, unmap
from gateway.server import connections
from gateway.server.connections import ConnectionGuard

pytestmark = pytest.mark.anyio


class Silent:
    def tick(self, now: float) -> None:
        """Nothing to end."""


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
async def test_a_network_of_ipv6_is_one_address(first: str, second: str, is_one: bool) -> None:
    guard = ConnectionGuard(1, TrustedProxies(()))
    held = Silent()
    assert guard.admit(held, first)
    assert guard.admit(Silent(), second) is not is_one
    guard.discard(held)
    assert guard.admit(Silent(), first)


async def test_an_address_has_so_many_and_one_more_once_one_has_ended() -> None:
    guard = ConnectionGuard(3, TrustedProxies(()))
    held = [Silent() for _ in range(3)]
    assert all(guard.admit(each, "192.0.2.7") for each in held)
    for _ in range(5):
        refused = Silent()
        assert not guard.admit(refused, "192.0.2.7")
        guard.discard(refused)  # which takes nobody else's place away
    assert guard.admit(Silent(), "192.0.2.8")
    guard.discard(held.pop())
    assert guard.admit(Silent(), "192.0.2.7")
    assert not guard.admit(Silent(), "192.0.2.7")


async def test_a_proxy_that_is_trusted_speaks_for_many_and_so_does_a_unix_socket() -> None:
    guard = ConnectionGuard(1, TrustedProxies(["192.0.2.0/24"]))
    for peer in ("192.0.2.7", None, ""):
        assert all(guard.admit(Silent(), peer) for _ in range(5))
    assert len(guard) == 15


async def test_zero_is_any_number() -> None:
    guard = ConnectionGuard(0, TrustedProxies(()))
    assert all(guard.admit(Silent(), "192.0.2.7") for _ in range(100))


async def test_what_waits_is_bounded_for_all_connections_of_an_address_together() -> None:
    guard = ConnectionGuard(0, TrustedProxies(()), most_waiting=100)
    one, another, elsewhere = Silent(), Silent(), Silent()
    for each, address in ((one, "192.0.2.7"), (another, "192.0.2.7"), (elsewhere, "192.0.2.8")):
        guard.admit(each, address)
    assert guard.note_waiting(one, 60)
    assert guard.note_waiting(another, 40)
    assert not guard.note_waiting(another, 41)
    assert guard.note_waiting(elsewhere, 100)
    assert guard.note_waiting(one, 59)  # what a connection says anew takes the place of what it said before
    guard.discard(one)
    assert guard.note_waiting(another, 100)
    guard.replace(another, one)  # which begins with nothing
    assert guard.note_waiting(one, 100)
    assert not guard.note_waiting(one, 101)


async def test_of_a_trusted_proxy_anything_may_wait() -> None:
    guard = ConnectionGuard(0, TrustedProxies(["192.0.2.0/24"]), most_waiting=100)
    one = Silent()
    guard.admit(one, "192.0.2.7")
    assert guard.note_waiting(one, 10_000)


def test_an_ipv4_address_is_told_as_one_whatever_the_socket_is() -> None:
    assert unmap("::ffff:192.0.2.7") == "192.0.2.7"
    assert unmap("2001:db8::1") == "2001:db8::1"
    assert unmap("::ffff:c000:207") == "::ffff:c000:207"


class Told:
    def __init__(self, log: list[str]) -> None:
        self._log = log

    def tick(self, now: float) -> None:
        """Note it."""
        self._log.append("told")


async def test_thousands_of_connections_are_told_of_the_clock_in_turns_with_everybody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "TICK", 0.01)
    guard, log, rounds = ConnectionGuard(0, TrustedProxies(())), list[str](), 3
    held = [Told(log) for _ in range(1000)]
    for each in held:
        guard.admit(each, "192.0.2.7")
    while log.count("told") < rounds * len(held):
        log.append("others")
        await asyncio.sleep(0)
    runs = [len(list(run)) for what, run in itertools.groupby(log) if what == "told"]
    assert max(runs) == connections.AT_ONCE
    assert sum(runs) == rounds * len(held)


async def test_who_has_left_is_not_told_of_the_clock_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TICK", 0.01)
    guard, log = ConnectionGuard(0, TrustedProxies(())), list[str]()
    held = [Told(log) for _ in range(connections.AT_ONCE * 2)]
    for each in held:
        guard.admit(each, "192.0.2.7")
    while not log:  # noqa: ASYNC110 -- it is the turns that count
        await asyncio.sleep(0)
    for each in held:  # while half of them are still to be told
        guard.discard(each)
    await asyncio.sleep(0.05)
    assert len(log) == connections.AT_ONCE
    guard.admit(held[0], "192.0.2.7")  # the clock runs again
    while len(log) == connections.AT_ONCE:  # noqa: ASYNC110
        await asyncio.sleep(0)
