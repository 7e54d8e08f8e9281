"""Request bodies, early answers, and bodies larger than memory may grow."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from typing import Any

import pytest

from gateway.errors import RequestRefused
from gateway.upstream.http import HIGH_WATER
from tests.upstream.wire import Front, answering, read_head, relaying, until

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def read_rest(reader: asyncio.StreamReader, ending: bytes) -> bytes:
    body = b""
    while not body.endswith(ending):
        piece = await reader.read(65536)
        if not piece:
            break
        body += piece
    return body


async def test_a_counted_body_stays_counted_and_100_continue_is_ours() -> None:
    seen = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        seen.append(await read_rest(reader, b"world"))
        writer.write(OK)

    async with relaying(script) as (front, _):
        status, _, body = await front.fetch(method="PUT", fields="Expect: 100-continue\r\n", body=b"hello world")
    assert status in (100, 200)
    assert body.endswith(b"ok")
    assert b"content-length: 11\r\n" in seen[0]
    assert b"expect" not in seen[0]
    assert seen[1] == b"hello world"


async def test_a_chunked_body_is_sent_on_as_it_comes() -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"transfer-encoding: chunked\r\n" in await read_head(reader)
        while (piece := await reader.readuntil(b"\r\n")) != b"0\r\n":
            pieces.put_nowait(piece + await reader.readuntil(b"\r\n"))
        assert await reader.readexactly(2) == b"\r\n"
        writer.write(OK)

    async with relaying(script) as (front, upstream):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"5\r\nhello\r\n", b"1\r\n!\r\n"):
            writer.write(piece)
            assert await asyncio.wait_for(pieces.get(), 5) == piece
        writer.write(b"0\r\nX-User: evil\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.endswith(b"ok")
    assert upstream.faults == []


async def start_upload(front: Front, length: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length + b"x" * 1000)
    return reader, writer


async def test_an_early_answer_is_delivered_and_costs_the_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with relaying(script) as (front, upstream):
        for _ in range(2):
            reader, writer = await start_upload(front, 10 * MIB)
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nno"), 5)).startswith(b"HTTP/1.1 413")
            writer.close()
        await until(lambda: len(front.proxy.pool) == 0)
        assert upstream.connections == 2


async def test_a_client_that_hangs_up_while_sending_ends_the_exchange() -> None:
    async with relaying(answering(b"", stay=True)) as (front, upstream):
        _, writer = await start_upload(front, 10 * MIB)
        await until(lambda: upstream.connections == 1)
        writer.close()
        await asyncio.wait_for(front.ended.wait(), 5)
        await until(lambda: len(front.proxy.pool) == 0)
        assert front.errors == []


async def write_until_stalled(writer: asyncio.StreamWriter) -> int:
    """Write up to 99 MiB; how much went through until nothing did for a second."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 99 * MIB:
            writer.write(b"x" * 65536)
            sent += 65536
            await asyncio.wait_for(writer.drain(), 1)
    return sent


async def test_a_slow_upstream_slows_the_client() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await go_on.wait()
        writer.write(OK)

    async with relaying(script) as (front, _):
        _, writer = await start_upload(front, 100 * MIB)
        assert await write_until_stalled(writer) < 32 * MIB  # socket buffers, most of it
        go_on.set()
        writer.close()


async def test_a_stalled_reader_stops_the_upstream() -> None:
    sent: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
        sent.set_result(await write_until_stalled(writer))

    async with relaying(script) as (front, _):
        _, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert HIGH_WATER < await asyncio.wait_for(sent, 20) < 32 * MIB  # socket buffers, most of it
        writer.close()


def peak_memory() -> int:
    """The most memory this process has ever had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


async def test_100_mib_go_both_ways_in_constant_memory() -> None:
    size, block = 100 * MIB, b"x" * 65536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        left = size
        while left:
            left -= len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()

    async with relaying(script) as (front, upstream):
        before = peak_memory()
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
        await asyncio.wait_for(read_head(reader), 30)
        left = size
        while left:
            left -= len(await asyncio.wait_for(reader.read(65536), 30))
        writer.close()
        assert upstream.faults == []
        # Client, gateway and upstream together: a whole body in memory anywhere would be 100 MiB.
        assert peak_memory() - before < 20 * MIB


class BodyTooLarge(RequestRefused):
    code = "body_too_large"
    status = 413


@pytest.mark.parametrize("allowed", [0, 1])
async def test_a_fault_of_the_clients_side_ends_the_exchange(allowed: int) -> None:
    async with relaying(answering(b"", stay=True)) as (front, _):
        forward = front.proxy.forward

        async def forward_limited(head: Any, headers: Any, receive: Any, send: Any) -> None:
            left = allowed

            async def receive_limited() -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise BodyTooLarge
                return await receive()

            await forward(head, headers, receive_limited, send)

        front.proxy.forward = forward_limited  # type: ignore[method-assign, assignment]
        reader, writer = await start_upload(front, 10 * MIB)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\nbody_too_large"), 5)
        writer.close()
        await until(lambda: len(front.proxy.pool) == 0)


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with relaying(answering(b"", stay=True)) as (front, upstream):
        forward, tasks = front.proxy.forward, list[asyncio.Task[Any]]()

        async def forward_noting(*args: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            await forward(*args)

        front.proxy.forward = forward_noting  # type: ignore[method-assign, assignment]
        _, writer = await start_upload(front, 10 * MIB)
        await until(lambda: upstream.connections == 1)
        tasks[0].cancel()
        await until(lambda: len(front.proxy.pool) == 0)
        writer.close()
