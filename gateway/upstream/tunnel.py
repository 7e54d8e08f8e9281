"""A WebSocket between two sockets: bytes pass as they are, frames are only counted.

Rules
- Subprotocol, extensions, fragments, pings and close codes are the ends' own affair, since nothing is read. Memory is
  two small objects; the slower end sets the pace (backpressure).
- Closed by us, both ends get a close frame with our code, between two frames, and a moment to answer it.
- An end that vanished without a close frame is told to the other: 1001 to the upstream, 1011 to the client
  (RFC 6455 §7.4.1).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from gateway.core.frames import GOING_AWAY, INTERNAL_ERROR, FrameTracker, build_close

PATIENCE: Final = 2.0  # seconds for an end to answer our close frame
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # seconds, seconds, probes


class Tunnel:
    """Two ends that are joined. `ended` is called once, when both are gone.

    `may_wait` is told how many bytes wait for an end that is slow; when it says no, that is too much.
    """

    __slots__ = ("_client", "_closing_at", "_ended", "_idle_limit", "_loop", "_may_wait", "_upstream", "active_at")

    def __init__(
        self,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        loop: asyncio.AbstractEventLoop,
        idle_limit: float,
        ended: Callable[[], None],
        may_wait: Callable[[Tunnel, int], bool],
    ) -> None:
        self._loop = loop
        self._idle_limit = idle_limit  # seconds; 0: none
        self._ended = ended
        self._may_wait = may_wait
        self._closing_at = 0.0  # when we began to close; 0: not yet
        self.active_at = loop.time()
        self._client = End(self, client, is_client=True)
        self._upstream = End(self, upstream, is_client=False)
        self._client.peer, self._upstream.peer = self._upstream, self._client

    def start(self, from_client: bytes, from_upstream: bytes) -> None:
        """Take over both transports, with what has been read from them already."""
        for end, data in ((self._upstream, from_upstream), (self._client, from_client)):
            _keep_alive(end.transport)
            end.transport.set_protocol(end)
            if data:
                end.data_received(data)
        for end in (self._upstream, self._client):
            end.transport.resume_reading()

    def close(self, code: int) -> None:
        """Close both ends with `code`."""
        if self._closing_at:
            return
        self._closing_at = self._loop.time()
        for end in (self._client, self._upstream):
            end.say_close(code)

    def tick(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self._closing_at:
            if now - self._closing_at > PATIENCE:
                self._client.transport.abort()
                self._upstream.transport.abort()
        elif self._idle_limit and now - self.active_at > self._idle_limit:
            self.close(GOING_AWAY)

    def note_waiting(self) -> None:
        """Note how much waits for both ends."""
        if not self._may_wait(self, self._client.waiting + self._upstream.waiting):
            self._client.transport.abort()
            self._upstream.transport.abort()

    def lose(self, end: End) -> None:
        """One end is gone."""
        peer = end.peer
        if peer.alive:
            if not end.frames.said_close:
                peer.say_close(INTERNAL_ERROR if peer.is_client else GOING_AWAY)
            peer.transport.close()
            self._closing_at = self._closing_at or self._loop.time()
        else:
            self._ended()
            self._ended = _nothing  # it leads to the request, and from there to whatever was known of it
            del end.peer, peer.peer


class End(asyncio.Protocol):
    """One end of a tunnel."""

    __slots__ = (
        "_close_frame",
        "_told_close",
        "alive",
        "frames",
        "is_client",
        "peer",
        "transport",
        "tunnel",
        "waiting",
    )

    peer: End

    def __init__(self, tunnel: Tunnel, transport: asyncio.Transport, *, is_client: bool) -> None:
        self.tunnel = tunnel
        self.transport = transport
        self.is_client = is_client
        self.frames = FrameTracker()  # of what comes from this end
        self.alive = True
        self.waiting = 0  # bytes that this end is slow to take
        self._close_frame = b""  # waits for the frame under way towards this end to end
        self._told_close = False  # this end has been sent our close frame: nothing may follow it

    def say_close(self, code: int) -> None:
        """Send this end a close frame, as soon as no other frame is under way towards it."""
        if self._told_close or self._close_frame or self.peer.frames.said_close or not self.alive:
            return
        frame = build_close(code, masked=not self.is_client)
        if self.peer.frames.between_frames:
            self._told_close = True
            self.transport.write(frame)
        else:
            self._close_frame = frame

    def data_received(self, data: bytes) -> None:
        """Pass on what this end says."""
        self.tunnel.active_at = self.tunnel._loop.time()
        ends_at = self.frames.feed(data)
        self.peer.pass_on(data, ends_at)
        if self._told_close and self.frames.said_close:  # our goodbye has been answered
            self.transport.close()

    def pass_on(self, data: bytes, ends_at: int) -> None:
        """Send this end what the other says; `ends_at` is where the first frame in it ends, or -1."""
        if self._told_close:
            return
        if self._close_frame and ends_at >= 0:
            self._told_close = True
            data = data[:ends_at] + self._close_frame
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Have the other end wait: this one is slow."""
        self.waiting = self.transport.get_write_buffer_size()
        self.tunnel.note_waiting()
        if self.peer.alive:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on: this end has caught up."""
        self.waiting = 0
        self.tunnel.note_waiting()
        if self.peer.alive:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the other end that this one is gone."""
        self.alive = False
        self.tunnel.lose(self)


def _nothing() -> None:
    pass


def _keep_alive(transport: asyncio.Transport) -> None:
    """Have the kernel find out whether a silent peer still exists."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):  # not on every system
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
