"""Signed-in GETs of 1 KiB on kept connections, each asking again as soon as it is answered."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence

from benchmarks.load.heads import Make, always_another, always_the_same, of_a_browser
from benchmarks.load.requests import Load, ask
from benchmarks.options import Options
from benchmarks.peers import GATEWAY, GATEWAY_ASSERTING, GATEWAY_WITHOUT_MEMORY, NGINX, PEERS, Peer, Proxy, start
from benchmarks.report import Chart, Table
from benchmarks.stage import Stage
from benchmarks.turns import Target, Turn, compare, describe_cores, middle, take_turns

VARIANTS: Mapping[str, Make] = {
    "a browser's headers": of_a_browser,
    "always another request": always_another,
}
CORES = (
    "Own core: how much of it the proxy used; other core: how busy load, app and whatever else there is kept it. Where "
    "the other one is near 100 %, the proxy could do more; where neither is, somebody else used the proxy's core."
)
COLUMNS = (
    *("proxy", "requests/s", "÷ nginx", "CPU µs/request", "p50 ms", "p99 ms", "errors"),
    "own · other core",
)


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure every peer, and ours and nginx with other requests too."""
    with contextlib.ExitStack() as stack:
        targets = []
        for peer in options.choose(_with_variant(PEERS)):
            proxy = stack.enter_context(start(peer, stage))
            targets.append(make_target(proxy, always_the_same, options.connections))
            if peer in (NGINX, *options.find_versions(GATEWAY)):
                targets += [
                    make_target(proxy, make, options.connections, variant) for variant, make in VARIANTS.items()
                ]
        turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
    return [_report(turns, options)]


def _with_variant(peers: Sequence[Peer]) -> Sequence[Peer]:
    """Add the gateway that asks Redis each time, next to the one that remembers."""
    place = peers.index(GATEWAY) + 1
    return [*peers[:place], GATEWAY_WITHOUT_MEMORY, GATEWAY_ASSERTING, *peers[place:]]


def make_target(proxy: Proxy, make: Make, connections: int, variant: str = "") -> Target[Load]:
    """Let a proxy be asked."""
    name = f"{proxy.name}, {variant}" if variant else proxy.name
    once = functools.partial(ask, proxy.port, make(proxy), connections=connections)
    return Target(name, proxy.process, lambda seconds: once(seconds=seconds))


def _report(turns: Mapping[str, Sequence[Turn[Load]]], options: Options) -> Table:
    def find_reference(name: str) -> Sequence[Turn[Load]]:
        """The reference, asked the same."""
        variant = next((variant for variant in VARIANTS if name.endswith(variant)), "")
        return turns[f"{NGINX.name}, {variant}" if variant else NGINX.name]

    ratios = {name: compare(taken, find_reference(name), lambda load: load.rate) for name, taken in turns.items()}
    rows = [
        (
            name,
            f"{middle(taken, lambda turn: turn.result.rate):,.0f}",
            str(ratios[name]),
            f"{middle(taken, read_cpu):,.1f}",
            f"{middle(taken, lambda turn: turn.result.quantile(0.5)):.2f}",
            f"{middle(taken, lambda turn: turn.result.quantile(0.99)):.2f}",
            str(sum(turn.result.errors for turn in taken)),
            describe_cores(taken),
        )
        for name, taken in turns.items()
    ]
    return Table(
        title="small: signed-in GETs of 1 KiB",
        note=(
            f"{options.connections} connections; {options.describe()}; "
            "the ratio is that to bare nginx asked the same in the same round. CPU is that of all the "
            f"proxy's programs. {CORES}"
        ),
        columns=COLUMNS,
        rows=rows,
        chart=Chart(
            name="small",
            title=f"Signed-in GETs of 1 KiB, {options.connections} connections, one core",
            unit="requests a second ÷ bare nginx",
            series={"": {name: ratio.median for name, ratio in ratios.items()}},
        ),
    )


def read_cpu(turn: Turn[Load]) -> float:
    """Microseconds of CPU a request."""
    return turn.cpu / max(turn.result.answers, 1) * 1e6
