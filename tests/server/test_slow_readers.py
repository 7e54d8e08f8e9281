"""A client that takes nothing of what waits for it is ended in time, whatever it sends meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from gateway.server.client_connection import Timeouts
from gateway.server.short.protocol import ShortWayProtocol
from tests.server.conftest import Dry, DryTransport
from tests.server.test_one_at_a_time import GET
from tests.server.test_short_way import OK, until_written
from tests.server.test_slow_bodies import Clock

pytestmark = pytest.mark.anyio
SEND, HEAD = 20, 5


class Slow:
    """Says how much waits on a connection, second by second."""

    def __init__(self, client: ShortWayProtocol, transport: DryTransport) -> None:
        self._client, self._transport, self.size = client, transport, 0
        self.clock = Clock(client)
        client.timeouts = Timeouts(head=HEAD, send=SEND, keep_alive=1e9)  # type: ignore[misc]
        transport.get_write_buffer_size = lambda: self.size  # type: ignore[method-assign]

    def wait(self, size: int) -> bool:
        """A second later, so much waits; returns whether the connection has ended."""
        self.size = size
        self.clock.now += 1
        self._client.tick(self.clock.now)
        return self._transport.closing

    def last(self, sizes: list[int]) -> int:
        """Return after how many seconds the connection has ended."""
        for second, size in enumerate(sizes, start=1):
            if self.wait(size):
                return second
        return len(sizes) + 1


async def answered(dry: Dry) -> tuple[ShortWayProtocol, DryTransport, Slow]:
    """Return a client that has been answered, and takes none of it: 100 bytes wait."""
    client, transport = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    slow = Slow(client, transport)
    client.data_received(GET % 1)
    await until_written(towards_upstream)
    upstream.data_received(OK)
    slow.size = 100
    client.pause_writing()
    return client, transport, slow


@pytest.mark.parametrize(
    ("sizes", "ends_after"),
    [
        ([100] * 50, SEND + 1),
        (list(range(100, 150)), SEND + 1),  # more that waits is nothing taken
        ([100, 200] * 25, 51),  # something of it is
        ([100] * 15 + [99] * 50, 15 + SEND + 2),
        (list(range(100, 50, -1)), 51),
    ],
)
async def test_only_what_is_taken_is_progress(dry: Dry, sizes: list[int], ends_after: int) -> None:
    _, _, slow = await answered(dry)
    assert slow.last(sizes) == ends_after


async def test_growth_counts_as_what_waits(dry: Dry) -> None:
    client, transport, slow = await answered(dry)
    client.guard.adopt(0, client.guard._trusted, most_waiting=1000)
    assert not slow.wait(1000)
    assert slow.wait(1001)
    assert transport.closing


async def test_who_catches_up_begins_anew(dry: Dry) -> None:
    client, _, slow = await answered(dry)
    for _ in range(5):
        assert slow.last([100] * (SEND - 1)) == SEND
        client.resume_writing()
        slow.size = 100
        client.pause_writing()


async def test_what_waited_long_ago_is_forgotten(dry: Dry) -> None:
    client, transport, slow = await answered(dry)
    client.resume_writing()
    slow.clock.now += 10 * SEND
    aborted: list[int] = []
    transport.abort = lambda: aborted.append(slow.size)  # type: ignore[method-assign]
    transport.close()
    for _ in range(SEND):
        slow.wait(200)
    assert not aborted
    slow.wait(200)
    slow.wait(200)
    assert aborted


async def test_a_head_takes_no_longer_for_answers_that_are_not_taken(dry: Dry) -> None:
    client, transport, slow = await answered(dry)
    client.resume_writing()
    client.data_received(b"GET /public/2 HTTP/1.1\r\nHost:")
    client.pause_writing()
    for second in range(HEAD + 1):
        client.data_received(b" ")
        slow.wait(100 + second)
    assert transport.take().endswith(b"The request headers took too long.\n")


async def test_requests_that_drip_before_answers_that_nobody_takes(dry: Dry) -> None:
    client, transport, slow = await answered(dry)
    ended_after = 0
    for second in range(1, 51):
        if transport.reading:
            client.data_received(GET % second)
        await asyncio.sleep(0)
        if slow.wait(100):
            ended_after = second
            break
    assert ended_after == SEND + 1
    assert not transport.reading
