"""The load that comes when it comes charges a proxy that pauses for everybody who would have come meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.load.open_loop import OpenLoad, ask_at_times, choose_times
from benchmarks.load.requests import SETTLE

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BROKEN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
RATE, SECONDS, PAUSE = 200.0, 0.5, 0.3


class Server:
    """Answers each request in its turn, and one of them only after a pause."""

    def __init__(self, listener: socket.socket, *, pause_at: int = 0, break_at: int = 0, hang_up_at: int = 0) -> None:
        self._listener = listener
        self._pause_at, self._break_at, self._hang_up_at = pause_at, break_at, hang_up_at
        self.requests = 0
        self.paused = False

    def run(self) -> None:
        """Serve one connection after the other, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        data = b""
        while more := sock.recv(65536):
            data += more
            while b"\r\n\r\n" in data:
                data = data.partition(b"\r\n\r\n")[2]
                self.requests += 1
                if self.requests == self._hang_up_at:
                    return
                if self.requests == self._pause_at:
                    time.sleep(PAUSE)
                answer = BROKEN if self.requests == self._break_at else ANSWER
                sock.sendall(answer[:20])  # in pieces, as it may come
                sock.sendall(answer[20:])


@contextlib.contextmanager
def serving(**troubles: int) -> Iterator[tuple[Server, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener, **troubles)
        threading.Thread(target=server.run, daemon=True).start()
        yield server, listener.getsockname()[1]


def ask(port: int) -> OpenLoad:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    return ask_at_times(port, lambda: request, rate=RATE, seconds=SECONDS, connections=1, seed=7)


def test_moments_are_those_of_the_seed_and_of_the_rate() -> None:
    moments = choose_times(1000, 10, 1)
    assert moments == choose_times(1000, 10, 1) != choose_times(1000, 10, 2)
    assert list(moments) == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 10
    assert len(moments) == pytest.approx(10_000, rel=0.05)


def test_every_request_is_asked_and_those_after_settling_count() -> None:
    moments = choose_times(RATE, SETTLE + SECONDS, 7)
    with serving() as (server, port):
        load = ask(port)
    assert server.requests == load.answers == len(moments)
    assert len(load.times) == sum(moment >= SETTLE for moment in moments)
    assert load.errors == 0
    assert list(load.times) == sorted(load.times)


def test_a_pause_is_paid_for_by_all_who_would_have_come_meanwhile() -> None:
    moments = choose_times(RATE, SETTLE + SECONDS, 7)
    first = next(number for number, moment in enumerate(moments, 1) if moment >= SETTLE)
    waited = sum(SETTLE <= moment < moments[first - 1] + PAUSE / 2 for moment in moments)
    assert waited > 10
    with serving(pause_at=first) as (_, port):
        load = ask(port)
    # whoever was due in the first half of the pause has waited for all of the second
    assert sum(each >= PAUSE / 2 for each in load.times) >= waited
    # they were not sent late: no connection was free
    assert len(load.late) < len(load.times)


def test_what_is_not_answered_well_is_an_error_and_no_time() -> None:
    moments = choose_times(RATE, SETTLE + SECONDS, 7)
    counted = sum(moment >= SETTLE for moment in moments)
    for trouble in ("break_at", "hang_up_at"):
        with serving(**{trouble: len(moments) - counted + 5}) as (server, port):
            load = ask(port)
        assert load.errors == 1, trouble
        assert len(load.times) == counted - 1, trouble
        assert server.requests == len(moments), trouble
