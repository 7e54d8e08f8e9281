"""Connections that sit there: WebSockets that say nothing, and readers that read nothing."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Generator

from benchmarks.load.bodies import build_head
from benchmarks.servers.app import SOCKET

TIMEOUT = 20.0
"""Longest time in seconds for an answer."""
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
_ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
_HELLO = b"\x81\x85\x01\x02\x03\x04" + bytes(byte ^ (place % 4 + 1) for place, byte in enumerate(b"hello"))


def raise_limit() -> int:
    """Have as many open files as this process may, programs it starts included; returns how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # who may, goes beyond
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, 65536), max(most, 65536)))
        return max(most, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Crowd:
    """WebSockets that are open and idle."""

    def __init__(self, port: int, cookie: str) -> None:
        fields = [
            f"GET {SOCKET} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Origin: http://127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {_KEY}",
            *([f"Cookie: {cookie}"] if cookie else []),
        ]
        self._request = "\r\n".join([*fields, "", ""]).encode()
        self._port = port
        self._sockets: list[socket.socket] = []

    def grow(self, count: int) -> None:
        """Open WebSockets until there are `count`. Raises `ConnectionError` when one is refused."""
        while len(self._sockets) < count:
            several = [self._ask() for _ in range(min(100, count - len(self._sockets)))]
            for sock in several:
                answer = sock.recv(4096)
                if not answer.startswith(b"HTTP/1.1 101") or _ACCEPT not in answer:
                    raise ConnectionError(f"no WebSocket: {answer[:200]!r}")

    def check(self) -> None:
        """Have some of them echoed. Raises `ConnectionError` when one is dead."""
        for sock in self._sockets[:: max(len(self._sockets) // 20, 1)]:
            sock.sendall(_HELLO)
            answer = sock.recv(64)
            if answer != b"\x81\x05hello":
                raise ConnectionError(f"a WebSocket answers {answer!r}")

    def close(self) -> None:
        """Hang up."""
        for sock in self._sockets:
            sock.close()

    def _ask(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
        self._sockets.append(sock)
        sock.sendall(self._request)
        return sock


@contextlib.contextmanager
def stalled_readers(port: int, cookie: str, count: int, size: int) -> Generator[None]:
    """Ask `count` times for `size` bytes and read none of them; begins when each answer has begun to come."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", port), TIMEOUT)) for _ in range(count)]
        for sock in sockets:
            sock.sendall(build_head(port, cookie, "down", size))
        for sock in sockets:
            if not sock.recv(12, socket.MSG_PEEK).startswith(b"HTTP/1.1 200"):
                raise ConnectionError("a reader is not answered")
        yield
