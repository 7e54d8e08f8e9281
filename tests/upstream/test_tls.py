"""https and wss upstreams: the certificate is checked against the upstream's name."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from gateway.upstream import Address, Upstream
from tests.upstream.wire import ScriptedUpstream, answering, fronting

pytestmark = pytest.mark.anyio

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
AUTHORITY = trustme.CA()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


def trusting_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def at(host: str, port: int, context: ssl.SSLContext | None) -> Upstream:
    return Upstream(addresses=(Address(host=host, port=port),), ssl_context=context or ssl.create_default_context())


@pytest.mark.parametrize(
    ("host", "trusted", "status"),
    [("localhost", True, 200), ("127.0.0.1", True, 502), ("localhost", False, 502)],
)
async def test_https(host: str, trusted: bool, status: int) -> None:
    upstream = ScriptedUpstream(answering(HELLO, HELLO))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=server_context())
    port = server.sockets[0].getsockname()[1]
    async with fronting(at(host, port, trusting_context() if trusted else None)) as front:
        for _ in range(2):
            assert (await front.fetch())[0] == status
        if status == 200:
            assert upstream.connections == 1
    server.close()


@pytest.mark.parametrize(("trusted", "status"), [(True, 101), (False, 502)])
async def test_wss(trusted: bool, status: int) -> None:
    async def echo(socket: ServerConnection) -> None:
        await socket.send(await socket.recv())

    async with serve(echo, "127.0.0.1", 0, ssl=server_context()) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with fronting(at("localhost", port, trusting_context() if trusted else None)) as front:
            dialling = connect(f"ws://127.0.0.1:{front.port}/", proxy=None)
            if status == 101:
                async with dialling as client:
                    await client.send("hello")
                    assert await asyncio.wait_for(client.recv(), 5) == "hello"
            else:
                with pytest.raises(InvalidStatus) as refused:
                    await dialling
                assert bytes(refused.value.response.body) == b"upstream_unreachable"
