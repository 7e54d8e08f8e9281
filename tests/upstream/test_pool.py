"""Which connection carries which request, and what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.connection import Connection
from gateway.upstream.pool import Pool
from gateway.upstream.response import ResponseSink
from tests.upstream.wire import WAIT, Script, answering, at, read_head, relaying, scripted, until

pytestmark = pytest.mark.anyio

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def closing_when_asked_again(seen: list[bytes]) -> Script:
    """Answers once on each connection; takes a second request and closes without a word."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        writer.write(HELLO)
        seen.append(await read_head(reader))

    return script


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
async def test_a_kept_connection_found_dead_is_replaced_unseen(method: str) -> None:
    seen: list[bytes] = []
    async with relaying(closing_when_asked_again(seen)) as (front, upstream):
        assert (await front.fetch("/1"))[0] == 200
        assert (await front.fetch("/2", method=method))[2] == b"hello"
        assert upstream.connections == 2
        assert [line.split(b" ")[1] for line in seen] == [b"/1", b"/2", b"/2"]


@pytest.mark.parametrize(("method", "body"), [("POST", b""), ("POST", b"x"), ("PUT", b"x"), ("PATCH", b"")])
async def test_what_could_happen_twice_is_not_sent_twice(method: str, body: bytes) -> None:
    seen: list[bytes] = []
    async with relaying(closing_when_asked_again(seen)) as (front, _):
        await front.fetch("/1")
        assert (await front.fetch("/2", method=method, body=body))[::2] == (502, b"upstream_unreachable")
        assert len(seen) == 2


async def test_nothing_is_sent_twice_once_an_answer_began() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HELLO)
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async with relaying(script) as (front, upstream):
        await front.fetch("/1")
        assert (await front.fetch("/2"))[::2] == (502, b"upstream_broken")
        assert upstream.connections == 1


async def test_a_post_after_the_upstream_closed_goes_to_a_new_connection() -> None:
    async with relaying(answering(HELLO)) as (front, upstream):
        await front.fetch()
        await until(lambda: len(front.proxy.pool) == 0)
        assert (await front.fetch(method="POST"))[2] == b"hello"
        assert upstream.connections == 2


async def test_idle_connections_are_closed_after_a_while() -> None:
    async with relaying(answering(HELLO, stay=True), keep_alive=0.1) as (front, _):
        await front.fetch()
        await until(lambda: len(front.proxy.pool) == 0)


async def take(pool: Pool, order: list[int], number: int) -> Connection:
    connection = await pool.acquire()
    order.append(number)
    return connection


async def test_the_youngest_connection_is_used_first() -> None:
    async with scripted(answering(stay=True)) as (_, port):
        pool = Pool(at(port))
        first, second = await pool.acquire(), await pool.acquire()
        pool.take_back(first)
        pool.take_back(second)
        assert pool.take_idle() is second
        assert await pool.acquire() is first
        for connection in (first, second):
            connection.close()
        await until(lambda: len(pool) == 0)


async def test_who_waits_is_served_in_order() -> None:
    async with scripted(answering(stay=True)) as (upstream, port):
        pool, order = Pool(at(port, max_connections=1)), list[int]()
        connection = await pool.acquire()
        waiting = [asyncio.create_task(take(pool, order, number)) for number in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        for number in (0, 2):
            pool.take_back(connection)
            assert await asyncio.wait_for(waiting[number], 5) is connection
        connection.close()  # the place of a closed connection goes to the next, too
        last = await asyncio.wait_for(waiting[3], 5)
        assert last is not connection
        assert order == [0, 2, 3]
        assert upstream.connections == 2
        last.close()
        await until(lambda: len(pool) == 0)


async def test_a_place_given_to_a_cancelled_waiter_is_not_lost() -> None:
    async with scripted(answering(stay=True)) as (_, port):
        pool, order = Pool(at(port, max_connections=1)), list[int]()
        connection = await pool.acquire()
        waiting = asyncio.create_task(take(pool, order, 0))
        await asyncio.sleep(0)
        pool.take_back(connection)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.take_idle() is connection
        connection.close()
        await until(lambda: len(pool) == 0)


async def test_a_full_pool_says_so_in_time() -> None:
    async with scripted(answering(stay=True)) as (_, port):
        pool = Pool(at(port, max_connections=1, connect_timeout=0.1))
        connection = await pool.acquire()
        with pytest.raises(UpstreamTimeout, match="max_connections"):
            await pool.acquire()
        connection.close()
        await until(lambda: len(pool) == 0)
        (await pool.acquire()).close()
        await until(lambda: len(pool) == 0)


async def test_a_failed_connection_gives_its_place_back() -> None:
    async with scripted(answering()) as (_, port):
        pass
    pool = Pool(at(port, max_connections=1))
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable, match="is the app running"):
            await pool.acquire()
    with pytest.raises(UpstreamUnreachable):
        await pool.reach()


async def test_many_requests_share_few_connections() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            await asyncio.sleep(0.001)
            writer.write(HELLO)

    async with relaying(script, max_connections=3) as (front, upstream), asyncio.timeout(WAIT):
        answers = await asyncio.gather(*(front.fetch(f"/{number}") for number in range(60)))
        assert {answer[2] for answer in answers} == {b"hello"}
        assert upstream.connections == 3
        await front.proxy.close()
        await until(lambda: len(front.proxy.pool) == 0)


class Held:
    """A request that is not answered."""

    def __init__(self, holder: str) -> None:
        self.holder = holder

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hold(pool: Pool, client: str) -> tuple[Connection, Held]:
    connection = await pool.acquire(client)
    held = Held(client)
    connection.start(cast("ResponseSink", held), b"", head_request=False, complete=False)
    return connection, held


def end(pool: Pool) -> None:
    for connection in tuple(pool._open):
        connection.abort()


async def test_a_client_that_holds_its_share_leaves_the_last_connections_to_others() -> None:
    async with scripted(silent) as (_, server):
        pool = Pool(at(server, max_connections=16, connect_timeout=WAIT))
        held = [await hold(pool, "hog") for _ in range(12)]
        more = [asyncio.ensure_future(hold(pool, "hog")) for _ in range(3)]
        others = [await hold(pool, f"other-{number}") for number in range(4)]
        assert (len(pool), [each.done() for each in more]) == (16, [False] * 3)
        waiting = asyncio.ensure_future(hold(pool, "another"))
        for connection, sink in [held.pop(), *others[:3]]:
            connection.leave(sink)
        await waiting  # who came last, but holds nothing
        assert not any(each.done() for each in more)
        for connection, sink in held[:3]:
            connection.leave(sink)
        await asyncio.wait(more, return_when=asyncio.FIRST_COMPLETED)
        for each in more:
            each.cancel()
        await asyncio.gather(*more, return_exceptions=True)
        end(pool)


async def test_while_there_are_plenty_nobody_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(silent) as (_, server):
        pool = Pool(at(server, max_connections=16))
        monkeypatch.setattr(pool._shares, "may_take", None)
        for _ in range(12):
            await hold(pool, "hog")
        end(pool)
