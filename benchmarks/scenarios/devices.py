"""What is done to one person's sessions among a million others': the store's indexes, asked as the flows ask them."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from benchmarks.options import Options
from benchmarks.peers.version import CLIENT_KEY
from benchmarks.process import choose_port, pinned
from benchmarks.report import Table
from benchmarks.scenarios.sessions import AHEAD, COUNTS, QUICK
from benchmarks.seed import LIMITS, make_grant, sign_in_many
from benchmarks.stage import Stage, run_redis
from gateway.core.keyring import Keyring, read_secret_key
from gateway.flows.sessions import Sessions
from gateway.settings.redis import RedisSettings
from gateway.store import open_store

TIMES = 200
"""How often each is done; the median counts."""
DEVICES = 5


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure with ever more sessions around."""
    rows = []
    for count in QUICK if options.quick else COUNTS:
        port = choose_port()
        folder = stage.folder / f"devices-{port}"
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            stack.enter_context(run_redis(folder, port, stage.load_core))
            with pinned(stage.proxy_core, stage.load_core):
                sign_in_many(port, stage.secret_key, CLIENT_KEY, count, seen_at=datetime.now(UTC) + AHEAD)
            taken = asyncio.run(_measure(port, stage.secret_key))
            rows.append((f"{count:,}", *(f"{each * 1000:.2f}" for each in taken)))
    return [
        Table(
            title="devices: one person among many",
            note=f"Milliseconds, medians of {TIMES}; a person of {DEVICES} devices; one call at a time.",
            columns=("sessions around", "sign in", "list devices", "sign out one", "sign out all"),
            rows=rows,
        )
    ]


async def _measure(port: int, secret_key: str) -> list[float]:
    store = open_store(RedisSettings(url=f"redis://127.0.0.1:{port}/0"))
    sessions = Sessions(store, Keyring([read_secret_key(secret_key)]), LIMITS, client_key=CLIENT_KEY)
    taken: dict[str, list[float]] = {"in": [], "list": [], "one": [], "all": []}

    async def timed(name: str, act: Callable[[], Awaitable[object]]) -> object:
        began_at = time.perf_counter()
        result = await act()
        taken[name].append(time.perf_counter() - began_at)
        return result

    for _ in range(TIMES):
        now = datetime.now(UTC)
        grant = make_grant(now)
        for _ in range(DEVICES):
            await timed("in", lambda: sessions.begin(grant, user_agent="", now=now))  # noqa: B023 -- called at once
        found = await sessions.of_subject(grant.subject, now)
        await timed("list", lambda: sessions.of_subject(grant.subject, now))  # noqa: B023
        await timed("one", lambda: sessions.end_session(*found[0]))  # noqa: B023
        await timed("all", lambda: sessions.end_all(grant.subject, now))  # noqa: B023
    await store.close()
    return [statistics.median(each) for each in taken.values()]
