"""Reads over a connection that all share: whatever happens, everybody is told an answer, and nobody another's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import hiredis
import pytest
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoPermissionError, RedisError

from gateway.store.faults import FAULTS
from gateway.store.reader import Reader, Values, pack
from gateway.tasks import until_told
from tests.store.stores import until

pytestmark = pytest.mark.anyio

TIMEOUT = 0.4
Say = Callable[[list[bytes], asyncio.StreamWriter], Awaitable[None]]


def answer_to(keys: list[bytes]) -> bytes:
    """Return what Redis says to MGET, where the value of each key is its name twice."""
    return b"*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (2 * len(key), key * 2) for key in keys)


async def say_values(keys: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.write(answer_to(keys))


class Scripted:
    """A Redis that says to MGET what the script has; one entry for each command, the last for all others."""

    def __init__(self, *script: Say) -> None:
        self.script = list(script)
        self.connections = 0
        self.asked: list[list[bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        commands = hiredis.Reader()
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    await self.answer(command, writer)
        writer.close()

    async def answer(self, command: list[bytes], writer: asyncio.StreamWriter) -> None:
        if command[0] != b"MGET":  # redis-py greets
            writer.write(b"+OK\r\n")
            return
        self.asked.append(command[1:])
        await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(command[1:], writer)


@asynccontextmanager
async def run(redis_server: Scripted) -> AsyncGenerator[Reader]:
    """Run it, and yield a reader of it."""
    server = await asyncio.start_server(redis_server.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = redis.Redis(port=port, protocol=2, retry=Retry(NoBackoff(), 0), socket_connect_timeout=TIMEOUT)
    reader = Reader(client.connection_pool.make_connection, timeout=TIMEOUT)
    try:
        yield reader
    finally:
        reader.close()
        server.close()
        await asyncio.sleep(0.01)
        await client.aclose()


async def read(reader: Reader, *keys: str) -> Values | Exception:
    async with asyncio.timeout(5):
        return await until_told(partial(reader.read, keys))


async def hang_up(_: list[bytes], writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hang(_: list[bytes], __: asyncio.StreamWriter) -> None:
    """Say nothing."""


def say(words: bytes) -> Say:
    async def write(_: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(words)

    return write


async def test_all_share_one_connection_and_each_is_told_its_own() -> None:
    server = Scripted(say_values)
    async with run(server) as reader:
        found = await asyncio.gather(*(read(reader, f"a{number}", f"b{number}") for number in range(100)))
    assert found == [[f"a{number}".encode() * 2, f"b{number}".encode() * 2] for number in range(100)]
    assert server.connections == 1
    assert len(server.asked) == 100


async def test_several_answers_to_one_question_are_told_together() -> None:
    async with run(Scripted(say_values)) as reader:
        commands = pack("MGET", "a") + pack("MGET", "b", "c")
        exchanged: asyncio.Task[Any] = asyncio.create_task(until_told(partial(reader.exchange, commands, 2, list)))
        assert await read(reader, "d") == [b"dd"]
        assert await exchanged == [[b"aa"], [b"bb", b"cc"]]


async def test_what_is_asked_does_not_wait_for_what_was_asked_before() -> None:
    release = asyncio.Event()

    async def wait(keys: list[bytes], writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer_to(keys))

    server, sent = Scripted(wait), list[bytes]()
    async with run(server) as reader:
        warm = asyncio.create_task(read(reader, "a"))
        await until(lambda: bool(server.asked))
        assert reader._wire is not None
        reader._wire._transport = Spy(reader._wire._transport, sent)  # type: ignore[assignment]
        others = [asyncio.create_task(read(reader, key)) for key in "bc"]
        await asyncio.sleep(0.01)
        assert len(sent) == 2, "a command waits for another's answer"
        release.set()
        assert [await task for task in (warm, *others)] == [[b"aa"], [b"bb"], [b"cc"]]


class Spy:
    """A transport of which what is written is seen."""

    def __init__(self, transport: Any, written: list[bytes]) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.mark.parametrize(
    "fault",
    [
        hang_up,
        say(b"-LOADING Redis is loading\r\n"),
        say(b"nonsense\r\n"),
        say(b"*2\r\n$-1\r\n$-1\r\n"),
        say(b":1\r\n"),
    ],
    ids=["lost", "refused", "nonsense", "too many", "no values"],
)
async def test_what_fails_is_asked_once_more_over_a_fresh_connection(fault: Say) -> None:
    server = Scripted(say_values, fault, say_values)
    async with run(server) as reader:
        assert await read(reader, "a") == [b"aa"]
        assert await read(reader, "b") == [b"bb"]
        assert await read(reader, "c") == [b"cc"]
    assert server.connections == 2
    assert server.asked == [[b"a"], [b"b"], [b"b"], [b"c"]]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (hang_up, RedisConnectionError),
        (say(b"-NOPERM this user has no permissions\r\n"), NoPermissionError),
        (say(b"-ERR whatever\r\n"), RedisError),
        (say(b"nonsense\r\n"), InvalidResponse),
    ],
)
async def test_what_fails_again_is_told(fault: Say, kind: type[Exception]) -> None:
    server = Scripted(fault)
    async with run(server) as reader:
        assert isinstance(await read(reader, "a"), kind)
    assert server.asked == [[b"a"]] * 2


async def test_an_answer_that_nobody_waits_for_is_not_kept_for_the_next() -> None:
    twice: Say = say(answer_to([b"a"]) * 2)
    server = Scripted(twice, say_values)
    async with run(server) as reader:
        assert await read(reader, "a") == [b"aa"]
        assert await read(reader, "b") == [b"bb"]
    assert server.connections == 2


async def test_a_redis_that_hangs_is_told_to_all_who_wait_and_not_asked_again() -> None:
    server = Scripted(say_values, hang, hang, say_values)
    async with run(server) as reader:
        await read(reader, "a")
        first = asyncio.create_task(read(reader, "b"))
        await asyncio.sleep(TIMEOUT / 2)
        began = asyncio.get_running_loop().time()
        second = await read(reader, "c")
        assert isinstance(second, TimeoutError)
        assert isinstance(await first, TimeoutError)
        assert asyncio.get_running_loop().time() - began < TIMEOUT
        assert await read(reader, "d") == [b"dd"]
    assert server.connections == 2


async def test_a_redis_that_accepts_and_says_nothing_is_told_in_time() -> None:
    class Silent(Scripted):
        async def answer(self, command: list[bytes], writer: asyncio.StreamWriter) -> None:
            """Do not even greet."""

    async with run(Silent(hang)) as reader:
        found = await asyncio.gather(read(reader, "a"), read(reader, "b"))
        assert all(isinstance(each, FAULTS) for each in found)
        assert reader._timer is None or not reader._queue


async def test_closing_lets_what_is_under_way_be_answered() -> None:
    release = asyncio.Event()

    async def wait(keys: list[bytes], writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(answer_to(keys))

    server = Scripted(wait)
    async with run(server) as reader:
        asked = asyncio.create_task(read(reader, "a"))
        await until(lambda: bool(server.asked))
        reader.close()
        release.set()
        assert await asked == [b"aa"]
        assert await read(reader, "b") == [b"bb"]
    assert server.connections == 2


class Moody:
    """Answers in pieces, late, and sometimes not as it should."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    async def __call__(self, keys: list[bytes], writer: asyncio.StreamWriter) -> None:
        mood, answer = self.random.random(), answer_to(keys)
        if mood < 0.04:
            writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
        elif mood < 0.06:
            writer.write(b"?" + answer)
        elif mood < 0.08:
            writer.write(answer[: self.random.randrange(len(answer))])
            writer.close()
            raise ConnectionResetError
        elif mood < 0.085:
            await asyncio.sleep(TIMEOUT * 1.2)
            writer.write(answer)  # much too late
        else:
            await self._write_pieces(answer, writer)

    async def _write_pieces(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        while answer:
            size = self.random.choice((1, 3, 17, 1000))
            writer.write(answer[:size])
            answer = answer[size:]
            if self.random.random() < 0.2:
                await asyncio.sleep(self.random.random() / 1000)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_everybody_is_told_once_and_nobody_anothers_answer(seed: int) -> None:
    chance, told = random.Random(seed + 1000), dict[int, list[Any]]()
    gone: list[asyncio.Task[Any]] = []
    async with run(Scripted(Moody(seed))) as reader:
        for number in range(300):
            reader.read(
                [f"{number}-{part}" for part in range(chance.randrange(1, 4))], told.setdefault(number, []).append
            )
            if chance.random() < 0.1:
                gone.append(asyncio.create_task(read(reader, f"gone-{number}")))
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() / 500)
            if gone and chance.random() < 0.3:
                gone.pop().cancel()
            if chance.random() < 0.01:
                reader.close()
        await until(lambda: all(told.values()))
        await asyncio.gather(*gone, return_exceptions=True)
        await asyncio.sleep(TIMEOUT * 1.5)  # for what comes too late
    values = 0
    for number, said in told.items():
        (found,) = said
        if isinstance(found, list):
            assert found == [f"{number}-{part}".encode() * 2 for part in range(len(found))]
            values += 1
        else:
            assert isinstance(found, FAULTS)
    assert values > 30, "hardly anybody was told anything"
