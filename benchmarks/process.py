"""Programs, each kept to one core, waited for, watched and ended by its process id."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shlex
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 20.0
"""Longest time in seconds for a program to listen, or to end."""
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProgramFailed(RuntimeError):
    """A program did not start; the text says which, and what it said last."""


class Running:
    """Programs that run, children included."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        fields = [stat for pid in self._tree() if (stat := _read_stat(pid))]
        return sum(int(stat[11]) + int(stat[12]) for stat in fields) / _TICK

    def memory(self) -> int:
        """Bytes that are resident (RSS). Pages that processes share count once for each."""
        total = 0
        for pid in self._tree():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        return total

    def shares(self) -> list[tuple[int, int]]:
        """Bytes of each process: all that is resident (RSS), and its part of what several have in common (PSS)."""
        found = []
        for pid in sorted(self._tree()):
            sizes = dict(
                re.findall(r"^(Rss|Pss): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            )
            found.append((int(sizes["Rss"]) * 1024, int(sizes["Pss"]) * 1024))
        return found

    def forget_peak(self) -> None:
        """Have `peak` count from now on."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets the peak of the resident set

    def peak(self) -> int:
        """Most bytes that were resident since `forget_peak`, each program at its own worst moment."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self._tree()]
        return sum(int(kilobytes) * 1024 for text in status for kilobytes in re.findall(r"VmHWM:\s+(\d+) kB", text))

    def _tree(self) -> set[int]:
        """The processes and all that descend from them."""
        parents: dict[int, int] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (stat := _read_stat(int(entry))):
                parents[int(entry)] = int(stat[1])
        found = set(self.pids)
        while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
            found |= more
        return found


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    core: int,
    log: Path,
    environ: Mapping[str, str] | None = None,
) -> Generator[Running]:
    """Run a program on one core until the block ends; begins once it listens on `port` of the loopback.

    What it says goes to the file `log`. Raises `ProgramFailed`.
    """
    with log.open("ab") as output, pinned(core):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(environ or {})}
        )
    try:
        _wait_for(process, port, log)
        yield Running(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


@contextlib.contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Keep this thread, and the programs it starts, to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose_port() -> int:
    """A free port of the loopback, outside the range from which the kernel serves outgoing connections."""
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for _ in range(1000):
        port = random.randrange(10_000, max(first, 20_000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise ProgramFailed("no port of the loopback is free")


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise ProgramFailed(f"{_describe(process)} ended with {process.returncode}:\n{_read_end(log)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise ProgramFailed(f"{_describe(process)} does not listen on port {port}:\n{_read_end(log)}")


def _describe(process: subprocess.Popen[bytes]) -> str:
    return shlex.join(process.args) if isinstance(process.args, list | tuple) else str(process.args)


def _read_end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


def _read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; none for a process that has gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
