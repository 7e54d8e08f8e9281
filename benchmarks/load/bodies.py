"""Load of bodies: so many connections, each moving one body after another, up or down.

One thread for all (see `benchmarks.servers.crowd`). What is sent stays in the CPU's cache, what is received is thrown
away within the kernel: the two ends take less CPU than a proxy, which has to receive and to send.
"""

from __future__ import annotations

import socket
import time
from typing import Literal

import msgspec

from benchmarks.servers.bodies import discard, read_head, read_length, receive, say, send
from benchmarks.servers.crowd import Crowd, Work

Direction = Literal["down", "up"]
TIMEOUT = 30.0
"""Longest time in seconds in which nothing moves."""
_STEP = 0.05
"""Seconds until a connection that was lost is replaced."""


class Flow(msgspec.Struct):
    """What moved in `seconds`."""

    bytes: int
    errors: int
    """Bodies that broke off, and answers with another status than 200."""
    seconds: float

    @property
    def rate(self) -> float:
        """Megabytes (10⁶) a second."""
        return self.bytes / self.seconds / 1e6


def move(port: int, cookie: str, direction: Direction, size: int, *, seconds: float, connections: int) -> Flow:
    """Move bodies of `size` bytes for so many seconds; those under way at the end count as far as they got."""
    movers, crowd = [_Mover(port, cookie, direction, size) for _ in range(connections)], Crowd()
    began = time.perf_counter()
    for mover in movers:
        mover.join(crowd)
    while (left := began + seconds - time.perf_counter()) > 0:
        crowd.run(min(left, _STEP))
        for mover in movers:
            if mover.lost:
                mover.join(crowd)
    took = time.perf_counter() - began
    crowd.close()
    return Flow(bytes=sum(mover.moved for mover in movers), errors=sum(mover.errors for mover in movers), seconds=took)


def move_one(port: int, cookie: str, direction: Direction, size: int) -> Flow:
    """Move one body of `size` bytes, whole."""
    mover, crowd = _Mover(port, cookie, direction, size), Crowd()
    began = time.perf_counter()
    mover.join(crowd, times=1)
    before = -1
    while mover.under_way and mover.moved > before:
        before = mover.moved
        crowd.run(TIMEOUT)
    crowd.close()
    return Flow(bytes=mover.moved, errors=mover.errors + mover.under_way, seconds=time.perf_counter() - began)


def build_head(port: int, cookie: str, direction: Direction, size: int) -> bytes:
    """The head of a request that moves `size` bytes."""
    line = f"GET /bytes/{size}" if direction == "down" else "POST /swallow"
    fields = [f"Host: 127.0.0.1:{port}", "User-Agent: load/1", "Accept: */*"]
    fields += [f"Cookie: {cookie}"] if cookie else []
    fields += [f"Content-Length: {size}", "Content-Type: application/octet-stream"] if direction == "up" else []
    return "\r\n".join([f"{line} HTTP/1.1", *fields, "", ""]).encode()


class _Mover:
    """One connection."""

    def __init__(self, port: int, cookie: str, direction: Direction, size: int) -> None:
        self.moved = 0
        self.errors = 0
        self.lost = False
        """Whether something went wrong: it goes on with another connection, once it joins again."""
        self.under_way = False
        self._port = port
        self._head = build_head(port, cookie, direction, size)
        self._move = self._receive if direction == "down" else self._send
        self._size = size

    def join(self, crowd: Crowd, times: int = -1) -> None:
        """Connect, and move so many bodies; -1: one after the other."""
        self.lost = False
        try:
            sock = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
        except OSError:
            self.lost = True
            self.errors += 1
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        crowd.add(sock, self._work(sock, times))

    def _work(self, sock: socket.socket, times: int) -> Work[None]:
        try:
            while times:
                times -= 1
                self.under_way = True
                yield from say(sock, self._head)
                if not (yield from self._move(sock)):
                    raise ConnectionError("not what was asked for")
                self.under_way = False
        except OSError:
            self.lost = True
            self.errors += 1
            self.under_way = False

    def _receive(self, sock: socket.socket) -> Work[bool]:
        head, rest = yield from read_head(sock)
        if not head.startswith(b"HTTP/1.1 200") or read_length(head) != self._size:
            return False
        self.moved += len(rest)
        missing = self._size - len(rest)
        while missing:
            taken = yield from discard(sock, missing)
            if not taken:
                return False
            missing -= taken
            self.moved += taken
        return True

    def _send(self, sock: socket.socket) -> Work[bool]:
        missing = self._size
        while missing:
            sent = yield from send(sock, missing)
            missing -= sent
            self.moved += sent
        head, rest = yield from read_head(sock)
        while len(rest) < read_length(head) and (more := (yield from receive(sock))):
            rest += more
        return head.startswith(b"HTTP/1.1 200") and rest == b"%d" % self._size
