"""WebSockets through a real uvicorn, to a real websockets server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.upstream.wire import Front, answering, at, fronting, relaying, scripted, until

pytestmark = pytest.mark.anyio


class App:
    """The upstream: echoes; certain messages make it close or vanish."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.hosts: list[str] = []
        self.headers: list[list[tuple[str, str]]] = []
        self.closed: list[tuple[int | None, str | None]] = []
        self.extensions: list[Any] = []

    async def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.hosts.append(socket.request.headers["Host"])
        self.headers.append([(k.lower(), v) for k, v in socket.request.headers.raw_items()])
        self.extensions.append(socket.protocol.extensions)
        try:
            while True:
                message = await socket.recv()
                if message == "close":
                    await socket.close(4001, "done with you")
                elif message == "plain close":
                    await socket.close()
                elif message == "vanish":
                    socket.transport.abort()
                else:
                    await socket.send(message)
        except ConnectionClosed:
            self.closed.append((socket.close_code, socket.close_reason))


@contextlib.asynccontextmanager
async def joined(app: App, **options: Any) -> AsyncIterator[Front]:
    async with serve(app, "127.0.0.1", 0, max_size=None, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with fronting(at(port, connect_timeout=2, first_byte_timeout=2)) as front:
            yield front


def dial(front: Front, target: str = "/", **options: Any) -> connect:
    options = {"proxy": None, "max_size": None} | options
    return connect(f"ws://127.0.0.1:{front.port}{target}", **options)


async def lost(client: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(client.recv(), 10)
    return client.close_code, client.close_reason


async def test_messages_go_both_ways_in_order() -> None:
    app = App()
    async with joined(app) as front, dial(front, "/a;b?x=//y%2F") as client:
        messages: list[str | bytes] = [
            "text",
            b"bytes",
            "",
            b"",
            "caf\u00e9",
            b"\x00" * 300_000,
            *map(str, range(50)),
        ]
        for message in messages:
            await client.send(message)
        assert [await asyncio.wait_for(client.recv(), 5) for _ in messages] == messages
    await until(lambda: bool(app.closed))
    assert app.paths == ["/a;b?x=//y%2F"]
    assert app.hosts == [f"127.0.0.1:{front.port}"]
    assert app.extensions == [[]]


async def test_headers_and_subprotocols() -> None:
    app = App()
    options: dict[str, Any] = {"subprotocols": [Subprotocol("a"), Subprotocol("b")]}
    async with (
        joined(app, subprotocols=[Subprotocol("b")]) as front,
        dial(front, additional_headers={"X-User": "me", "Origin": "http://o"}, **options) as client,
    ):
        assert client.subprotocol == "b"
        names = [name for name, _ in app.headers[0]]
        assert ("x-user", "me") in app.headers[0]
        assert ("origin", "http://o") in app.headers[0]
        for name in ("host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"):
            assert names.count(name) == 1
        assert "sec-websocket-extensions" not in names


async def test_the_clients_close_reaches_the_upstream() -> None:
    app = App()
    async with joined(app) as front:
        client = await dial(front)
        await client.close(4002, "bye")
        await until(lambda: bool(app.closed))
    assert app.closed == [(4002, "bye")]


async def test_a_client_that_vanishes_is_going_away() -> None:
    app = App()
    async with joined(app) as front:
        client = await dial(front)
        client.transport.abort()
        await until(lambda: bool(app.closed))
    assert app.closed == [(1001, "")]


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [("close", 4001, "done with you"), ("plain close", 1000, ""), ("vanish", 1011, "")],
)
async def test_the_upstreams_end_reaches_the_client(how: str, code: int, reason: str) -> None:
    async with joined(App()) as front, dial(front) as client:
        await client.send(how)
        assert await lost(client) == (code, reason)


async def test_a_cancelled_relay_tells_the_upstream() -> None:
    app, tasks = App(), set[asyncio.Task[Any]]()
    async with joined(app) as front:
        relay = front.proxy.relay

        async def relay_noting(*args: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(asyncio.CancelledError):
                await relay(*args)

        front.proxy.relay = relay_noting  # type: ignore[method-assign, assignment]
        client = await dial(front)
        tasks.pop().cancel()
        await until(lambda: bool(app.closed))
        await client.close()
    assert app.closed == [(1001, "")]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nX-Why: policy\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nX-Why: policy\r\nContent-Length: 2\r\n\r\nno",
    ],
)
async def test_a_refusal_is_passed_on_as_it_is(answer: bytes) -> None:
    async with relaying(answering(answer)) as (front, upstream):
        client = dial(front)
        client.process_redirect = lambda exc: exc  # type: ignore[method-assign]
        with pytest.raises(InvalidStatus) as refused:
            await client
        response = refused.value.response
        assert response.status_code == int(answer.split(b" ")[1])
        assert (response.headers["X-Why"], bytes(response.body)) == ("policy", b"no")
        assert upstream.connections == 1


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", 502, b"upstream_broken"),
        (b"HTTP/1.1 403 Forb", 504, b"upstream_timeout"),
        (b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502, b"upstream_broken"),
        (b"SSH-2.0-OpenSSH\r\n", 502, b"upstream_broken"),
        (b"", 504, b"upstream_timeout"),
    ],
)
async def test_a_bad_handshake(answer: bytes, status: int, code: bytes) -> None:
    limits = {"connect_timeout": 0.1, "first_byte_timeout": 0.2}
    async with relaying(answering(answer, stay=True), **limits) as (front, _):
        with pytest.raises(InvalidStatus) as refused:
            await dial(front)
        assert (refused.value.response.status_code, bytes(refused.value.response.body)) == (status, code)


async def test_an_upstream_that_closes_during_the_handshake_is_502() -> None:
    async with relaying(answering(b"")) as (front, _):
        with pytest.raises(InvalidStatus) as refused:
            await dial(front)
        assert bytes(refused.value.response.body) == b"upstream_broken"


async def test_no_upstream_is_502() -> None:
    async with scripted(answering()) as (_, port):
        pass
    async with fronting(at(port)) as front:
        with pytest.raises(InvalidStatus) as refused:
            await dial(front)
        assert bytes(refused.value.response.body) == b"upstream_unreachable"


async def test_a_client_that_does_not_read_stops_the_upstream() -> None:
    sent = 0

    async def flood(socket: ServerConnection) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(b"x" * 65536)
                sent += 65536

    async with serve(flood, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with fronting(at(port)) as front:
            client = await dial(front, compression=None)
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.3)
            assert sent < 32 * 1024 * 1024  # socket buffers, most of it
            client.transport.abort()
