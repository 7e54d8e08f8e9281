"""Many people: each request carries the cookie of a random one of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import random
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta

import redis

from benchmarks.load.heads import always_the_same, build_head
from benchmarks.load.requests import Load, ask
from benchmarks.options import Options
from benchmarks.peers import GATEWAY, NGINX, Proxy, start
from benchmarks.peers.version import sign_in_many
from benchmarks.process import choose_port, pinned
from benchmarks.report import Chart, Table
from benchmarks.scenarios.small import make_target, read_cpu
from benchmarks.stage import Stage, run_redis
from benchmarks.turns import Target, Turn, compare, middle, take_turns

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
QUICK = COUNTS[:3]
UNSEEN = 100_000
AHEAD = timedelta(hours=1)
"""How long after now people were last seen: nobody is written down as seen while they are measured."""
LONG_AGO = timedelta(minutes=10)


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured of one number of sessions."""

    name: str
    stored: float
    """Bytes of Redis memory for each."""
    resident: int
    """Bytes that the gateway holds."""
    ours: Sequence[Turn[Load]]
    reference: Sequence[Turn[Load]]


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure ever more sessions, then some that have not been seen for a while."""
    rows: list[Row] = []
    for count in QUICK if options.quick else COUNTS:
        rows += _measure(f"{count:,}", count, AHEAD, stage, options)
    rows += _measure(f"{UNSEEN:,}, none seen for a minute", UNSEEN, -LONG_AGO, stage, options)
    return [_report(rows, options)]


def _measure(name: str, count: int, seen: timedelta, stage: Stage, options: Options) -> Sequence[Row]:
    with contextlib.ExitStack() as stack:
        nginx = stack.enter_context(start(NGINX, stage))
        targets, stored, resident = [make_target(nginx, always_the_same, options.connections)], {}, {}
        for peer in options.find_versions(GATEWAY):
            port, client = stack.enter_context(fresh_redis(stage))
            before = client.info("memory")["used_memory"]
            with pinned(stage.proxy_core, stage.load_core):
                ids = sign_in_many(peer, port, stage.secret_key, count, seen_at=datetime.now(UTC) + seen)
            stored[peer.name] = (client.info("memory")["used_memory"] - before) / count
            gateway = stack.enter_context(start(peer, dataclasses.replace(stage, redis=port)))
            resident[peer.name] = gateway.process
            targets.append(_make_target(gateway, ids, repeat=seen > timedelta(0), connections=options.connections))
        turns = take_turns(targets, rounds=options.rounds, seconds=options.seconds, load_core=stage.load_core)
        return [
            Row(
                name=name + peer.removeprefix(GATEWAY.name),
                stored=stored[peer],
                resident=process.memory(),
                ours=turns[peer],
                reference=turns[NGINX.name],
            )
            for peer, process in resident.items()
        ]


@contextlib.contextmanager
def fresh_redis(stage: Stage) -> Generator[tuple[int, redis.Redis]]:
    """An empty Redis of its own until the block ends: its port, and a client."""
    port = choose_port()
    folder = stage.folder / f"redis-{port}"
    folder.mkdir()
    with run_redis(folder, port, stage.load_core), contextlib.closing(redis.Redis(port=port)) as client:
        yield port, client


def _make_target(proxy: Proxy, ids: Sequence[bytes], *, repeat: bool, connections: int) -> Target[Load]:
    """Let the gateway be asked by people in random order: anybody, or everybody once before anybody twice."""
    head = build_head(proxy.port, "/api/videos/7?page=2", ["User-Agent: load/1", "Accept: */*"], "gateway=@")
    before, after = head.split(b"@")
    choose = functools.partial(random.choice, ids) if repeat else itertools.cycle(random.sample(ids, len(ids))).__next__
    once = functools.partial(ask, proxy.port, lambda: before + choose() + after, connections=connections)
    return Target(proxy.name, proxy.process, lambda seconds: once(seconds=seconds))


def _report(rows: Sequence[Row], options: Options) -> Table:
    return Table(
        title="sessions: the cookie of a random one",
        note=(
            f"{options.connections} connections; {options.describe()}; "
            "each person has one session and one grant, of the usual size. The last row is of people who come for the "
            "first time in a while: each of their requests also writes to Redis."
        ),
        columns=(
            *("sessions", "requests/s", "÷ nginx", "CPU µs/request", "p50 ms", "p99 ms", "errors"),
            *("Redis bytes/session", "gateway MiB"),
        ),
        rows=[
            (
                row.name,
                f"{middle(row.ours, lambda turn: turn.result.rate):,.0f}",
                str(compare(row.ours, row.reference, lambda load: load.rate)),
                f"{middle(row.ours, read_cpu):.1f}",
                f"{middle(row.ours, lambda turn: turn.result.quantile(0.5)):.2f}",
                f"{middle(row.ours, lambda turn: turn.result.quantile(0.99)):.2f}",
                str(sum(turn.result.errors for turn in row.ours)),
                f"{row.stored:,.0f}",
                f"{row.resident / 2**20:.0f}",
            )
            for row in rows
        ],
        chart=Chart(
            name="sessions",
            title=f"Signed-in GETs of random people, {options.connections} connections, one core",
            unit="requests a second ÷ bare nginx",
            series={
                "": {row.name: compare(row.ours, row.reference, lambda load: load.rate).median for row in rows},
            },
        ),
    )
