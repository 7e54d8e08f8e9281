"""A pipe or a socket that lines go to, whose reader may be slow: nobody who writes a line waits for it.

A write to a full pipe lasts until somebody reads, and in an event loop everybody would wait for that. So a line is
written at once only where there is room for it. Otherwise it waits here, and a thread writes it when there is. No more
than `MOST` bytes wait: beyond that, lines of requests are dropped, and how many is told once the reader goes on.
What is rare, and may be an audit trail, has as much room again.

The pipe itself is left as it is: other programs may write to it, and would not expect it to refuse (O_NONBLOCK).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

MOST: Final = 4 << 20
"""Bytes."""
LAST: Final = 2.0
"""Seconds that the end of the process waits for lines to be read."""


class Unhurried:
    """Writes lines to a file descriptor; as a text stream, too (`write` and `flush`), for `logging`."""

    def __init__(self, descriptor: int, tell_dropped: Callable[[int], None]) -> None:
        """`tell_dropped` is told how many lines were dropped, in a thread, once there is room for saying so."""
        self._descriptor = descriptor
        self._tell_dropped = tell_dropped
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._size = 0  # of what waits, in bytes
        self._dropped = 0  # lines
        self._thread: threading.Thread | None = None
        atexit.register(self.close)

    def write(self, text: str) -> None:
        """Write what is rare."""
        self._add(text.encode("utf-8", "backslashreplace"), 2 * MOST)

    def flush(self) -> None:
        """Nothing is held back."""

    def write_lines(self, lines: bytes) -> None:
        """Write lines of requests, of which none matters much; no more than a pipe takes in one piece (PIPE_BUF)."""
        self._add(lines, MOST)

    def close(self) -> None:
        """Wait for what waits, but not for long."""
        thread = self._thread
        if thread is not None:
            thread.join(LAST)

    def _add(self, lines: bytes, most: int) -> None:
        with self._lock:
            if not self._waiting and len(lines) <= select.PIPE_BUF and self._room.poll(0):
                self._write(lines)
            elif self._size + len(lines) > most:
                self._dropped += lines.count(b"\n")
            else:
                self._waiting.append(lines)
                self._size += len(lines)
                if self._thread is None or not self._thread.is_alive():  # that of a parent is none of ours
                    self._thread = threading.Thread(target=self._empty, name="log", daemon=True)
                    self._thread.start()

    def _write(self, lines: bytes) -> None:
        """Write all of it. Where nobody will ever read it (EPIPE), nobody misses it."""
        with contextlib.suppress(OSError):
            while lines:
                try:
                    lines = lines[os.write(self._descriptor, lines) :]
                except BlockingIOError:  # somebody has made it refuse, after all
                    self._room.poll()

    def _empty(self) -> None:
        """Write what waits, until nothing does."""
        while True:
            self._write(self._waiting[0])
            with self._lock:
                self._size -= len(self._waiting.popleft())
                dropped = 0
                if not self._waiting:
                    dropped, self._dropped = self._dropped, 0
                    self._thread = None
            if dropped:
                self._tell_dropped(dropped)
            if self._thread is not threading.current_thread():
                return


def open_unhurried(stream: Any, tell_dropped: Callable[[int], None]) -> Unhurried | None:
    """Return the way to the pipe or socket that is behind a stream; None for what does not make anybody wait."""
    try:
        descriptor: int = stream.fileno()
        kind = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    return Unhurried(descriptor, tell_dropped) if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) else None
