"""The order of places, without sockets: which is best, which is left out, and what of a lookup is kept."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import pytest

from gateway.errors import UpstreamUnreachable
from gateway.upstream import Address, Upstream
from gateway.upstream.connection import Connection
from gateway.upstream.place import DOWN_FOR, NAMES_LAST, Place, Places

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


class Idle:
    """An idle connection."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def at_hosts(*hosts: str) -> Places:
    return Places(Upstream(addresses=tuple(Address(host=host) for host in hosts)))


def take(place: Place, *, busy: int, idle: int = 0) -> None:
    """Give a place some connections."""
    place.open = busy + idle
    place.idle = [cast("Connection", Idle()) for _ in range(idle)]


def best(places: Places, now: float = 0.0) -> str:
    found = places.choose(now)
    assert found is not None
    return found.address.host


def test_places_that_are_alike_take_turns() -> None:
    places = at_hosts(*HOSTS)
    assert sorted(best(places) for _ in range(6)) == sorted(HOSTS * 2)


def test_one_place_is_always_the_best() -> None:
    places = at_hosts(HOSTS[0])
    places.leave_out(places.known[0], 0.0)
    assert best(places) == HOSTS[0]


def test_what_is_in_use_counts_and_what_is_idle_does_not() -> None:
    places = at_hosts(*HOSTS)
    take(places.known[0], busy=2)
    take(places.known[1], busy=1, idle=5)
    take(places.known[2], busy=3)
    assert [place.in_use for place in places.known] == [2, 1, 3]
    assert {best(places) for _ in range(3)} == {HOSTS[1]}
    assert [place.address.host for place in places.order(0.0)] == [HOSTS[1], HOSTS[0], HOSTS[2]]


def test_a_place_that_is_down_comes_last_until_its_time_is_over() -> None:
    places = at_hosts(*HOSTS)
    take(places.known[1], busy=9)
    take(places.known[2], busy=9)
    places.leave_out(places.known[0], 100.0)
    assert [place.address.host for place in places.order(100.0)][-1] == HOSTS[0]
    assert best(places, 100.0 + DOWN_FOR - 0.1) != HOSTS[0]
    assert best(places, 100.0 + DOWN_FOR) == HOSTS[0]


def test_of_places_that_are_all_down_the_one_that_is_back_first_is_best() -> None:
    places = at_hosts(*HOSTS)
    for number, place in enumerate(reversed(places.known)):
        places.leave_out(place, float(number))
    assert best(places, 3.0) == HOSTS[2]


def test_only_names_are_looked_up() -> None:
    assert not at_hosts(*HOSTS).are_due(0.0)
    named = at_hosts("app.internal")
    assert named.known == []
    assert named.choose(0.0) is None
    assert named.are_due(0.0)


@pytest.mark.anyio
async def test_what_a_name_no_longer_stands_for_is_closed_and_what_it_still_does_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[list[str] | OSError] = [["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.3"], OSError("no answer")]

    async def find(loop: asyncio.AbstractEventLoop, address: Address) -> list[Address]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return [Address(host=host, port=address.port) for host in answer]

    monkeypatch.setattr("gateway.upstream.place._find", find)
    places = at_hosts("app.internal")
    await places.look_up()
    gone, stays = places.known
    take(gone, busy=1, idle=1)
    take(stays, busy=1, idle=1)
    assert not places.are_due(asyncio.get_running_loop().time())
    assert places.are_due(asyncio.get_running_loop().time() + NAMES_LAST)
    await places.look_up()
    assert [place.address.host for place in places.known] == ["10.0.0.2", "10.0.0.3"]
    assert (places.known[0], places.known[1].name) == (stays, "app.internal")
    assert (gone.gone, stays.gone) == (True, False)
    assert [cast("Idle", place.idle[0]).closed for place in (gone, stays)] == [True, False]
    known = list(places.known)
    await places.look_up()  # which fails: better an old address than none
    assert [place.address for place in places.known] == [place.address for place in known]


@pytest.mark.anyio
async def test_a_name_that_stands_for_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(loop: asyncio.AbstractEventLoop, address: Address) -> list[Address]:
        raise OSError("no such name")

    monkeypatch.setattr("gateway.upstream.place._find", find)
    places = at_hosts("app.internal")
    with pytest.raises(UpstreamUnreachable, match="spelled right"):
        await places.look_up()
    assert places.are_due(asyncio.get_running_loop().time())


def test_a_certificate_must_name_what_was_asked_for() -> None:
    place = Place(Address(host="10.0.0.1"), "app.internal")
    assert place.server_name(Upstream(addresses=(place.address,))) is None
    context = ssl.create_default_context()
    secure = Upstream(addresses=(place.address,), ssl_context=context)
    assert place.server_name(secure) == "app.internal"
    named = Upstream(addresses=(place.address,), ssl_context=context, server_name="front.internal")
    assert place.server_name(named) == "front.internal"
    assert Place(Address(unix_path="/run/app.sock"), "").server_name(secure) == "localhost"
