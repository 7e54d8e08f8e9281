"""The gateway under other Pythons, and compiled: CPU a request, in turns, against the first that is named.

    python -m benchmarks.builds NAME=PYTHON[,FOLDER][,VARIABLE=VALUE] …
        [--rounds N] [--seconds S] [--no-sockets]

    python -m benchmarks.builds "3.11=python3.11" "3.14=other/bin/python" "3.14 with JIT=other/bin/python,PYTHON_JIT=1"

Each PYTHON must have what the gateway depends on, and the extra `demo`. It runs the sources of this checkout, or those
of FOLDER: a copy of `gateway/`, compiled. Once over sockets, warm, on a core of its own (user's and kernel's CPU
together); once without a kernel (`benchmarks.hot_path`): that is all that another Python, or a compiler, could make
faster, and with `--no-sockets` all that is measured, which a busy machine disturbs little.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.__main__ import choose_cores
from benchmarks.fronts import measure
from benchmarks.load.heads import of_a_browser
from benchmarks.load.requests import Load
from benchmarks.peers import GATEWAY, Peer
from benchmarks.peers.version import HERE, run_from
from benchmarks.process import pinned
from benchmarks.report import Table
from benchmarks.scenarios.small import read_cpu
from benchmarks.turns import Ratio, Turn, compare_turns, middle

CONNECTIONS = 64


def read_build(text: str) -> Peer:
    """Read an argument. Raises `ValueError`."""
    name, _, rest = text.partition("=")
    python, *others = rest.split(",")
    if not name or not os.access(python, os.X_OK):
        raise ValueError(f"{text!r} is not NAME=PYTHON, with the path of a Python that can be run")
    variables = dict(other.split("=", 1) for other in others if "=" in other)
    folders = [Path(other).resolve() for other in others if "=" not in other]
    command, environ = run_from(HERE, *GATEWAY.command)
    environ["PYTHONPATH"] = os.pathsep.join(map(str, [*folders, HERE]))
    return dataclasses.replace(GATEWAY, name=name, program=python, command=command, environ={**environ, **variables})


def measure_without_kernel(builds: Sequence[Peer], rounds: int) -> Mapping[str, list[float]]:
    """Run the hot path of each, in turns; returns microseconds of CPU a request."""
    taken: dict[str, list[float]] = {build.name: [] for build in builds}
    with pinned(choose_cores()[0]):
        for _ in range(rounds):
            for build in builds:
                command = [build.program, "-P", "-m", "benchmarks.hot_path", "--rounds", "40"]
                done = subprocess.run(
                    command, env={**os.environ, **build.environ}, check=True, capture_output=True, text=True
                )
                found = re.search(r"min (\d+\.\d)", done.stdout)
                if found is None:
                    raise SystemExit(f"{build.name} says {done.stdout!r}")
                taken[build.name].append(float(found.group(1)))
                print(f"{build.name}: {found.group(1)}", file=sys.stderr, flush=True)
    return taken


def report_over_sockets(turns: Mapping[str, Sequence[Turn[Load]]], rounds: int) -> Table:
    """Compare each with the first, round by round."""
    first = next(iter(turns))
    return Table(
        title="builds: a warm request over sockets",
        note=f"Signed in, with a browser's headers; {rounds} interleaved rounds, medians (least to most).",
        columns=("Python", "CPU µs/request", f"÷ {first}", "errors"),
        rows=[
            (
                name,
                f"{middle(taken, read_cpu):.1f}",
                str(compare_turns(taken, turns[first], read_cpu)),
                str(sum(turn.result.errors for turn in taken)),
            )
            for name, taken in turns.items()
        ],
    )


def report_without_kernel(taken: Mapping[str, Sequence[float]], rounds: int) -> Table:
    """Compare each with the first, round by round."""
    first = next(iter(taken))
    ratios = {name: [one / other for one, other in zip(own, taken[first], strict=True)] for name, own in taken.items()}
    return Table(
        title="builds: a warm request without a kernel",
        note=f"The least of 40 short turns in each of {rounds} interleaved rounds; of those medians (least to most).",
        columns=("Python", "CPU µs/request", f"÷ {first}"),
        rows=[
            (name, f"{median(own):.1f}", str(Ratio(median(ratios[name]), min(ratios[name]), max(ratios[name]))))
            for name, own in taken.items()
        ],
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+", metavar="NAME=PYTHON[,FOLDER][,VARIABLE=VALUE]", type=read_build)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--no-sockets", dest="sockets", action="store_false")
    options = parser.parse_args()
    if options.sockets:
        turns = measure(options.builds, options.rounds, options.seconds, {"": of_a_browser})
        print(report_over_sockets(turns, options.rounds).build_markdown(), flush=True)
    taken = measure_without_kernel(options.builds, options.rounds)
    print(report_without_kernel(taken, options.rounds).build_markdown())


if __name__ == "__main__":
    main()
