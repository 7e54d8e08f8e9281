"""How long the slowest answers take.

First with many connections, each asking again as soon as it is answered: how much each proxy can do at most. Then at
rates below that, with requests that come when they come (see `paced`): how long people wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from benchmarks.load.heads import always_the_same
from benchmarks.load.requests import Load
from benchmarks.options import Options
from benchmarks.peers import GATEWAY, GATEWAY_WITHOUT_MEMORY, PEERS, start
from benchmarks.report import Chart, Table
from benchmarks.scenarios import paced
from benchmarks.scenarios.small import make_target
from benchmarks.stage import Stage
from benchmarks.turns import Turn, middle, take_turns

CONNECTIONS = (64, 512)
_PLACE = PEERS.index(GATEWAY) + 1
MEASURED = (*PEERS[:_PLACE], GATEWAY_WITHOUT_MEMORY, *PEERS[_PLACE:])
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure every peer with few and with many connections, and then below what it can do with few."""
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(start(peer, stage)) for peer in options.choose(MEASURED)]
        tables, most = [], dict[str, float]()
        for connections in CONNECTIONS:
            targets = [make_target(proxy, always_the_same, connections) for proxy in proxies]
            turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
            tables.append(_report(turns, options, connections))
            most = most or {name: middle(taken, lambda turn: turn.result.rate) for name, taken in turns.items()}
        return [*tables, *paced.measure(proxies, most, stage, options)]


def _report(turns: Mapping[str, Sequence[Turn[Load]]], options: Options, connections: int) -> Table:
    series = {
        label: {name: _find_quantile(taken, part) for name, taken in turns.items()} for label, part in QUANTILES.items()
    }
    rows = [
        (
            name,
            *(f"{values[name]:.2f}" for values in series.values()),
            f"{max(turn.result.quantile(1) for turn in taken):.1f}",
            f"{middle(taken, lambda turn: turn.result.rate):,.0f}",
            str(sum(turn.result.errors for turn in taken)),
        )
        for name, taken in turns.items()
    ]
    return Table(
        title=f"tail: {connections} connections",
        note=(
            f"Measured for {options.describe()}, but max is the largest of all. "
            f"Every connection always waits for an answer, so p50 is near {connections} ÷ requests/s: what tells is "
            "how far the others are from it."
        ),
        columns=("proxy", *(f"{label} ms" for label in QUANTILES), "max ms", "requests/s", "errors"),
        rows=rows,
        chart=Chart(
            name=f"tail-{connections}",
            title=f"Time to answer, {connections} connections that always ask, one core",
            unit="milliseconds",
            series=series,
            logarithmic=True,
        ),
    )


def _find_quantile(turns: Sequence[Turn[Load]], part: float) -> float:
    return middle(turns, lambda turn: turn.result.quantile(part))
