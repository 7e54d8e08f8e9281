"""Bodies of 1 kB to 1 MB and of 100 MB, down and up."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence

from benchmarks.load.bodies import Direction, Flow, move, move_one
from benchmarks.options import Options
from benchmarks.peers import FOR_BODIES, NGINX, NGINX_UNBUFFERED, Proxy, start
from benchmarks.report import Chart, Table
from benchmarks.scenarios.small import CORES
from benchmarks.stage import Stage
from benchmarks.turns import Target, Turn, compare, describe_cores, middle, take_turns

CASES: Sequence[tuple[str, Direction, int, int]] = (
    ("1 kB down", "down", 1_000, 16),
    ("1 kB up", "up", 1_000, 16),
    ("10 kB down", "down", 10_000, 16),
    ("10 kB up", "up", 10_000, 16),
    ("100 kB down", "down", 100_000, 16),
    ("100 kB up", "up", 100_000, 16),
    ("1 MB down", "down", 1_000_000, 16),
    ("1 MB up", "up", 1_000_000, 16),
    ("100 MB down", "down", 100_000_000, 4),
    ("100 MB up", "up", 100_000_000, 4),
)
"""Name, direction, size in bytes, connections."""
Turns = Mapping[str, Sequence[Turn[Flow]]]


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure each size and direction."""
    with contextlib.ExitStack() as stack:
        before_bodies = dataclasses.replace(stage, app=stage.bodies)
        proxies = [stack.enter_context(start(peer, before_bodies)) for peer in options.choose(FOR_BODIES)]
        return [_measure(proxies, stage, options, *case) for case in CASES]


def _measure(
    proxies: Sequence[Proxy],
    stage: Stage,
    options: Options,
    name: str,
    direction: Direction,
    size: int,
    connections: int,
) -> Table:
    targets, broken = [], {}
    for proxy in proxies:
        broken[proxy.name] = move_one(proxy.port, proxy.cookie, direction, size).errors
        once = functools.partial(move, proxy.port, proxy.cookie, direction, size, connections=connections)
        targets.append(Target(proxy.name, proxy.process, functools.partial(_run_for, once)))
    turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
    return _report(turns, broken, options, name, connections)


def _run_for(once: functools.partial[Flow], seconds: float) -> Flow:
    return once(seconds=seconds)


def _report(turns: Turns, broken: Mapping[str, int], options: Options, name: str, connections: int) -> Table:
    rates = {proxy: middle(taken, lambda turn: turn.result.rate) for proxy, taken in turns.items()}
    reference = max((name for name in (NGINX.name, NGINX_UNBUFFERED.name) if name in rates), key=rates.__getitem__)
    ratios = {proxy: compare(taken, turns[reference], lambda flow: flow.rate) for proxy, taken in turns.items()}
    rows = [
        (
            proxy,
            f"{rates[proxy]:,.0f}",
            str(ratios[proxy]),
            f"{middle(taken, lambda turn: turn.cpu / max(turn.result.bytes, 1) * 1e9):.2f}",
            str(broken[proxy] + sum(turn.result.errors for turn in taken)),
            describe_cores(taken),
        )
        for proxy, taken in turns.items()
    ]
    return Table(
        title=f"bodies: {name}",
        note=(
            f"{connections} connections; {options.describe()}. The "
            f"ratio is that to the faster nginx, here `{reference}`; every nginx has `proxy_request_buffering off` "
            f"and no temporary files. MB and GB are powers of ten. {CORES}"
        ),
        columns=("proxy", "MB/s", "÷ nginx", "CPU s/GB", "errors", "own · other core"),
        rows=rows,
        chart=Chart(
            name=f"bodies-{name.lower().replace(' ', '-')}",
            title=f"Bodies of {name}, {connections} connections, one core",
            unit="bytes a second ÷ nginx",
            series={"": {proxy: ratio.median for proxy, ratio in ratios.items()}},
        ),
    )
