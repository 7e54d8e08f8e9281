"""An upstream that follows a script, byte for byte: what it says, when, and when it hangs up."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator

PATIENCE = 10.0  # seconds that a script waits for the gateway
Script = Callable[["Visit"], None]


class Visit:
    """One connection that the gateway has opened; `number` counts them within a script, from 0."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._unread = b""
        self.number = number

    def head(self) -> bytes:
        """Return the next request head, with the empty line that ends it; b"" when the gateway hangs up instead."""
        return self.until(b"\r\n\r\n")

    def until(self, end: bytes) -> bytes:
        """Return everything up to and with `end`; b"" when the gateway hangs up instead."""
        while end not in self._unread:
            if not self._read():
                return b""
        found, _, self._unread = self._unread.partition(end)
        return found + end

    def body(self, length: int) -> bytes:
        """Return so many bytes, or fewer when the gateway hangs up."""
        while len(self._unread) < length and self._read():
            pass
        body, self._unread = self._unread[:length], self._unread[length:]
        return body

    def is_quiet(self, seconds: float) -> bool:
        """Whether the gateway says nothing for so long, not even that it hangs up."""
        return not self._unread and not select.select([self._connection], [], [], seconds)[0]

    def rest(self) -> bytes:
        """Return everything until the gateway hangs up."""
        while self._read():
            pass
        rest, self._unread = self._unread, b""
        return rest

    def say(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send each piece in a packet of its own."""
        for number, piece in enumerate(pieces):
            if number and pause:
                time.sleep(pause)
            self._connection.sendall(piece)

    def end(self) -> None:
        """Say no more, and still listen."""
        self._connection.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """Neither speak nor listen any more, also where another thread still does."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def vanish(self) -> None:
        """Be gone at once: the gateway gets a reset."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def _read(self) -> bool:
        data = self._connection.recv(65536)
        self._unread += data
        return bool(data)


class ScriptedUpstream:
    """Runs the script for each connection, in a thread of its own.

    `heads` are the request heads that scripts have read; what a script raises, apart from the gateway's hanging up,
    is in `faults`.
    """

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        self.script: Script = lambda visit: None
        self.connections = 0
        self.heads: list[bytes] = []
        self.faults: list[Exception] = []

    def follow(self, script: Script) -> None:
        """Follow another script from now on, on new connections: those of the last one are closed."""
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        give_up_at = time.monotonic() + PATIENCE
        while self._open and time.monotonic() < give_up_at:
            time.sleep(0.002)
        time.sleep(0.01)  # in which the gateway hears of it
        self.script, self.connections, self.heads, self.faults = script, 0, [], []

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._bound.accept()
            except OSError:
                return
            visit = Visit(connection, self.connections)
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._run, args=(visit, connection), daemon=True).start()

    def _run(self, visit: Visit, connection: socket.socket) -> None:
        try:
            self.script(visit)
        except (ConnectionError, OSError):
            pass  # the gateway hung up, or another script has begun
        except Exception as fault:  # noqa: BLE001 -- whatever a script raises is the test's to look at
            self.faults.append(fault)
        finally:
            connection.close()
            self._open.discard(connection)


@contextlib.contextmanager
def scripted() -> Generator[ScriptedUpstream]:
    """Serve a scripted upstream on a free port."""
    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    upstream = ScriptedUpstream(bound)
    thread = threading.Thread(target=upstream.serve, daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        upstream.follow(lambda visit: None)
        bound.shutdown(socket.SHUT_RDWR)
        bound.close()
        thread.join(timeout=5)
