"""The connections to one upstream: a connection pool, with keep-alive.

Rules
- The connection used last is used first: the others grow old and are closed after `keep_alive` seconds.
- Never more than `max_connections`; who must wait is served in the order of coming, and nobody passes the
  queue. An open WebSocket does not count: it may stay for days.
- The last of them are not for a client that holds its share (see `share`): it waits until there are more, and
  nobody waits behind it.
- A place that takes no connection is passed over for the next one (failover, see `place`).
- One timer for all connections, which stops when there are none.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from gateway.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.address import Upstream
from gateway.upstream.connecting import connect
from gateway.upstream.connection import Connection
from gateway.upstream.place import Place, Places
from gateway.upstream.share import Shares

T = TypeVar("T")
_Turn = asyncio.Future[Connection | None]

_LONGEST_TICK: Final = 1.0  # seconds: also how soon a client that hung up is noticed
_SHORTEST_TICK: Final = 0.01
_TRIES: Final = 3  # places tried for one request


class Pool:
    """Hands out connections to one upstream. Belongs to one event loop."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.places = Places(upstream)
        self._open: set[Connection] = set()
        self._openings = upstream.max_connections  # how many more may be opened
        self._waiting: deque[_Turn] = deque()
        self._waiting_for_more: deque[_Turn] = deque()  # of clients that hold their share
        self._shares = Shares(upstream.max_connections, self._count_holders)
        self._timer: asyncio.TimerHandle | None = None
        self._tick = _choose_tick(upstream)
        self._closed = False

    def __len__(self) -> int:
        """How many connections are open, idle ones included, WebSockets not."""
        return len(self._open)

    @property
    def free(self) -> int:
        """How many connections are idle, or may still be opened."""
        return self._openings + self.idle

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return sum(len(place.idle) for place in self.places.known)

    def take_idle(self, client: str = "") -> Connection | None:
        """An idle connection, at once; None when there is none where the next request of `client` should go."""
        known = self.places.known
        place = known[0] if len(known) == 1 else self.places.choose(asyncio.get_running_loop().time())
        if place is None:
            return None
        idle = place.idle
        if idle and self._openings + len(idle) <= self._shares.reserve and not self._may_take(client):
            return None
        while idle:
            connection = idle.pop()
            if connection.alive:
                return connection
        return None

    async def acquire(self, client: str = "", *, fresh: bool = False) -> Connection:
        """A connection for a client, if need be a new one; `fresh`: always a new one. Waits for a free place.

        Raises:
            UpstreamUnreachable: no connection can be made.
            UpstreamTimeout: none was made, or none came free, in `connect_timeout` seconds.
        """
        while True:
            connection = None if fresh else self.take_idle(client)
            if connection is None:
                connection = await self._wait_for_opening(client, fresh)
            if connection is None:
                return await self._open_one()
            if connection.alive and not fresh:
                return connection
            connection.close()

    async def _wait_for_opening(self, client: str, fresh: bool) -> Connection | None:
        """A connection that came free, or None: an opening, to be used for one or returned."""
        may_take = self.free > self._shares.reserve or self._may_take(client)
        if self._openings > 0 and not self._waiting and may_take:
            self._openings -= 1
            return None
        if may_take:
            self._make_room(fresh)
        turn: _Turn = asyncio.get_running_loop().create_future()
        queue = self._waiting if may_take else self._waiting_for_more
        queue.append(turn)
        try:
            async with asyncio.timeout(self.upstream.connect_timeout):
                return await turn
        except BaseException as error:
            self._leave_queue(queue, turn)
            if isinstance(error, TimeoutError):
                whose = (
                    "in use" if may_take else "in use or kept for other clients than this one, which holds its share"
                )
                raise UpstreamTimeout(
                    f"all {self.upstream.max_connections} connections to the upstream {self.upstream} "
                    f"are {whose}; raise max_connections or look for slow answers"
                ) from None
            raise

    def _make_room(self, fresh: bool) -> None:
        """Close an idle connection whose place in the limit is needed: for a fresh one, or at another place."""
        best = self.places.choose(asyncio.get_running_loop().time())
        for place in self.places.known:
            if place.idle and (fresh or place is not best):
                place.idle.pop().close()  # its opening is returned when it is gone
                return

    def _leave_queue(self, queue: deque[_Turn], turn: _Turn) -> None:
        """Nobody waits for `turn` any more; what it was already given goes to the next."""
        if not turn.done() or turn.cancelled():
            if turn in queue:
                queue.remove(turn)
            return
        connection = turn.result()
        if connection is None:
            self._return_opening()
        else:
            self.take_back(connection)

    async def _open_one(self) -> Connection:
        try:
            connection = await self._connect()
        except BaseException:
            self._return_opening()
            raise
        self._open.add(connection)
        if not connection.alive:  # lost before we came to note it: `let_go` did not know it
            self.let_go(connection)
            raise UpstreamUnreachable(f"the upstream {self.upstream} closed the connection at once")
        self._start_timer()
        return connection

    async def _connect(self) -> Connection:
        return await self.try_places(lambda place: connect(self.upstream, self, place), UpstreamError)

    async def try_places(self, reach: Callable[[Place], Awaitable[T]], goes_on_after: type[UpstreamError]) -> T:
        """Call `reach` with the best place, and with the next ones after such errors; raises the first of them."""
        loop = asyncio.get_running_loop()
        if self.places.are_due(loop.time()):
            await self.places.look_up()
        failed: UpstreamError | None = None
        for place in self.places.order(loop.time())[:_TRIES]:
            try:
                return await reach(place)
            except goes_on_after as error:
                self.places.leave_out(place, loop.time())
                failed = failed or error
        raise failed or UpstreamUnreachable(f"the upstream {self.upstream} has no address")

    async def reach(self) -> None:
        """Make a connection and close it; raises as `acquire` does. Not counted in `max_connections`."""
        connection = await self._connect()
        connection.close()

    def close(self) -> None:
        """Close the idle connections at once, the others when their exchange ends."""
        self._closed = True
        for place in self.places.known:
            for connection in tuple(place.idle):
                connection.abort()  # a goodbye in TLS would outlive the event loop

    # What connections call

    def take_back(self, connection: Connection) -> None:
        """The connection is ready for another exchange: the first in the queue gets it."""
        if self._closed or not connection.alive or connection.place.gone:
            connection.close()
            return
        turn = self._next_turn(1) if self._waiting or self._waiting_for_more else None
        if turn is not None:
            turn.set_result(connection)
            return
        connection.idle_since = connection.loop.time()
        connection.place.idle.append(connection)

    def let_go(self, connection: Connection) -> None:
        """The connection carries no more requests: it is gone, or a WebSocket. Its opening is returned."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in connection.place.idle:
            connection.place.idle.remove(connection)
        self._return_opening()

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self.let_go(connection)
        connection.place.open -= 1

    def suspect(self, connection: Connection) -> None:
        """The place took a connection and dropped it without a word."""
        self.places.leave_out(connection.place, asyncio.get_running_loop().time())

    def _return_opening(self) -> None:
        turn = self._next_turn(1)
        if turn is not None:
            turn.set_result(None)
        else:
            self._openings += 1

    def _next_turn(self, more: int) -> _Turn | None:
        """Whose turn it is, now that so many more are free."""
        for queue in (self._waiting, self._waiting_for_more):
            while queue and (queue is self._waiting or self.free + more > self._shares.reserve):
                turn = queue.popleft()
                if not turn.done():
                    return turn
        return None

    def _may_take(self, client: str) -> bool:
        return self._shares.may_take(client, asyncio.get_running_loop().time())

    def _count_holders(self) -> Counter[str]:
        return Counter(connection.holder for connection in self._open)

    # The timer

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._open):
            connection.tick(now)
        for place in self.places.known:
            # Oldest first: the list is a stack, and what is put on it is the youngest.
            while place.idle and now - place.idle[0].idle_since >= self.upstream.keep_alive:
                place.idle.pop(0).close()
        if self._open:
            self._start_timer()
            if self.places.are_due(now):
                self.places.look_up_soon()


def _choose_tick(upstream: Upstream) -> float:
    """Seconds between two looks at the connections: fine enough for the shortest timeout."""
    limits = [upstream.first_byte_timeout, upstream.keep_alive, upstream.idle_timeout or _LONGEST_TICK * 4]
    return max(_SHORTEST_TICK, min(_LONGEST_TICK, min(limits) / 4))
