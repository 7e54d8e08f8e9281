"""nginx that asks the gateway before each request: what the question costs, beside one whose answer is always yes.

    python -m benchmarks.fronts [--rounds N] [--seconds S] [--before FOLDER]

Small signed-in GETs, in turns, with nginx and whatever it asks on one core: bare; asking a service that says yes to
everybody; asking with the file that users copy, whose fields nginx makes for each request, first a service that says
yes to everybody, then the gateway. `--before` names the folder of another version of this project.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.__main__ import choose_cores
from benchmarks.load.heads import Make, always_another, always_the_same, of_a_browser
from benchmarks.load.requests import Load
from benchmarks.peers import Peer, start
from benchmarks.peers.nginx import NGINX, NGINX_ALWAYS_YES, NGINX_GATEWAY, NGINX_RECIPE_ALWAYS_YES
from benchmarks.peers.version import of_version
from benchmarks.process import pinned
from benchmarks.report import Table
from benchmarks.scenarios.small import make_target, read_cpu
from benchmarks.stage import set_up
from benchmarks.turns import Turn, compare, describe_cores, middle, take_turns

LOADS: Mapping[str, Make] = {
    "": always_the_same,
    "a browser's headers": of_a_browser,
    "always another request": always_another,
}
CONNECTIONS = 64


def measure(
    peers: Sequence[Peer], rounds: int, seconds: float, loads: Mapping[str, Make] = LOADS
) -> Mapping[str, Sequence[Turn[Load]]]:
    """Measure them all, asked in each of the ways."""
    proxy_core, load_core = choose_cores()
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        pinned(load_core),
        set_up(Path(folder), proxy_core, load_core) as stage,
        contextlib.ExitStack() as stack,
    ):
        proxies = [stack.enter_context(start(peer, stage)) for peer in peers]
        targets = [
            make_target(proxy, make, CONNECTIONS, variant) for variant, make in loads.items() for proxy in proxies
        ]
        return take_turns(targets, rounds=rounds, seconds=seconds, load_core=load_core)


def report(turns: Mapping[str, Sequence[Turn[Load]]], rounds: int, seconds: float) -> Table:
    """Compare each with bare nginx, and with nginx that is always told yes, asked the same in the same round."""

    def compared(name: str, reference: str) -> str:
        variant = next((variant for variant in LOADS if variant and name.endswith(variant)), "")
        other = turns[f"{reference}, {variant}" if variant else reference]
        return str(compare(turns[name], other, lambda load: load.rate))

    return Table(
        title="fronts: nginx that asks before each request",
        note=f"{CONNECTIONS} connections; {rounds} interleaved rounds of {seconds:g} s, medians (least to most).",
        columns=("nginx", "requests/s", "÷ bare", "÷ always yes", "CPU µs/request", "errors", "own · other core"),
        rows=[
            (
                name,
                f"{middle(taken, lambda turn: turn.result.rate):,.0f}",
                compared(name, NGINX.name),
                compared(name, NGINX_ALWAYS_YES.name),
                f"{middle(taken, read_cpu):,.1f}",
                str(sum(turn.result.errors for turn in taken)),
                describe_cores(taken),
            )
            for name, taken in turns.items()
        ],
    )


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    peers = [NGINX, NGINX_ALWAYS_YES, NGINX_RECIPE_ALWAYS_YES, NGINX_GATEWAY]
    if options.before is not None:
        peers.append(of_version(NGINX_GATEWAY, options.before))
    turns = measure(peers, options.rounds, options.seconds)
    print(report(turns, options.rounds, options.seconds).build_markdown())


if __name__ == "__main__":
    main()
