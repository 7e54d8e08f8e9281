"""Whole exchanges: what each side reads on the wire."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UpstreamBroken, UpstreamTimeout
from gateway.upstream import Address, Upstream
from tests.upstream.wire import ScriptedUpstream, answering, at, fronting, read_head, relaying, scripted, until

pytestmark = pytest.mark.anyio

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello"


async def test_the_upstream_reads_the_target_and_headers_as_given() -> None:
    seen = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_head(reader))
        writer.write(HELLO)

    async with relaying(script) as (front, _):
        status, headers, body = await front.fetch("/a;b/c?x=//y%2F&z", fields="X-A: caf\u00e9\r\n")
    assert (status, headers["content-length"], body) == (200, "5", b"hello")
    assert seen == [b"GET /a;b/c?x=//y%2F&z HTTP/1.1\r\nhost: app.example\r\nx-a: caf\xc3\xa9\r\n\r\n"]


async def test_two_cookies_stay_two_and_framing_is_ours() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n"
        b"Connection: keep-alive\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-User: evil\r\n\r\n"
    )
    async with relaying(answering(chunked)) as (front, _):
        raw = await front.ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert raw.count(b"set-cookie: ") == 2
    assert raw.count(b"transfer-encoding: chunked") == 1
    assert b"keep-alive" not in raw
    assert b"x-user" not in raw.lower()
    assert raw.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "5"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", None),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
    ],
)
async def test_answers_without_body_leave_the_connection_usable(method: str, answer: bytes, length: str | None) -> None:
    async with relaying(answering(answer, HELLO)) as (front, upstream):
        _, headers, body = await front.fetch(method=method)
        assert (headers.get("content-length"), body) == (length, b"")
        assert (await front.fetch())[2] == b"hello"
        assert upstream.connections == 1


async def test_interim_answers_are_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO
    async with relaying(answering(answer)) as (front, _):
        status, headers, body = await front.fetch()
    assert (status, body) == (200, b"hello")
    assert "link" not in headers


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    ],
)
async def test_a_body_may_end_with_the_connection(answer: bytes) -> None:
    async with relaying(answering(answer)) as (front, upstream):
        assert (await front.fetch())[2] == b"5\r\nhello\r\n0\r\n\r\n"
        await front.fetch()
        assert upstream.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        HELLO.replace(b"Content-Length", b"Connection: close\r\nContent-Length"),
        HELLO.replace(b"HTTP/1.1", b"HTTP/1.0"),
        HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ],
)
async def test_connections_that_cannot_be_trusted_are_not_used_again(answer: bytes) -> None:
    async with relaying(answering(answer, stay=True)) as (front, upstream):
        assert (await front.fetch())[2] == b"hello"
        assert (await front.fetch())[2] == b"hello"
        assert upstream.connections == 2


async def test_an_answer_that_nobody_asked_for_closes_the_connection() -> None:
    late = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HELLO)
        await late.wait()
        writer.write(HELLO.replace(b"hello", b"evil!"))
        await reader.read()

    async with relaying(script) as (front, upstream):
        assert (await front.fetch())[2] == b"hello"
        late.set()
        await until(lambda: len(front.proxy.pool) == 0)
        assert (await front.fetch())[2] == b"hello"
        assert upstream.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"220 mail.example ESMTP\r\n",
    ],
)
async def test_what_is_not_one_clear_answer_is_502(answer: bytes) -> None:
    async with relaying(answering(answer)) as (front, _):
        status, _, body = await front.fetch()
        assert (status, body) == (502, b"upstream_broken")
        await until(lambda: len(front.proxy.pool) == 0)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nhello\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", b"5\r\nhello\r\n"),
    ],
)
async def test_a_body_cut_short_is_never_ended_as_whole(answer: bytes, seen: bytes) -> None:
    async with relaying(answering(answer)) as (front, _):
        status, _, body = await front.fetch()
        assert (status, body) == (200, seen)
        assert isinstance(front.errors[0], UpstreamBroken)


async def test_a_refused_connection_is_502() -> None:
    async with scripted(answering()) as (_, port):
        pass
    async with fronting(at(port)) as front:
        assert (await front.fetch())[::2] == (502, b"upstream_unreachable")


async def test_a_name_that_does_not_resolve_is_502() -> None:
    async with fronting(Upstream(addresses=(Address(host="nowhere.invalid"),), connect_timeout=30)) as front:
        assert (await front.fetch())[::2] == (502, b"upstream_unreachable")


async def test_a_new_connection_closed_before_it_answers_is_502_and_not_tried_again() -> None:
    async with relaying(answering(b"")) as (front, upstream):
        assert (await front.fetch())[::2] == (502, b"upstream_unreachable")
        assert upstream.connections == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_no_answer_in_time_is_504(sent: bytes) -> None:
    async with relaying(answering(sent, stay=True), first_byte_timeout=0.2) as (front, _):
        assert (await front.fetch())[::2] == (504, b"upstream_timeout")
        await until(lambda: len(front.proxy.pool) == 0)


async def test_a_body_that_stands_still_breaks_the_answer() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
    async with relaying(answering(answer, stay=True), idle_timeout=0.2) as (front, _):
        assert (await front.fetch())[2] == b"hello"
        assert isinstance(front.errors[0], UpstreamTimeout)


async def test_each_event_of_a_stream_is_passed_on_at_once() -> None:
    turn = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            writer.write(b"data: %d\n\n" % number)
            await turn.wait()
            turn.clear()

    async with relaying(script) as (front, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.wait_for(read_head(reader), 5)
        for number in range(3):
            event = await asyncio.wait_for(reader.readuntil(b"\n\n\r\n"), 5)
            assert event == b"9\r\ndata: %d\n\n\r\n" % number
            turn.set()
        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n"])
async def test_a_client_that_hangs_up_ends_the_exchange(sent: bytes) -> None:
    gone = asyncio.Event()
    arrived = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(sent)
        arrived.set()
        await reader.read()
        gone.set()

    async with relaying(script) as (front, _):
        _, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.wait_for(arrived.wait(), 5)
        writer.close()
        await asyncio.wait_for(gone.wait(), 5)
        await asyncio.wait_for(front.ended.wait(), 5)
        assert front.errors == []


async def test_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("u") / "app.sock")

    upstream = ScriptedUpstream(answering(HELLO))
    server = await asyncio.start_unix_server(upstream.serve, path)
    async with fronting(Upstream(addresses=(Address(unix_path=path),))) as front:
        assert (await front.fetch())[2] == b"hello"
        await front.proxy.reachable()
    server.close()
