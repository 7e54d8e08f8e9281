"""The connections to one upstream.

Rules
- The connection used last is used first: the others grow old and are closed after `keep_alive` seconds.
- Never more than `max_connections`; who must wait is served in the order of coming, and nobody passes the
  queue.
- One timer for all connections, which stops when there are none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from ssl import SSLError
from typing import Final

from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.address import Upstream
from gateway.upstream.connection import Connection

_LONGEST_TICK: Final = 1.0  # seconds: also how soon a client that hung up is noticed
_SHORTEST_TICK: Final = 0.01


class Pool:
    """Hands out connections to one upstream. Belongs to one event loop."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._ssl = upstream.build_ssl_context()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._permits = upstream.max_connections  # connections that may still be opened
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tick = _choose_tick(upstream)
        self._closed = False

    def __len__(self) -> int:
        """How many connections are open, idle ones included."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    def take_idle(self) -> Connection | None:
        """An idle connection, at once; None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
        return None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection, if need be a new one; `fresh`: always a new one. Waits for a free place.

        Raises:
            UpstreamUnreachable: no connection can be made.
            UpstreamTimeout: none was made, or none came free, in `connect_timeout` seconds.
        """
        while True:
            connection = None if fresh else self.take_idle()
            if connection is None:
                connection = await self._wait_for_place(fresh)
            if connection is None:
                return await self._open_with_permit()
            if connection.alive and not fresh:
                return connection
            connection.close()

    async def _wait_for_place(self, fresh: bool) -> Connection | None:
        """A connection that came free, or None: the permit to open one."""
        if self._permits > 0 and not self._waiting:
            self._permits -= 1
            return None
        if fresh and self._idle:
            self._idle.pop().close()  # its place comes free when it is gone
        place: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
                return await place
        except BaseException as error:
            self._leave_queue(place)
            if isinstance(error, TimeoutError):
                raise UpstreamTimeout(
                    f"all {self._upstream.max_connections} connections to the upstream {self._upstream} "
                    "are in use; raise max_connections or look for slow answers"
                ) from None
            raise

    def _leave_queue(self, place: asyncio.Future[Connection | None]) -> None:
        """Nobody waits at `place` any more; what was already put there goes to the next."""
        if not place.done() or place.cancelled():
            if place in self._waiting:
                self._waiting.remove(place)
            return
        connection = place.result()
        if connection is None:
            self._return_permit()
        else:
            self.take_back(connection)

    async def _open_with_permit(self) -> Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._return_permit()
            raise
        self._open.add(connection)
        if not connection.alive:  # lost before we came to note it: `forget` did not know it
            self.forget(connection)
            raise UpstreamUnreachable(f"the upstream {self._upstream} closed the connection at once")
        self._start_timer()
        return connection

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(self._upstream.connect_timeout):
                return await self._dial()
        except TimeoutError:
            raise UpstreamTimeout(f"the upstream {self._upstream} did not accept a connection in time") from None
        except SSLError as error:
            raise UpstreamUnreachable(f"no TLS with the upstream {self._upstream}: {error}") from error
        except OSError as error:
            raise UpstreamUnreachable(
                f"cannot connect to the upstream {self._upstream}: {error}; is the app running there?"
            ) from error

    async def _dial(self) -> Connection:
        loop, upstream = asyncio.get_running_loop(), self._upstream
        name = upstream.host if self._ssl is not None else None

        def make() -> Connection:
            return Connection(upstream, self, loop)

        if upstream.unix_path is not None:
            _, connection = await loop.create_unix_connection(
                make, upstream.unix_path, ssl=self._ssl, server_hostname=name
            )
        else:
            _, connection = await loop.create_connection(
                make, upstream.host, upstream.port, ssl=self._ssl, server_hostname=name
            )
        return connection

    async def reach(self) -> None:
        """Make a connection and close it; raises as `acquire` does. Not counted in `max_connections`."""
        connection = await self._connect()
        connection.close()

    def close(self) -> None:
        """Close the idle connections now, the others when their exchange ends."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    # What connections call

    def take_back(self, connection: Connection) -> None:
        """The connection is ready for another exchange: the first in the queue gets it."""
        if self._closed or not connection.alive:
            connection.close()
            return
        place = self._next_place()
        if place is not None:
            place.set_result(connection)
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """The connection is gone: its place is free."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._return_permit()

    def _return_permit(self) -> None:
        place = self._next_place()
        if place is not None:
            place.set_result(None)
        else:
            self._permits += 1

    def _next_place(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None

    # The timer

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._open):
            connection.check(now)
        # Oldest first: the list is a stack, and what is put on it is the youngest.
        while self._idle and now - self._idle[0].idle_since >= self._upstream.keep_alive:
            self._idle.pop(0).close()
        if self._open:
            self._start_timer()


def _choose_tick(upstream: Upstream) -> float:
    """Seconds between two looks at the connections: fine enough for the shortest timeout."""
    limits = [upstream.first_byte_timeout, upstream.keep_alive, upstream.idle_timeout or _LONGEST_TICK * 4]
    return max(_SHORTEST_TICK, min(_LONGEST_TICK, min(limits) / 4))
