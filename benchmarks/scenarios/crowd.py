"""Memory of one worker while ever more different people come: bounded, by `session.cache_size` and fixed numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import httpx

from benchmarks.load.heads import build_head
from benchmarks.load.requests import ask
from benchmarks.options import Options
from benchmarks.peers import GATEWAY, Peer, Proxy, start
from benchmarks.peers.version import sign_in_many
from benchmarks.process import ProgramFailed, pinned
from benchmarks.report import Chart, Table
from benchmarks.scenarios.sessions import AHEAD, fresh_redis
from benchmarks.stage import Stage

COUNTS = (10_000, 100_000, 300_000, 1_000_000)
QUICK = (10_000, 50_000)
BURST = 1.0
"""Seconds of asking after which it is looked how many have come."""
LONGEST = 3_000
"""Bursts within which they must have come."""
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Grown:
    """What a worker holds when so many have come, in bytes."""

    people: int
    resident: int
    cached: int | None
    """What it says itself (`gateway_cache_bytes`); None of a version that does not."""


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure each version."""
    counts = QUICK if options.quick else COUNTS
    grown = {peer.name: _measure(peer, counts, stage, options) for peer in options.find_versions(GATEWAY)}
    return [_report(grown, options)]


def _measure(peer: Peer, counts: Sequence[int], stage: Stage, options: Options) -> Sequence[Grown]:
    with contextlib.ExitStack() as stack:
        port, _ = stack.enter_context(fresh_redis(stage))
        with pinned(stage.proxy_core, stage.load_core):
            ids = sign_in_many(peer, port, stage.secret_key, counts[-1], seen_at=datetime.now(UTC) + AHEAD)
        proxy = stack.enter_context(start(peer, dataclasses.replace(stage, redis=port)))
        coming = _Coming(proxy, ids)
        grown = [_look(proxy, 0)]
        for count in counts:
            coming.until(count, options.connections)
            grown.append(_look(proxy, coming.count))
            print(f"{peer.name}: {grown[-1]}", file=sys.stderr, flush=True)  # the last ones take minutes
        return grown


class _Coming:
    """People who come once each; when all have come, the first come again."""

    def __init__(self, proxy: Proxy, ids: Sequence[bytes]) -> None:
        head = build_head(proxy.port, "/api/videos/7?page=2", ["User-Agent: load/1", "Accept: */*"], "gateway=@")
        self._before, self._after = head.split(b"@")
        self._port = proxy.port
        self._ids = ids
        self.count = 0

    def until(self, count: int, connections: int) -> None:
        """Let them come until so many have. Raises `ProgramFailed` where some are not let in, or too few come."""
        once = functools.partial(ask, self._port, self._make, connections=connections)
        for _ in range(LONGEST):
            if self.count >= count:
                return
            if errors := once(seconds=BURST).errors:
                raise ProgramFailed(f"{errors} requests failed after {self.count} people")
        raise ProgramFailed(f"only {self.count} people of {count} have come")

    def _make(self) -> bytes:
        session_id = self._ids[self.count % len(self._ids)]
        self.count += 1
        return self._before + session_id + self._after


def _look(proxy: Proxy, people: int) -> Grown:
    metrics = httpx.get(f"http://127.0.0.1:{proxy.second}/metrics", trust_env=False).text
    found = re.search(r"^gateway_cache_bytes(?:\{.*\})? (\S+)$", metrics, re.MULTILINE)
    return Grown(people, proxy.process.memory(), int(float(found.group(1))) if found else None)


def _report(grown: dict[str, Sequence[Grown]], options: Options) -> Table:
    def each() -> Iterator[tuple[str, Grown]]:
        for name, sizes in grown.items():
            for one in sizes:
                yield f"{name}, {one.people:,}", one

    return Table(
        title="crowd: memory of one worker while different people come",
        note=(
            f"Each person comes once, over {options.connections} connections. Resident memory (RSS) of the only "
            "process, and what it says it keeps people in (`gateway_cache_bytes`), whose bound is 64 MiB "
            "(`session.cache_size`)."
        ),
        columns=("people so far", "RSS MiB", "cache MiB"),
        rows=[
            (name, f"{one.resident / MIB:.1f}", "?" if one.cached is None else f"{one.cached / MIB:.1f}")
            for name, one in each()
        ],
        chart=Chart(
            name="crowd",
            title="Memory of one worker after so many different people",
            unit="MiB",
            series={
                "RSS": {name: one.resident / MIB for name, one in each()},
                "cache": {name: one.cached / MIB for name, one in each() if one.cached is not None},
            },
        ),
    )
