"""A real redis-server for tests: started on a free port, without persistence, and ended by its own handle."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass

from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for


@dataclass
class RedisServer:
    """A server that runs, and how to hurt it."""

    program: str
    folder: str
    port: int
    process: subprocess.Popen[bytes]
    words: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, *words: str) -> str:
        """Send one command over a connection of its own; returns the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            connection.sendall(f"*{len(words)}\r\n{parts}QUIT\r\n".replace("QUIT\r\n", "*1\r\n$4\r\nQUIT\r\n").encode())
            received = b""
            with contextlib.suppress(TimeoutError):
                while chunk := connection.recv(65536):
                    received += chunk
                    if b"-ERR unknown command 'QUIT'" in received:  # a Sentinel
                        break
        return received.decode("latin-1")

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self.process.kill()
        self.process.wait(timeout=10)

    def start(self) -> None:
        self.process = _start(self.program, self.folder, self.port, self.words)


@contextlib.contextmanager
def run_redis(*words: str, program: str | None = None) -> Generator[RedisServer]:
    """Run a redis-server (or another `program`) with these further words; the test skips when there is none."""
    program = program or need("redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(program, folder, port, _start(program, folder, port, words), words)
        try:
            yield server
        finally:
            server.stop()


def _start(program: str, folder: str, port: int, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    process = subprocess.Popen([program, *options, *words], stdout=subprocess.DEVNULL)

    def listens() -> bool:
        assert process.poll() is None, "redis-server ended"
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True

    wait_for(listens, "redis-server listens")
    return process
