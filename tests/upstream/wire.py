"""A scripted upstream, a real uvicorn in front of a ReverseProxy, and a client: all speak over sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import GatewayError
from gateway.upstream import Address, ReverseProxy, Upstream

WAIT = 10.0
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedUpstream:
    """Runs a script for each connection: `connections` counts them, `faults` are what scripts raised."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.faults: list[BaseException] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            async with asyncio.timeout(WAIT):
                await self._script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.faults.append(error)
        finally:
            writer.close()


def at(port: int, **limits: Any) -> Upstream:
    """An upstream on this machine."""
    return Upstream(addresses=(Address(port=port),), **limits)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def answering(*answers: bytes, stay: bool = False) -> Script:
    """One answer per bodyless request on a connection, then close, or stay until the other side closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await read_head(reader)
            writer.write(answer)
        if stay:
            await reader.read()

    return script


class QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Front:
    """The ASGI app: what the web layer does, in small."""

    def __init__(self, proxy: ReverseProxy) -> None:
        self.proxy = proxy
        self.port = 0
        self.errors: list[BaseException] = []
        self.ended = asyncio.Event()  # some request has ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = build_head(scope)
        headers = [h for h in head.headers if h[0] not in {b"connection", b"upgrade"}]
        started = False

        async def send_noting(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        way = self.proxy.relay if head.websocket else self.proxy.forward
        try:
            await way(head, headers, receive, send_noting)
        except GatewayError as error:
            self.errors.append(error)
            if started:
                raise
            await self.refuse(error, send, "websocket.http.response" if head.websocket else "http.response")
        finally:
            self.ended.set()

    async def refuse(self, error: GatewayError, send: Any, kind: str) -> None:
        body = error.code.encode()
        length = (b"content-length", b"%d" % len(body))
        await send({"type": f"{kind}.start", "status": error.status, "headers": [length]})
        await send({"type": f"{kind}.body", "body": body})

    async def ask(self, request: bytes) -> bytes:
        """Send raw bytes; everything that comes back until the connection closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(WAIT):
                return await reader.read()
        finally:
            writer.close()

    async def fetch(
        self, target: str = "/", *, method: str = "GET", fields: str = "", body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, fields, body as it was framed."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{length}{fields}\r\n"
        return split_answer(await self.ask(head.encode() + body))


def split_answer(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    return int(line.split(" ")[1]), dict(item.split(": ", 1) for item in lines), body


def build_head(scope: Any) -> RequestHead:
    raw, query = scope["raw_path"], scope["query_string"]
    return RequestHead(
        method=scope.get("method", "GET"),
        scheme="http",
        host="app.example",
        path=canonicalise(raw),
        query=query,
        raw_target=raw + b"?" + query if query else raw,
        headers=tuple(scope["headers"]),
        client_address="127.0.0.1",
        websocket=scope["type"] == "websocket",
    )


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[ScriptedUpstream, int]]:
    upstream = ScriptedUpstream(script)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=2**16)
    try:
        yield upstream, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[int]:
    """A real uvicorn on a free port of the loopback."""
    sock = socket.create_server(("127.0.0.1", 0))
    settings: dict[str, Any] = {"ws": "websockets-sansio", "timeout_graceful_shutdown": 1} | options
    config = uvicorn.Config(app, http="httptools", lifespan="off", log_level=60, **settings)
    server = QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await until(lambda: server.started)
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def fronting(upstream: Upstream) -> AsyncIterator[Front]:
    proxy = ReverseProxy(upstream)
    front = Front(proxy)
    async with serving(front) as front.port:
        try:
            yield front
        finally:
            await proxy.close()


@contextlib.asynccontextmanager
async def relaying(script: Script, **limits: Any) -> AsyncIterator[tuple[Front, ScriptedUpstream]]:
    """A scripted upstream with a front before it."""
    async with scripted(script) as (upstream, port), fronting(at(port, **limits)) as front:
        yield front, upstream


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 - any condition, not only those with an event
            await asyncio.sleep(0.01)
