"""Ports for programs that want to be told theirs; what listens within the tests takes port 0 and keeps its socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from typing import Final

MOST_HELD: Final = 64
_HELD: Final[deque[socket.socket]] = deque()
_HOLDING: Final = threading.Lock()  # some programs are started together, by threads


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens, and that nobody else is given before 64 others.

    It stays bound: so the kernel gives it to nobody who asks for any port, be it to listen or to connect, and who
    asks for this one may listen all the same, as servers do (SO_REUSEADDR), again and again. A port that was merely
    free a moment ago is sometimes somebody else's by the time a program has started.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    with _HOLDING:
        _HELD.append(held)
        if len(_HELD) > MOST_HELD:
            with contextlib.suppress(OSError):
                _HELD.popleft().close()
    port: int = held.getsockname()[1]
    return port
