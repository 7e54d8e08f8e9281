"""WebSockets that are open now, so that a sign-out or a shutdown can close them.

Application close codes (RFC 6455 §7.4.2): 4401 the session ended, 4403 access was taken away. 1001 is "going away".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

SIGNED_OUT: Final = 4401
GOING_AWAY: Final = 1001


class LiveSockets:
    """The open WebSockets of this process, by session key ("" for the anonymous)."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, set[LiveSocket]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(len(sockets) for sockets in self._sockets.values())

    def add(self, session_key: str, end: Callable[[int], None]) -> LiveSocket:
        """Note a socket; `end` closes it with a code."""
        socket = LiveSocket(session_key, end)
        self._sockets[session_key].add(socket)
        return socket

    def discard(self, socket: LiveSocket) -> None:
        """Forget a socket that has ended."""
        self._sockets[socket.session_key].discard(socket)
        if not self._sockets[socket.session_key]:
            del self._sockets[socket.session_key]

    def close_session(self, session_key: str, code: int = SIGNED_OUT) -> None:
        """Close every socket of a session."""
        for socket in tuple(self._sockets.get(session_key, ())):
            socket.close(code)

    def close_all(self, code: int = GOING_AWAY) -> None:
        """Close every socket."""
        for session_key in tuple(self._sockets):
            self.close_session(session_key, code)


class LiveSocket:
    """One open WebSocket; `close_code` is set once we decide to end it."""

    __slots__ = ("_end", "close_code", "session_key")

    def __init__(self, session_key: str, end: Callable[[int], None]) -> None:
        self.session_key = session_key
        self.close_code: int | None = None
        self._end = end

    def close(self, code: int) -> None:
        """End the socket from our side with `code`."""
        if self.close_code is None:
            self.close_code = code
            self._end(code)
