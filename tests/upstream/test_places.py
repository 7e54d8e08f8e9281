"""An app in several places: who gets the next request, what is left out, and names that move."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.upstream import Address, Upstream
from gateway.upstream.place import NAMES_LAST, Place, Places
from gateway.upstream.pool import Pool
from tests.upstream.wire import ScriptedUpstream, answering, fronting, read_head, scripted, until

pytestmark = pytest.mark.anyio

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def serve_many(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_head(reader)
        writer.write(HELLO)


def at_ports(*ports: int, **limits: Any) -> Upstream:
    return Upstream(addresses=tuple(Address(port=port) for port in ports), **limits)


async def dead_port() -> int:
    async with scripted(answering()) as (_, port):
        return port


@contextlib.asynccontextmanager
async def two_places() -> AsyncIterator[tuple[ScriptedUpstream, ScriptedUpstream, Upstream]]:
    async with scripted(serve_many) as (one, first), scripted(serve_many) as (other, second):
        yield one, other, at_ports(first, second)


async def test_requests_at_the_same_time_go_to_both() -> None:
    async with two_places() as (one, other, upstream):
        pool = Pool(upstream)
        connections = [await pool.acquire() for _ in range(10)]
        assert (one.connections, other.connections) == (5, 5)
        for connection in connections:
            connection.close()
        await until(lambda: len(pool) == 0)


async def test_the_place_with_fewer_requests_is_next_although_the_other_has_an_idle_connection() -> None:
    async with two_places() as (_, _, upstream):
        pool = Pool(upstream)
        busy = [await pool.acquire() for _ in range(4)]
        first = busy[0].place
        for connection in busy:
            if connection.place is not first:
                pool.take_back(connection)
        # the other place has two idle connections and nothing to do
        assert (await pool.acquire()).place is not first
        pool.close()


async def test_a_dead_place_is_passed_over_and_left_out_for_a_while() -> None:
    dead = await dead_port()
    async with scripted(serve_many) as (_, port):
        pool = Pool(at_ports(dead, port))
        connections = [await pool.acquire() for _ in range(6)]
        assert {connection.place.address.port for connection in connections} == {port}
        down = {place.address.port: place.down_until for place in pool.places.known}
        assert down[dead] > asyncio.get_running_loop().time()
        assert down[port] == 0.0
        assert [place.open for place in pool.places.known] == [0, 6]
        for connection in connections:
            connection.close()
        await until(lambda: len(pool) == 0)


async def test_when_all_places_are_down_all_are_tried() -> None:
    async with scripted(serve_many) as (_, port):
        pool = Pool(at_ports(port, await dead_port()))
        for place in pool.places.known:
            pool.places.leave_out(place, asyncio.get_running_loop().time())
        connection = await pool.acquire()
        assert connection.place.address.port == port
        connection.close()


async def test_when_no_place_answers_the_first_reason_is_told() -> None:
    pool = Pool(at_ports(await dead_port(), await dead_port()))
    with pytest.raises(UpstreamUnreachable, match="is the app running there"):
        await pool.acquire()
    assert [place.open for place in pool.places.known] == [0, 0]


async def test_a_place_that_drops_a_new_connection_without_a_word_is_left_out() -> None:
    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    async with (
        scripted(drop) as (bad, first),
        scripted(serve_many) as (_, good),
        fronting(at_ports(first, good)) as front,
    ):
        # at the same time: neither place is used twice before the other
        statuses = [answer[0] for answer in await asyncio.gather(*(front.fetch() for _ in range(2)))]
        assert sorted(statuses) == [200, 502]
        statuses = [answer[0] for answer in await asyncio.gather(*(front.fetch() for _ in range(5)))]
        assert statuses == [200] * 5
        assert bad.connections == 1


async def test_an_open_websocket_is_load_but_takes_no_permit() -> None:
    async with two_places() as (_, _, upstream):
        pool = Pool(Upstream(addresses=upstream.addresses, max_connections=1))
        socket_ = await pool.acquire()
        pool.let_go(socket_)
        other = await pool.acquire()
        assert other.place is not socket_.place
        other.close()
        socket_.close()
        await until(lambda: sum(place.open for place in pool.places.known) == 0)


# Names


def upstream_called(name: str, port: int = 80, **limits: Any) -> Upstream:
    return Upstream(addresses=(Address(host=name, port=port),), **limits)


class Names:
    """Answers lookups as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
        self.found: list[str] = [*found]
        self.lookups = 0
        self.error: OSError | None = None
        monkeypatch.setattr("gateway.upstream.place._find", self.find)

    async def find(self, loop: object, address: Address) -> list[Address]:
        self.lookups += 1
        if self.error is not None:
            raise self.error
        return [Address(host=host, port=address.port) for host in self.found]


def hosts(places: Places) -> list[str]:
    return [place.address.host for place in places.known]


async def test_a_name_stands_for_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, "127.0.0.1", "127.0.0.2")
    places = Places(upstream_called("app"))
    assert places.choose(0.0) is None
    await places.look_up()
    assert hosts(places) == ["127.0.0.1", "127.0.0.2"]
    assert {place.server_name(upstream_called("app")) for place in places.known} == {None}


async def test_an_address_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    for address in (Address(port=1), Address(host="::1"), Address(unix_path="/x")):
        places = Places(Upstream(addresses=(address,)))
        assert not places.are_due(1e9)
        assert len(places.known) == 1
    assert names.lookups == 0


async def test_a_name_that_moves_takes_its_requests_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(serve_many) as (_, port):
        names = Names(monkeypatch, "127.0.0.1")
        pool = Pool(upstream_called("app", port))
        kept, busy = await pool.acquire(), await pool.acquire()
        pool.take_back(kept)
        names.found = ["127.0.0.2"]
        await pool.places.look_up()
        assert hosts(pool.places) == ["127.0.0.2"]
        assert busy.place.gone
        assert busy.alive  # it may finish
        await until(lambda: not kept.alive)
        pool.take_back(busy)
        await until(lambda: len(pool) == 0)


async def test_a_name_is_looked_up_again_only_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.1")
    places = Places(upstream_called("app"))
    now = asyncio.get_running_loop().time()
    assert places.are_due(now)
    await asyncio.gather(*(places.look_up() for _ in range(5)))
    assert names.lookups == 1
    assert not places.are_due(now + NAMES_LAST - 1)
    assert places.are_due(asyncio.get_running_loop().time() + NAMES_LAST)


async def test_a_name_server_that_fails_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.1")
    places = Places(upstream_called("app"))
    await places.look_up()
    names.error = socket.gaierror("temporary failure")
    await places.look_up()
    assert hosts(places) == ["127.0.0.1"]


async def test_a_name_that_was_never_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    names.error = socket.gaierror("unknown")
    with pytest.raises(UpstreamUnreachable, match="spelled right"):
        await Pool(upstream_called("nowhere")).acquire()


async def test_a_name_server_that_hangs_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> list[Address]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr("gateway.upstream.place._find", hang)
    with pytest.raises(UpstreamTimeout, match="not found in time"):
        await Pool(upstream_called("slow", connect_timeout=0.1)).acquire()


def test_an_address_says_where_it_is() -> None:
    assert str(Address(host="::1", port=8080)) == "[::1]:8080"
    assert str(Address(unix_path="/run/app.sock")) == "unix:/run/app.sock"
    assert str(at_ports(1, 2, name="app")) == "app (http://127.0.0.1:1, http://127.0.0.1:2)"
    assert Place(Address(host="10.0.0.1"), "app").in_use == 0
