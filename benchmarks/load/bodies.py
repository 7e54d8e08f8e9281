"""Load of bodies: so many connections, each moving one body after another, up or down.

A thread a connection. What is sent stays in the CPU's cache, what is received is thrown away within the kernel: the two
ends take less CPU than a proxy, which has to receive and to send.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Literal

import msgspec

from benchmarks.servers.bodies import discard, read_head, read_length, send

Direction = Literal["down", "up"]
TIMEOUT = 30.0
"""Longest time in seconds in which nothing moves."""


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
    movers = [_Mover(port, cookie, direction, size) for _ in range(connections)]
    threads = [threading.Thread(target=mover.run, daemon=True) for mover in movers]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    time.sleep(seconds)
    moved, took = sum(mover.moved for mover in movers), time.perf_counter() - began
    for mover in movers:
        mover.stop()
    for thread in threads:
        thread.join(TIMEOUT)
    return Flow(bytes=moved, errors=sum(mover.errors for mover in movers), seconds=took)


def move_one(port: int, cookie: str, direction: Direction, size: int) -> Flow:
    """Move one body of `size` bytes, whole."""
    mover = _Mover(port, cookie, direction, size)
    began = time.perf_counter()
    mover.move_one()
    return Flow(bytes=mover.moved, errors=mover.errors, seconds=time.perf_counter() - began)


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
        self._port = port
        self._head = build_head(port, cookie, direction, size)
        self._direction = direction
        self._size = size
        self._stopped = False
        self._sock: socket.socket | None = None

    def run(self) -> None:
        """Move body after body until stopped."""
        while not self._stopped:
            self.move_one()

    def stop(self) -> None:
        """Break off."""
        self._stopped = True
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def move_one(self) -> None:
        """Move one body, on the connection there is."""
        try:
            if self._sock is None:
                self._sock = _connect(self._port)
            self._sock.sendall(self._head)
            if self._direction == "down":
                self._receive(self._sock)
            else:
                self._send(self._sock)
        except OSError:
            self._lose()

    def _receive(self, sock: socket.socket) -> None:
        head, rest = read_head(sock)
        if not head.startswith(b"HTTP/1.1 200") or read_length(head) != self._size:
            return self._lose()
        self.moved += len(rest)
        missing = self._size - len(rest)
        while missing:
            taken = discard(sock, missing)
            if not taken:
                return self._lose()
            missing -= taken
            self.moved += taken
        return None

    def _send(self, sock: socket.socket) -> None:
        missing = self._size
        while missing:
            sent = send(sock, missing)
            missing -= sent
            self.moved += sent
        head, rest = read_head(sock)
        while len(rest) < read_length(head) and (more := sock.recv(4096)):
            rest += more
        if not head.startswith(b"HTTP/1.1 200") or rest != b"%d" % self._size:
            self._lose()

    def _lose(self) -> None:
        """Something went wrong: begin anew on another connection."""
        if not self._stopped:
            self.errors += 1
        if self._sock is not None:
            self._sock.close()
        self._sock = None


def _connect(port: int) -> socket.socket:
    """A socket that waits within the kernel, up to `TIMEOUT`: Python's own way would make it non-blocking."""
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    sock.settimeout(None)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(TIMEOUT), 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
