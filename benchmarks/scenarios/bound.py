"""What it costs that a session is bound to a device: signed-in GETs of 1 KiB with a proof, and without."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from benchmarks.load.heads import always_another, always_the_same
from benchmarks.load.requests import Load
from benchmarks.options import Options
from benchmarks.peers import start
from benchmarks.peers.bound import sign_in
from benchmarks.peers.gateway import GATEWAY
from benchmarks.report import Table
from benchmarks.scenarios.small import make_target, read_cpu
from benchmarks.stage import Stage
from benchmarks.turns import Turn, compare, middle, take_turns

OFF = dataclasses.replace(
    GATEWAY,
    name="device_binding: off",
    config=GATEWAY.config.replace("public_url: http:", "public_url: https:"),
    sign_in=lambda url: sign_in(url, bind=False),
)
ON = dataclasses.replace(OFF, name="on, not bound", config=OFF.config + "session: {device_binding: on}\n")
ASKED = {"": always_the_same, ", always another request": always_another}


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure one gateway with both kinds of sessions, and one that binds none."""
    with contextlib.ExitStack() as stack:
        off, unbound = (stack.enter_context(start(peer, stage)) for peer in (OFF, ON))
        cookie = sign_in(f"http://127.0.0.1:{unbound.port}", bind=True)
        proxies = [off, unbound, dataclasses.replace(unbound, name="on, bound", cookie=cookie)]
        targets = [
            make_target(proxy, make, options.connections, variant.removeprefix(", "))
            for variant, make in ASKED.items()
            for proxy in proxies
        ]
        turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
    rows = []
    for name, taken in turns.items():
        reference = next(other for other in turns if other.startswith(ON.name) and _asked(other) == _asked(name))
        rows.append(
            (
                name,
                f"{middle(taken, lambda turn: turn.result.rate):,.0f}",
                str(compare(taken, turns[reference], lambda load: load.rate)),
                f"{middle(taken, read_cpu):,.1f}",
                f"{_read_all_cpu(taken) / _read_all_cpu(turns[reference]):.2f}",
                str(sum(turn.result.errors for turn in taken)),
            )
        )
    return [
        Table(
            title="bound: sessions that are bound to devices",
            note=f"{options.connections} connections; {options.describe()}; both kinds of sessions at one gateway.",
            columns=("session", "requests/s", "÷ not bound", "CPU µs/request", "CPU ÷ not bound", "errors"),
            rows=rows,
        )
    ]


def _read_all_cpu(taken: Sequence[Turn[Load]]) -> float:
    """Microseconds of CPU a request, of all rounds together: the kernel counts in hundredths of a second."""
    return sum(turn.cpu for turn in taken) / max(sum(turn.result.answers for turn in taken), 1) * 1e6


def _asked(name: str) -> str:
    return next(asked for asked in reversed(ASKED) if name.endswith(asked))
