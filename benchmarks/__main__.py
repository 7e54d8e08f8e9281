"""How fast is it, beside other proxies? One command, everything measured in turns, one core for each proxy.

    python -m benchmarks                     everything: a quarter of an hour
    python -m benchmarks --quick             everything in short: three minutes
    python -m benchmarks small bodies --out results --rounds 5

Peers that are not installed are named, with how to get them. Only ratios within one run count.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load.sockets import raise_limit
from benchmarks.machine import describe_machine, describe_peers
from benchmarks.options import Options, read_options
from benchmarks.peers import PEERS
from benchmarks.plot import can_plot, plot
from benchmarks.process import ProgramFailed, pinned
from benchmarks.report import Table
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import has_redis, set_up


def main() -> int:
    """Read the options, measure, print."""
    options = read_options({name: about for name, (about, _) in SCENARIOS.items()}, str(__doc__))
    proxy_core, load_core = choose_cores()
    if not has_redis():
        raise SystemExit("needs redis-server, where sessions live: apt-get install redis-server")
    if not PEERS[0].find():
        raise SystemExit(f"needs {PEERS[0].name}, the reference: {PEERS[0].how_to_get}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    raise_limit()
    introduction = f"{describe_machine(proxy_core, load_core)}\n\n{describe_peers(PEERS)}\n"
    print(introduction, flush=True)
    tables, failed = measure(options, proxy_core, load_core)
    if options.out is not None:
        write(tables, introduction, options.out)
    return 1 if failed else 0


def choose_cores() -> tuple[int, int]:
    """The core of the proxies, and the core of everything else."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("needs Linux and two cores: the proxy has one to itself")
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


def measure(options: Options, proxy_core: int, load_core: int) -> tuple[Sequence[Table], bool]:
    """Run the scenarios; prints each table as soon as it is there. Returns them, and whether a scenario failed."""
    tables: list[Table] = []
    failed = False
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        pinned(load_core),
        set_up(Path(folder), proxy_core, load_core) as stage,
    ):
        for name in options.scenarios:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            try:
                measured = SCENARIOS[name][1](stage, options)
            except (ProgramFailed, OSError) as error:
                print(f"{name} failed: {error}", file=sys.stderr, flush=True)
                failed = True
                continue
            print("\n".join(table.build_markdown() for table in measured), flush=True)
            tables += measured
    return tables, failed


def write(tables: Sequence[Table], introduction: str, folder: Path) -> None:
    """Write tables and charts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text("\n".join([introduction, *(table.build_markdown() for table in tables)]))
    if not can_plot():
        print("No charts, for want of matplotlib: pip install '.[benchmarks]'")
        return
    plot([table.chart for table in tables if table.chart is not None], folder)


if __name__ == "__main__":
    sys.exit(main())
