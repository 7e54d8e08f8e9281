"""A client that is slow to send a body holds no upstream connection before its time, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.server.client_connection import LINGER_BYTES, Timeouts
from gateway.server.short.protocol import ShortWayProtocol
from tests.server.conftest import Dry, DryTransport
from tests.server.test_one_at_a_time import settle
from tests.server.test_short_way import OK, until_written

pytestmark = pytest.mark.anyio


def post(fields: bytes, *, expects: bool = False) -> bytes:
    expecting = b"Expect: 100-continue\r\n" if expects else b""  # which takes the ASGI way
    return b"POST /public/up HTTP/1.1\r\nHost: app.example\r\n" + expecting + fields + b"\r\n"


@pytest.mark.parametrize("expects", [False, True])
@pytest.mark.parametrize(
    ("fields", "pieces", "held_after"),
    [
        (b"Content-Length: 1000\r\n", [b"x", b"x" * 500, b"x" * 499], 3),
        (b"Content-Length: 16384\r\n", [b"x" * 16383, b"x"], 2),
        (b"Content-Length: 20000\r\n", [b"x", b"x" * 19_999], 1),
        (b"Transfer-Encoding: chunked\r\n", [b"3", b"\r\nabc\r\n", b"0\r\n\r\n"], 2),
    ],
)
async def test_an_upstream_connection_is_held_once_there_is_something_to_send(
    dry: Dry, fields: bytes, pieces: list[bytes], held_after: int, expects: bool
) -> None:
    client, _ = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    client.data_received(post(fields, expects=expects))
    idle = dry.generation.behind.proxies["default"].pool
    for number, piece in enumerate(pieces):
        await settle()
        assert (idle.idle, bool(towards_upstream.written)) == ((0, True) if number >= held_after else (1, False))
        client.data_received(piece)
    await until_written(towards_upstream)
    assert idle.idle == 0


class Clock:
    """A client connection's event loop, with a time of its own."""

    def __init__(self, client: ShortWayProtocol) -> None:
        self.now = 1000.0
        self._loop = client.loop
        client.loop = self  # type: ignore[assignment]
        client.timeouts = Timeouts(body=10, body_rate=100, keep_alive=1e9)  # type: ignore[misc]

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


async def trickle(client: ShortWayProtocol, transport: DryTransport, rate: int, before: Callable[[], None]) -> float:
    """Send so many bytes each second; returns the second in which it was refused, or 100."""
    clock = Clock(client)
    client.data_received(post(b"Content-Length: 1000000\r\n"))
    for second in range(100):
        client.data_received(b"x" * rate)
        clock.now += 1
        before()
        client.tick(clock.now)
        await asyncio.sleep(0)
        if transport.written:
            assert transport.take().startswith(b"HTTP/1.1 408 ")
            return second
    return 100


@pytest.mark.parametrize(("rate", "ends"), [(1, 10), (50, 20), (101, 100)])
async def test_a_body_has_a_least_rate(dry: Dry, rate: int, ends: float) -> None:
    client, towards_client = dry.connect()
    dry.connect_upstream()
    assert abs(await trickle(client, towards_client, rate, lambda: None) - ends) <= 1


async def test_who_is_made_to_wait_is_not_too_slow(dry: Dry) -> None:
    client, towards_client = dry.connect()
    dry.connect_upstream()
    assert await trickle(client, towards_client, 1, client.hold) == 100


LARGE = b"Content-Length: 10000000\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(LARGE).replace(b"/public/", b"/no/"), b"403"),
        (post(LARGE).replace(b"/public/", b"/"), b"401"),
        (post(LARGE).replace(b"/public/", b"/oauth2/"), b"404"),
        (post(LARGE).replace(b"/public/up", b"/public/%2f"), b"400"),
        (post(LARGE).replace(b"1.1", b"1.0").replace(b"/public/", b"/no/"), b"403"),
        (post(LARGE + b"Connection: close\r\n").replace(b"/public/", b"/no/"), b"403"),
        (post(b"Content-Length: nonsense\r\n"), b"400"),
        (b"GET /" + b"a" * 60_000, b"431"),
    ],
)
async def test_who_is_refused_while_sending_gets_to_read_why(dry: Dry, sent: bytes, status: bytes) -> None:
    client, towards_client = dry.connect()
    client.data_received(sent)
    client.data_received(b"x" * 1000)
    answer = await until_written(towards_client)
    assert answer[9:12] == status
    assert b"connection: close\r\n" in answer
    assert towards_client.said_eof
    client.data_received(b"x" * 100_000)
    assert not towards_client.closing
    assert towards_client.reading
    client.tick(client.loop.time() + 60)
    assert towards_client.closing


async def test_an_early_answer_of_the_app_is_read_too(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(post(LARGE))
    client.data_received(b"x" * 100_000)
    assert towards_upstream.take()
    upstream.data_received(OK.replace(b"200 OK", b"413 Content Too Large"))
    assert towards_client.take().startswith(b"HTTP/1.1 413 ")
    for _ in range(LINGER_BYTES // 1_000_000):
        client.data_received(b"x" * 1_000_000)
        assert not towards_client.closing
    client.data_received(b"x" * 1_000_000)
    assert towards_client.closing


async def test_of_a_head_that_is_too_large_nothing_is_kept_while_its_client_sends_on(dry: Dry) -> None:
    client, transport = dry.connect()
    client.data_received(b"GET /public/x HTTP/1.1\r\nHost: app.example\r\n" + b"X-A: aaaa\r\n" * 10_000)
    assert transport.written.startswith(b"HTTP/1.1 431 ")
    assert (transport.said_eof, transport.closing) == (True, False)
    assert client.headers == []
