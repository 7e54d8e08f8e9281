"""One HTTP/1.1 connection to the upstream, kept alive from one exchange to the next: one at a time, no pipelining.

Theory of operation: the owner (a pool) hands out an idle connection; `start` writes a request and names the
sink that takes the answer. When the answer is whole and the request was sent in full, the connection gives
itself back to its owner before the sink hears of the end. In every other case it closes, and never serves
again.

No timers here: the owner calls `check` about once a second. The clock stands still while we wait for the
client, which is the server's to judge: while its request body is missing, and while it does not take what we
have.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol, cast

from gateway.core.response import read_whole
from gateway.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream.address import Address, Upstream
from gateway.upstream.response import ResponseReader, ResponseSink


class Home(Protocol):
    """Where a connection leads, and is kept while it is idle; `place.Place` obeys."""

    address: Address
    idle: list[Connection]
    open: int
    down_until: float
    gone: bool


class Owner(Protocol):
    """Who keeps the connections."""

    def take_back(self, connection: Connection) -> None:
        """The connection is ready for another exchange."""

    def let_go(self, connection: Connection) -> None:
        """The connection carries no more requests: it has become a WebSocket."""

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""

    def suspect(self, connection: Connection) -> None:
        """It was dropped by the other side before it had served once."""


class Connection(asyncio.Protocol):
    """One connection. Made by `pool.Pool`; `alive` says whether it can still be used."""

    __slots__ = (
        "_body_limit",
        "_bound",
        "_deadline",
        "_drained",
        "_first_byte_limit",
        "_head_request",
        "_owner",
        "_read_paused",
        "_reader",
        "_request_sent",
        "_sink",
        "_transport",
        "_unread",
        "_upgrade",
        "_upstream",
        "_write_paused",
        "alive",
        "idle_since",
        "loop",
        "place",
        "reused",
    )

    _transport: asyncio.Transport

    def __init__(self, upstream: Upstream, owner: Owner, loop: asyncio.AbstractEventLoop, place: Home) -> None:
        self._upstream = upstream
        self._owner = owner
        self.loop = loop
        self.place = place
        self._reader = ResponseReader()
        self._sink: ResponseSink | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._unread = True  # nothing of the answer has come yet
        self._head_request = False
        self._upgrade = False
        self._request_sent = False
        self._bound = False  # to whoever sent the request: it serves nobody else
        self._deadline = inf
        self._first_byte_limit = upstream.first_byte_timeout
        self._body_limit = upstream.idle_timeout or inf
        self.alive = False
        self.reused = False  # it has served an exchange before
        self.idle_since = 0.0

    @property
    def holder(self) -> str:
        """The client whose request it carries; "" while it carries none."""
        return self._sink.holder if self._sink is not None else ""

    @property
    def unsent(self) -> int:
        """How many bytes the upstream has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def answered(self) -> bool:
        """Whether anything of an answer has arrived in this exchange, be it a 100."""
        return not self._unread

    def _has_head(self) -> bool:
        return not self._unread and self._reader.head_done

    # The exchange

    def start(
        self,
        sink: ResponseSink,
        request: bytes,
        *,
        head_request: bool,
        complete: bool,
        upgrade: bool = False,
        binding: bool = False,
    ) -> None:
        """Send a request head, and its body as far as it is there; `complete` when nothing follows.

        `upgrade`: the request asks for a WebSocket. `binding`: it may sign in the connection, not itself alone.
        """
        self._sink = sink
        self._unread = True
        self._head_request = head_request
        self._upgrade = upgrade
        self._request_sent = complete
        self._bound = binding
        self._deadline = self.loop.time() + self._first_byte_limit if complete else inf
        self._transport.write(request)

    def write(self, data: bytes, *, last: bool) -> None:
        """Send more of the body, already framed. Ignored when the exchange has ended."""
        if self._sink is None:
            return
        if data:
            self._transport.write(data)
        if last and not self._request_sent:
            self._request_sent = True
            if not self._has_head():
                self._deadline = self.loop.time() + self._first_byte_limit

    async def drain(self) -> None:
        """Wait until the upstream has taken most of what was written, or is gone."""
        if not self._write_paused or not self.alive:
            return
        self._drained = self.loop.create_future()
        await self._drained

    def pause(self) -> None:
        """The client is slow: read no more, so that the upstream slows down too."""
        if not self._read_paused and self.alive:
            self._read_paused = True
            self._deadline = inf
            self._transport.pause_reading()

    def resume(self) -> None:
        """The client has taken what we had."""
        if self._read_paused and self.alive:
            self._read_paused = False
            self._deadline = self.loop.time() + self._body_limit
            self._transport.resume_reading()

    def leave(self, sink: ResponseSink) -> None:
        """Give up the exchange of `sink`, if it is still going on, and the connection with it."""
        if self._sink is sink:
            self._sink = None
            self.abort()

    def detach(self) -> asyncio.Transport:
        """Give the transport away, after `on_switch`; `connection_lost` is to be called when it is closed."""
        self._reader.close()
        self._owner.let_go(self)
        return self._transport

    # The owner's side

    def tick(self, now: float) -> None:
        """Called about once a second: end what is overdue."""
        if self._sink is None:
            return
        if now < self._deadline:
            self._sink.on_tick()
            return
        what = "stood still" if self._has_head() else "did not answer"
        self._fail(UpstreamTimeout(f"the upstream {self._upstream} {what} for longer than its timeout"))

    def close(self) -> None:
        """Close an idle connection."""
        self.alive = False
        self._transport.close()

    def abort(self) -> None:
        """Close at once, dropping what was not sent yet."""
        self.alive = False
        self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.alive = True

    def data_received(self, data: bytes) -> None:
        """Some bytes of the answer."""
        sink = self._sink
        if sink is None:  # an answer to nothing: whatever it is, no request may be paired with it
            self.abort()
            return
        if self._unread:
            self._unread = False
            special = self._head_request or self._read_paused or self._bound
            whole = read_whole(data) if self._request_sent and not special else None
            if whole is not None:
                self._sink = None
                self._deadline = inf
                self.reused = True
                self._owner.take_back(self)
                sink.on_whole(*whole)
                return
            self._reader.begin(sink, head_request=self._head_request, upgrade=self._upgrade)
        try:
            self._reader.feed(data)
        except UpstreamBroken as error:
            self._fail(error)
            return
        if self._reader.switched:
            self._sink = None
            self._transport.pause_reading()
            sink.on_switch(self._reader.rest)
            return
        if self._reader.complete:
            self._finish(sink)
        elif self._reader.head_done and not self._read_paused:
            # Until the head is there the first-byte deadline stands, so that a trickling head cannot stretch
            # it.
            self._deadline = self.loop.time() + self._body_limit
        sink.on_flush()

    def eof_received(self) -> None:
        """The upstream sends no more; the transport closes itself."""
        self.alive = False
        sink = self._sink
        if sink is not None and self._has_head() and self._reader.end_of_stream():
            self._finish(sink)
            sink.on_flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        self.alive = False
        self._release_drain()
        if self._sink is not None:
            if self._unread and not self.reused:
                self._owner.suspect(self)
            self._fail(self._explain_loss(exc))
        self._reader.close()
        self._owner.forget(self)

    def pause_writing(self) -> None:
        """The upstream is slow to take the request."""
        self._write_paused = True
        if not self._has_head():
            self._deadline = self.loop.time() + self._body_limit
        if self._sink is not None:
            self._sink.on_full()

    def resume_writing(self) -> None:
        """The upstream takes more."""
        self._write_paused = False
        if not self._request_sent and not self._has_head():
            self._deadline = inf
        self._release_drain()
        if self._sink is not None:
            self._sink.on_drained()

    # Ends

    def _finish(self, sink: ResponseSink) -> None:
        """The answer is whole. An early answer, before the request was sent in full, costs the connection."""
        self._sink = None
        reader = self._reader
        if self._request_sent and reader.keep_alive and not (reader.surplus or self._bound) and self.alive:
            if self._read_paused:
                self.resume()
            self._deadline = inf
            self.reused = True
            self._owner.take_back(self)
        else:
            self.abort()
        sink.on_end(None)

    def _fail(self, error: UpstreamError) -> None:
        sink, self._sink = self._sink, None
        self.abort()
        if sink is not None:
            sink.on_end(error)
            sink.on_flush()

    def _explain_loss(self, exc: Exception | None) -> UpstreamError:
        why = f": {exc}" if exc else ""
        if self._unread:
            return UpstreamUnreachable(f"the upstream {self._upstream} closed the connection before it answered{why}")
        return UpstreamBroken(f"the upstream {self._upstream} closed the connection in the middle of its answer{why}")

    def _release_drain(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
