"""A reader of the log that stops stops nobody; what it missed is told, and it begins again where it stopped."""

from __future__ import annotations

import io
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry import unhurried
from gateway.telemetry.unhurried import Unhurried, open_unhurried

LINE = b'{"event":"request","path":"/%06d"}\n'


class Pipe:
    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self.end, self.begin = os.pipe()
        else:
            reading, writing = socket.socketpair()
            self.end, self.begin = reading.detach(), writing.detach()
        self.told: list[int] = []
        self.told_all = threading.Event()
        with open(self.begin, "w", closefd=False) as stream:
            opened = open_unhurried(stream, self.note)
        assert isinstance(opened, Unhurried)
        self.way = opened

    def note(self, dropped: int) -> None:
        self.told.append(dropped)
        self.told_all.set()

    def read(self, size: int) -> bytes:
        """All that comes, up to so many bytes."""
        parts: list[bytes] = []
        while size > 0 and select.select([self.end], [], [], 20)[0]:
            parts.append(os.read(self.end, size))
            size -= len(parts[-1])
        return b"".join(parts)


@pytest.fixture(params=["pipe", "socket"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    pipe = Pipe(request.param)
    yield pipe
    os.close(pipe.end)
    pipe.way.close()
    os.close(pipe.begin)


def test_where_there_is_room_a_line_is_there_at_once_and_no_thread_is_needed(pipe: Pipe) -> None:
    threads = threading.active_count()
    pipe.way.write("ünd\n")
    pipe.way.write_lines(LINE % 1)
    assert threading.active_count() == threads
    assert os.read(pipe.end, 4096) == "ünd\n".encode() + LINE % 1


def test_nobody_waits_for_a_reader_that_has_stopped_and_it_misses_nothing(pipe: Pipe) -> None:
    lines = [LINE % number for number in range(20_000)]  # far more than either holds
    for number, line in enumerate(lines):
        if number % 100:
            pipe.way.write_lines(line)
        else:
            pipe.way.write(line.decode())
    assert pipe.read(sum(map(len, lines))) == b"".join(lines)
    assert not pipe.told


def test_a_line_that_no_pipe_takes_in_one_piece_is_waited_for_elsewhere(pipe: Pipe) -> None:
    long = "x" * 1_000_000 + "\n"
    pipe.way.write(long)
    pipe.way.write_lines(LINE % 1)
    assert pipe.read(len(long) + len(LINE % 1)) == long.encode() + LINE % 1


def test_no_more_than_so_much_waits_and_what_is_dropped_is_told(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unhurried, "MOST", 100_000)
    rare = "rare\n"
    lines = [LINE % number for number in range(30_000)]
    for line in lines:
        pipe.way.write_lines(line)
    pipe.way.write(rare)  # has room left of its own
    got = b""
    while not got.endswith(rare.encode()):
        got += pipe.read(1)
    came = got.removesuffix(rare.encode()).splitlines(keepends=True)
    assert came[:1000] == lines[:1000]
    assert came == sorted(came)
    assert set(came) < set(lines)  # whole ones only
    assert pipe.told_all.wait(20)
    assert pipe.told == [len(lines) - len(came)]
    pipe.way.write_lines(LINE % 7)
    assert pipe.read(len(LINE % 7)) == LINE % 7


def test_a_reader_that_has_left_is_no_trouble(pipe: Pipe) -> None:
    for _ in range(20_000):
        pipe.way.write_lines(LINE % 1)
    os.close(pipe.end)
    pipe.way.close()
    pipe.way.write_lines(LINE % 2)
    pipe.end = os.open(os.devnull, os.O_RDONLY)


def test_a_file_makes_nobody_wait(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        assert open_unhurried(file, print) is None
    assert open_unhurried(io.StringIO(), print) is None
    assert open_unhurried(None, print) is None
