"""The clock's side of a client connection, and the bounds of what brings nothing: seconds are said, not waited for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.server.client_connection import LINGER, LINGER_BYTES, Timeouts
from gateway.server.protocol import SLACK
from gateway.server.short.protocol import ShortWayProtocol
from tests.server.conftest import Dry, DryTransport
from tests.server.test_short_way import OK, until_written

pytestmark = pytest.mark.anyio

HOST = b"Host: app.example\r\n"
GET = b"GET /public/x HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /public/x HTTP/1.1\r\n" + HOST
LIMITS = Timeouts(head=10, body=30, body_rate=0, send=60, keep_alive=75)
HEAD_ROOM = ShortWayProtocol.head_limit + SLACK


class At:
    """A client connection whose event loop has a time of its own."""

    def __init__(self, dry: Dry) -> None:
        self.client, self.transport = dry.connect()
        self.now = 1000.0
        self._loop = self.client.loop
        self.client.loop = self  # type: ignore[assignment]
        self.client.timeouts = LIMITS  # type: ignore[misc]
        self.client._since = self.now

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def say(self, data: bytes) -> None:
        self.client.data_received(data)

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass, and have the connection look at the clock."""
        self.now += seconds
        self.client.tick(self.now)

    @property
    def quiet(self) -> bool:
        """Whether nothing has come of it: no answer, no end."""
        transport = self.transport
        return not (transport.written or transport.closing or transport.said_eof)


@pytest.fixture
async def at(dry: Dry) -> At:
    return At(dry)


def is_refused(transport: DryTransport, status: bytes) -> bool:
    written = transport.take()
    return written.startswith(b"HTTP/1.1 " + status) and b"\r\nconnection: close\r\n" in written


# Timers


async def test_who_says_nothing_at_first_is_closed_as_soon_as_a_head_would_be(at: At) -> None:
    at.pass_by(LIMITS.head)
    assert at.quiet
    at.pass_by(1)
    assert (at.transport.closing, at.transport.written) == (True, b"")


async def test_a_head_has_its_time_however_it_trickles(at: At) -> None:
    at.pass_by(LIMITS.head - 1)
    for piece in (b"GET /public/x HT", b"TP/1.1\r\n", b"Host: app.exa"):
        at.say(piece)
        at.pass_by(3)
    at.pass_by(1)
    assert at.quiet
    at.pass_by(1)
    assert is_refused(at.transport, b"408 ")
    at.say(b"mple\r\n\r\n")
    assert at.transport.written == b""


async def test_a_body_may_pause_for_so_long_and_no_longer(at: At) -> None:
    at.say(POST + b"Content-Length: 10\r\n\r\n")
    for _ in range(5):
        at.say(b"x")
        at.pass_by(LIMITS.body)
    assert at.quiet
    at.pass_by(1)
    assert is_refused(at.transport, b"408 ")


async def test_between_two_requests_a_connection_waits_longer(dry: Dry, at: At) -> None:
    upstream, towards_upstream = dry.connect_upstream()
    at.say(GET)
    await until_written(towards_upstream)
    at.pass_by(LIMITS.keep_alive + 1)  # it is the app that takes its time
    assert at.quiet
    upstream.data_received(OK)
    assert at.transport.take().endswith(b"ok")
    at.pass_by(LIMITS.keep_alive)
    assert at.quiet
    at.pass_by(1)
    assert (at.transport.closing, at.transport.written) == (True, b"")


async def test_who_takes_nothing_of_an_answer_is_cut_off_and_who_takes_a_little_is_not(at: At) -> None:
    unsent = [2000]
    at.transport.get_write_buffer_size = lambda: unsent[0]  # type: ignore[method-assign]
    at.client.pause_writing()
    for _ in range(3):
        at.pass_by(LIMITS.send)
        unsent[0] -= 1
        at.pass_by(1)  # something was taken
    assert at.quiet
    at.pass_by(LIMITS.send)
    assert at.quiet
    at.pass_by(1)
    assert at.transport.closing


# After a refusal


async def test_a_client_that_goes_on_sending_after_a_refusal_is_listened_to_for_a_while(at: At) -> None:
    at.say(b"GET  /public/x HTTP/1.1\r\n" + HOST + b"\r\n")
    assert is_refused(at.transport, b"400 ")
    assert (at.transport.said_eof, at.transport.closing) == (True, False)
    at.say(GET)
    at.pass_by(LINGER)
    assert (at.transport.written, at.transport.closing) == (b"", False)
    at.pass_by(0.1)
    assert at.transport.closing


async def test_and_for_so_many_bytes(at: At) -> None:
    at.say(b"GET  /public/x HTTP/1.1\r\n" + HOST + b"\r\n")
    piece = bytes(1024 * 1024)
    for _ in range(LINGER_BYTES // len(piece)):
        at.say(piece)
    assert not at.transport.closing
    at.say(b"x")
    assert at.transport.closing


# What brings nothing


def say_until_refused(at: At, piece: bytes, most: int) -> int:
    """Say the same again and again; returns how many bytes it took to be refused."""
    for number in range(1, most // len(piece) + 2):
        at.say(piece)
        if not at.quiet:
            return number * len(piece)
    raise AssertionError(f"{most} bytes were taken")


async def test_empty_lines_before_a_request_are_bounded(at: At) -> None:
    assert say_until_refused(at, b"\r\n" * 512, SLACK + 1024) > SLACK
    assert is_refused(at.transport, b"400 ")


@pytest.mark.parametrize(
    ("begin", "piece", "bound"),
    [(b"0\r\n", b"X-Trailer: " + b"x" * 500 + b"\r\n", HEAD_ROOM), (b"1", b";" + b"x" * 500, SLACK)],
    ids=["trailers", "chunk extensions"],
)
async def test_what_chunks_bring_besides_a_body_is_bounded(at: At, begin: bytes, piece: bytes, bound: int) -> None:
    at.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + begin)
    assert say_until_refused(at, piece, bound + 1024) > bound - 1024
    assert is_refused(at.transport, b"400 ")


async def test_a_body_of_many_small_chunks_brings_something(dry: Dry, at: At) -> None:
    _, towards_upstream = dry.connect_upstream()
    at.say(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(2 * HEAD_ROOM // 1006):
        at.say(b"1;" + b"x" * 1000 + b"\r\nx\r\n")
    assert at.quiet
    assert towards_upstream.written.startswith(b"POST /public/x ")


async def test_a_head_without_end_is_refused_while_it_comes(at: At) -> None:
    at.say(b"GET /public/x HTTP/1.1\r\n" + HOST)
    assert say_until_refused(at, b"X-Filler: " + b"x" * 1000 + b"\r\n", HEAD_ROOM + 2048) > HEAD_ROOM - 2048
    assert is_refused(at.transport, b"431 ")
    assert at.client.headers == []


# What waits, for one address


async def test_what_is_pipelined_counts_for_its_address(dry: Dry, at: At) -> None:
    _, towards_upstream = dry.connect_upstream()
    at.client.guard._most_waiting = 3 * len(GET)
    at.say(GET)
    await until_written(towards_upstream)
    at.say(GET * 3)
    assert not at.transport.closing
    other = At(dry)
    other.client.guard = at.client.guard
    at.client.guard.admit(other.client, "192.0.2.7")
    other.say(GET)
    other.say(GET)
    assert (other.transport.closing, at.transport.closing) == (True, False)


async def test_a_large_head_counts_by_its_weight(at: At) -> None:
    at.client.guard._most_waiting = 8 * 1024
    at.say(b"GET /public/x HTTP/1.1\r\n" + HOST + b"X-Filler: " + b"x" * 5000 + b"\r\n\r\n")
    assert at.transport.closing
