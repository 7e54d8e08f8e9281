"""What it costs to hold things: streams, readers that stall, WebSockets that say nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from benchmarks.load.bodies import Direction, move_one
from benchmarks.load.sockets import stalled_readers
from benchmarks.options import Options
from benchmarks.peers import FOR_BODIES, Proxy, start
from benchmarks.process import ProgramFailed
from benchmarks.report import Chart, Table
from benchmarks.scenarios import websockets
from benchmarks.stage import Stage

MIB = 1 << 20
STALLED = 50
STALL = 2.0
"""Seconds after which a stalled reader holds what it ever will."""


@dataclasses.dataclass(frozen=True)
class Held:
    """Memory in bytes."""

    before: int
    down: int
    """Most that was added while a stream went down."""
    up: int
    stalled: float
    """For each stalled reader."""


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure streams and stalled readers of all, then WebSockets."""
    size = (256 if options.quick else 1024) * MIB
    before_bodies = dataclasses.replace(stage, app=stage.bodies)
    held = {}
    for peer in options.choose(FOR_BODIES):
        with start(peer, before_bodies) as proxy:
            held[peer.name] = _measure(proxy, size)
    return [_report(held, size), websockets.run(stage, options)]


def _measure(proxy: Proxy, size: int) -> Held:
    for direction in ("down", "up"):
        move_one(proxy.port, proxy.cookie, direction, MIB)  # whatever is made once, is made now
    before = proxy.process.memory()
    down, up = _stream(proxy, "down", size), _stream(proxy, "up", size)
    settled = proxy.process.memory()
    with stalled_readers(proxy.port, proxy.cookie, STALLED, size):
        time.sleep(STALL)
        stalled = (proxy.process.memory() - settled) / STALLED
    return Held(before=before, down=down, up=up, stalled=stalled)


def _stream(proxy: Proxy, direction: Direction, size: int) -> int:
    before = proxy.process.memory()
    proxy.process.forget_peak()
    if move_one(proxy.port, proxy.cookie, direction, size).errors:
        raise ProgramFailed(f"{proxy.name}: {size} bytes {direction} did not arrive whole")
    return proxy.process.peak() - before


def _report(held: dict[str, Held], size: int) -> Table:
    return Table(
        title="memory: streams and stalled readers",
        note=(
            f"Growth of the resident memory (RSS, all the proxy's programs): its peak while {size // MIB} MiB stream "
            f"on one connection, and for each of {STALLED} clients that ask for {size // MIB} MiB and read nothing. "
            "At rest, nginx has set aside what 25,000 connections need."
        ),
        columns=("proxy", "at rest MiB", "stream down +MiB", "stream up +MiB", "stalled reader +KiB"),
        rows=[
            (
                name,
                f"{one.before / MIB:.1f}",
                f"{one.down / MIB:.1f}",
                f"{one.up / MIB:.1f}",
                f"{one.stalled / 1024:,.0f}",
            )
            for name, one in held.items()
        ],
        chart=Chart(
            name="memory-streams",
            title="Memory added by a stream",
            unit="MiB",
            series={
                "down": {name: one.down / MIB for name, one in held.items()},
                "up": {name: one.up / MIB for name, one in held.items()},
            },
        ),
    )
