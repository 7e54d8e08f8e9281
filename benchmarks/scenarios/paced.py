"""How long people wait at rates that a proxy can serve: requests come when they come, as people do (an open loop)."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence

from benchmarks.load.heads import always_the_same
from benchmarks.load.open_loop import OpenLoad, ask_at_times
from benchmarks.options import Options
from benchmarks.peers import CADDY, GATEWAY, GATEWAY_WITHOUT_MEMORY, HAPROXY, NGINX, Proxy
from benchmarks.peers.openid import OAUTH2_PROXY
from benchmarks.report import Curves, Table
from benchmarks.stage import Stage
from benchmarks.turns import Target, Turn, describe_cores, middle, take_turns

MEASURED = frozenset(peer.name for peer in (NGINX, HAPROXY, CADDY, GATEWAY, GATEWAY_WITHOUT_MEMORY, OAUTH2_PROXY))
PARTS = (0.5, 0.8)
"""Of each one's own most."""
CONNECTIONS = 256
"""How many may be busy at a time; who finds none free waits, and that counts."""
MUCH = 1 / 3
"""Part of the p99 from which on the load's own lateness is too much of it to say anything of the proxy."""
_POINTS = tuple(1 - 10 ** (-step / 10) for step in range(3, 41))
Rates = Mapping[str, float]


def measure(proxies: Sequence[Proxy], most: Rates, stage: Stage, options: Options) -> Sequence[Table]:
    """Measure the proxies below `most`, which is requests a second by name: at parts of it, and all at one rate."""
    chosen = [proxy for proxy in proxies if proxy.name in MEASURED]
    limits = {proxy.name: most[proxy.name] for proxy in chosen}
    rates = {f"{part:.0%} of its own most": {name: rate * part for name, rate in limits.items()} for part in PARTS}
    common = {_round_down(min(limits.values()) / 2)}
    if GATEWAY.name in limits:
        common.add(_round_down(limits[GATEWAY.name] / 2))
    for rate in sorted(common, reverse=True):
        able = [name for name, limit in limits.items() if rate <= limit * max(PARTS)]
        rates[f"{rate:,.0f} a second"] = dict.fromkeys(able, rate)
    return [_measure(chosen, title, paces, stage, options) for title, paces in rates.items()]


def _measure(proxies: Sequence[Proxy], title: str, paces: Rates, stage: Stage, options: Options) -> Table:
    targets = [_make_target(proxy, paces[proxy.name]) for proxy in proxies if proxy.name in paces]
    turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
    return _report(turns, paces, options, title)


def _make_target(proxy: Proxy, rate: float) -> Target[OpenLoad]:
    """Let a proxy be asked so often; each turn has times of its own, the same ones for every proxy of that rate."""
    ask = functools.partial(ask_at_times, proxy.port, always_the_same(proxy), rate=rate, connections=CONNECTIONS)
    seeds = itertools.count()
    return Target(proxy.name, proxy.process, lambda seconds: ask(seconds=seconds, seed=next(seeds)))


def _round_down(rate: float) -> float:
    """Two digits of a rate, so that it can be said."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.floor(rate / step) * step


def _report(turns: Mapping[str, Sequence[Turn[OpenLoad]]], paces: Rates, options: Options, title: str) -> Table:
    quantiles = (0.5, 0.99, 0.999)
    rows = []
    for name, taken in turns.items():
        p50, p99, p999 = (_find_quantile(taken, part) for part in quantiles)
        late = middle(taken, lambda turn: turn.result.lateness(0.99))
        rows.append(
            (
                name,
                f"{paces[name]:,.0f}",
                *(f"{value:.2f}" for value in (p50, p99, p999)),
                f"{max(turn.result.quantile(1) for turn in taken):.1f}",
                f"{late:.2f}{' !' if late > p99 * MUCH else ''}" if not math.isnan(late) else "-",
                describe_cores(taken),
                str(sum(turn.result.errors for turn in taken)),
            )
        )
    return Table(
        title=f"tail: {title}",
        note=(
            f"Requests at times fixed beforehand (Poisson), whether or not those before are answered; the time of each "
            f"counts from then. Up to {CONNECTIONS} connections. Measured for {options.describe()}, but max is the "
            "largest of all. Late: how late the load itself sent 99 of 100 requests though a connection was free; "
            "with `!`, that is more than a third of the p99, and the load, not the proxy, was what was slow; with `-`, "
            "no connection ever was free."
        ),
        columns=(
            "proxy",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "late p99 ms",
            "own · other core",
            "errors",
        ),
        rows=rows,
        chart=Curves(
            name="tail-" + "-".join("".join(each if each.isalnum() else " " for each in title).split()),
            title=f"Time to answer, at {title}, one core",
            series={name: [(part, _find_quantile(taken, part)) for part in _POINTS] for name, taken in turns.items()},
        ),
    )


def _find_quantile(turns: Sequence[Turn[OpenLoad]], part: float) -> float:
    return middle(turns, lambda turn: turn.result.quantile(part))
