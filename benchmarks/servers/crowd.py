"""Many sockets in one thread, each with work that is written as if it were alone: where it would wait, it yields.

A thread a connection would spend more on handing the interpreter from one to the next than on what is measured.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Generator
from typing import TypeVar

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT
T = TypeVar("T")
Work = Generator[int, None, T]
"""Yields what it waits for: `READABLE` or `WRITABLE`."""


class Crowd:
    """Sockets, and the work on each. It ends with an `OSError`, or when it is done; then its socket is closed."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._members: dict[int, tuple[socket.socket, Work[None]]] = {}
        self._waits: dict[int, int] = {}  # for what

    def add(self, sock: socket.socket, work: Work[None]) -> None:
        """Take a socket; its work begins with the next turn."""
        sock.setblocking(False)
        self._members[sock.fileno()] = sock, work
        self._waits[sock.fileno()] = WRITABLE
        self._poll.register(sock.fileno(), WRITABLE)
        self._go_on(sock.fileno())

    def run(self, seconds: float | None) -> None:
        """Let all work for so many seconds, or until all are done; None: for ever."""
        until = None if seconds is None else time.monotonic() + seconds
        while self._members:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return
            for number, _ in self._poll.poll(left):
                self._go_on(number)

    def close(self) -> None:
        """End all work, and hang up."""
        for number in tuple(self._members):
            self._end(number)
        self._poll.close()

    def _go_on(self, number: int) -> None:
        _, work = self._members[number]
        try:
            waits = next(work)
        except (StopIteration, OSError):
            self._end(number)
            return
        if waits != self._waits[number]:
            self._waits[number] = waits
            self._poll.modify(number, waits)

    def _end(self, number: int) -> None:
        sock, work = self._members.pop(number)
        del self._waits[number]
        with contextlib.suppress(OSError):
            self._poll.unregister(number)
        sock.close()
        work.close()
