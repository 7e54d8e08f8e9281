"""WebSockets that say nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from benchmarks.load.sockets import Crowd, raise_limit
from benchmarks.options import Options
from benchmarks.peers import CADDY, GATEWAY_FOR_MANY, HAPROXY, NGINX, start
from benchmarks.report import Chart, Table
from benchmarks.stage import Stage

PEERS = (NGINX, HAPROXY, CADDY, GATEWAY_FOR_MANY)
COUNTS = (1_000, 10_000)
_SPARE = 200  # files that a proxy has open besides
_REST = 1.0  # seconds after which what opening them took has been given back


def run(stage: Stage, options: Options) -> Table:
    """Measure each peer with a thousand, then with ten thousand."""
    most = (raise_limit() - _SPARE) // 2  # a proxy holds two files for each
    counts = COUNTS[:1] if options.quick else [min(count, most) for count in COUNTS]
    held = {}
    for peer in options.choose(PEERS):
        with start(peer, stage) as proxy, contextlib.closing(Crowd(proxy.port, proxy.cookie)) as crowd:
            crowd.grow(10)
            before, sizes = proxy.process.memory(), {}
            for count in counts:
                crowd.grow(count)
                crowd.check()
                time.sleep(_REST)
                sizes[count] = (proxy.process.memory() - before) / (count - 10) / 1024
            held[peer.name] = sizes
    return _report(held, counts)


def _report(held: Mapping[str, Mapping[int, float]], counts: Sequence[int]) -> Table:
    limited = "" if counts[-1] in COUNTS else " More files than that may not be open on this machine."
    return Table(
        title="memory: idle WebSockets",
        note=(
            "KiB of resident memory (RSS) that each adds; some of them are made to echo a frame before it is read."
            + limited
        ),
        columns=("proxy", *(f"{count:,} WebSockets, KiB each" for count in counts)),
        rows=[(name, *(f"{size:.1f}" for size in sizes.values())) for name, sizes in held.items()],
        chart=Chart(
            name="memory-websockets",
            title="Memory for each idle WebSocket",
            unit="KiB",
            series={f"{count:,} of them": {name: sizes[count] for name, sizes in held.items()} for count in counts},
        ),
    )
