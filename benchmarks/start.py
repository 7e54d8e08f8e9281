"""How long `gateway run` takes to its first answer, and the memory that it needs while nobody asks.

    python -m benchmarks.start [--rounds N] [--before FOLDER]

In turns, on one core, beside Caddy, nginx and oauth2-proxy where they are installed: from the start of the program to
the first byte of its answer, in seconds and in seconds of CPU; a second later the memory of all its processes. PSS
counts a page that processes share once among them, so that a sum over workers is what the machine has to have.
`--before` names the folder of another version of this project. Run it by a Python that has the gateway without extras,
as most users do.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.__main__ import choose_cores
from benchmarks.peers.gateway import GATEWAY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.openid import OAUTH2_PROXY
from benchmarks.peers.peer import Peer
from benchmarks.peers.plain import CADDY
from benchmarks.process import ProgramFailed, Running, choose_port, pinned
from benchmarks.report import Table
from benchmarks.stage import Stage, set_up

MEBI = 1 << 20
PATIENCE = 60.0
"""Longest time in seconds for a program to answer, or to end: the first start compiles everything."""
TICK = 0.002
"""Seconds between two looks whether it answers."""
AT_REST = 1.0
"""Seconds after the first answer at which memory is looked at."""


class Start(NamedTuple):
    """One start of a program."""

    wall: float
    cpu: float
    """Seconds to the first answer."""
    resident: int
    """Bytes of its largest process (RSS)."""
    proportional: int
    """Bytes of all its processes (PSS)."""


def of_gateway(workers: int, before: Path | None = None) -> Peer:
    """Return a gateway with so many workers, of this version or another."""
    name = GATEWAY.name if workers == 1 else f"{GATEWAY.name}, {workers} workers"
    command = (*GATEWAY.command, "--workers", str(workers))
    if before is None:
        return dataclasses.replace(GATEWAY, name=name, command=command)
    return dataclasses.replace(
        GATEWAY,
        name=f"{name} ({before.name})",
        command=("-P", *command),  # this folder's is not to be found first
        environ={"PYTHONPATH": str(before.resolve())},
    )


@contextlib.contextmanager
def started(peer: Peer, stage: Stage, *options: str) -> Iterator[tuple[Running, int, Path]]:
    """Start a program on its core, and end it with the block; yields its port, too, and the file of what it says."""
    program, port = peer.find(), choose_port()
    assert program is not None
    folder = Path(tempfile.mkdtemp(dir=stage.folder))
    own = {"port": port, "front": port, "second": choose_port(), "folder": folder, "config": folder / "config"}
    words = {**stage.words(), **{name: str(value) for name, value in own.items()}}

    def fill(text: str) -> str:
        return re.sub(r"@\{(\w+)\}", lambda found: words[found[1]], text)

    (folder / "config").write_text(fill(peer.config))
    # what Python compiles is kept, as an installed package has it
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(stage.folder / "compiled")}
    environ = {**os.environ, **compiled, **{name: fill(value) for name, value in peer.environ.items()}}
    with (folder / "log").open("wb") as log, pinned(stage.proxy_core):
        process = subprocess.Popen(
            [program, *options, *map(fill, peer.command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
        )
    try:
        yield Running(process.pid), port, folder / "log"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def take(peer: Peer, stage: Stage) -> Start:
    """Start a program, see to its first answer, look at its memory, and end it."""
    begun = time.perf_counter()
    with started(peer, stage) as (process, port, log):
        _ask(port, log)
        wall, cpu = time.perf_counter() - begun, process.cpu()
        time.sleep(AT_REST)
        shares = process.shares()
    return Start(wall, cpu, max(rss for rss, _ in shares), sum(pss for _, pss in shares))


def count_modules(peer: Peer, stage: Stage) -> int:
    """Return how many modules a gateway loads to its first answer."""
    with started(peer, stage, "-X", "importtime") as (_, port, log):
        _ask(port, log)
        said = log.read_text()
    return len(set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)", said, re.MULTILINE)))


def _ask(port: int, log: Path) -> None:
    """Wait for the first byte of an answer, whatever it says."""
    give_up_at = time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if connection.recv(1):
                return
        time.sleep(TICK)
    raise ProgramFailed(f"nothing answers on port {port}:\n{log.read_text(errors='replace')[-1000:]}")


def measure(peers: Sequence[Peer], rounds: int) -> tuple[Mapping[str, Sequence[Start]], Mapping[str, int]]:
    """Start each of them so many times, in turns; and count the modules of gateways with one worker."""
    proxy_core, load_core = choose_cores()
    taken: dict[str, list[Start]] = {peer.name: [] for peer in peers}
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        pinned(load_core),
        set_up(Path(folder), proxy_core, load_core) as stage,
    ):
        for number in range(rounds + 1):
            for peer in peers:
                start = take(peer, stage)
                if number:  # files are read for the first time before
                    taken[peer.name].append(start)
        modules = {peer.name: count_modules(peer, stage) for peer in peers if peer.command[-2:] == ("--workers", "1")}
    return taken, modules


def report(taken: Mapping[str, Sequence[Start]], modules: Mapping[str, int], rounds: int) -> Table:
    """Medians of all starts."""

    def middle(starts: Sequence[Start], value: Callable[[Start], float], digits: int) -> str:
        return f"{median(map(value, starts)):,.{digits}f}"

    return Table(
        title="start: to the first answer, and memory at rest",
        note=f"{rounds} interleaved starts each on one core, medians; memory {AT_REST:g} s after the first answer.",
        columns=("program", "s", "s of CPU", "modules", "MiB, largest process (RSS)", "MiB, all together (PSS)"),
        rows=[
            (
                name,
                middle(starts, lambda start: start.wall, 2),
                middle(starts, lambda start: start.cpu, 2),
                f"{modules[name]:,}" if name in modules else "",
                middle(starts, lambda start: start.resident / MEBI, 1),
                middle(starts, lambda start: start.proportional / MEBI, 1),
            )
            for name, starts in taken.items()
        ],
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    versions = [None, options.before] if options.before is not None else [None]
    peers = [of_gateway(workers, version) for workers in (1, 2, 4) for version in versions]
    for other in (NGINX, CADDY, OAUTH2_PROXY):
        if other.find() is None:
            print(f"{other.name} is not installed: {other.how_to_get}")
        else:
            peers.append(other)
    print(report(*measure(peers, options.rounds), options.rounds).build_markdown())


if __name__ == "__main__":
    main()
