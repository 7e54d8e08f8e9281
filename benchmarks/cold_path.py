"""What a person costs who was not seen lately: the gateway's own share, and the steps of it.

    python -m benchmarks.cold_path [--together N] [--profile]

As `benchmarks.hot_path`, without sockets but for those to a redis-server that it starts: each request is another
person's. `--together` is how many come in one turn of the event loop, and so share what is sent to Redis. Prints
microseconds of CPU, as medians of rounds: of a person whom the gateway knows, of one whom it has to ask Redis about,
and of one who has to be written down as seen besides; then of each step in pure code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import gc
import itertools
import os
import pstats
import tempfile
import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time

import uvloop

from benchmarks.hot_path import ANSWER, BROWSER, NoTransport, build_gateway, connect
from benchmarks.process import choose_port
from benchmarks.seed import make_grant, sign_in_many
from benchmarks.stage import run_redis
from gateway.core import cookies
from gateway.core.cookies import CookieSpec, OwnCookies
from gateway.core.decision import build_allow
from gateway.core.grant import Grant, build_grant_key
from gateway.core.identity import IdentityHeaders
from gateway.core.keyring import Keyring, new_secret_key
from gateway.core.record import open_record, seal_record
from gateway.core.session import Session, build_session_key
from gateway.flows.authentication import build_identity
from gateway.flows.sessions import SignedIn
from gateway.runtime.current import settle_memory
from gateway.telemetry.logs import configure_logs

CLIENT_KEY = "k"
NAME = "__Host-gateway"
LINE = f"theme=dark; {NAME}=%s; _ga=GA1.2.3"
HEAD = f"GET /api/videos/7?page=2 HTTP/1.1\r\nHost: app.example\r\n{BROWSER}Cookie: {LINE}\r\n\r\n"
SEEN = {
    "known to the gateway": timedelta(hours=1),
    "read from Redis": timedelta(hours=1),
    "read from Redis, and written down as seen": -timedelta(hours=1),
}
"""Whose requests are measured, and when they were last seen, from now on."""


class Counter:
    """Says when all requests have gone to the upstream."""

    def __init__(self) -> None:
        self.left = 0
        self.all_asked = asyncio.Event()

    def transport(self) -> NoTransport:
        """Return an upstream's."""
        counter = self

        class Counted(NoTransport):
            def write(self, data: bytes | bytearray | memoryview) -> None:
                super().write(data)
                counter.left -= 1
                if counter.left == 0:
                    counter.all_asked.set()

        return Counted()


async def measure(who: str, redis: str, secret_key: str, ids: list[bytes], options: argparse.Namespace) -> float:
    """Return microseconds of CPU a request."""
    generation, counter = build_gateway(redis=redis, secret_key=secret_key), Counter()
    clients, upstreams = connect(generation, options.together, counter.transport)
    people = itertools.cycle(ids[: options.together] if who.startswith("known") else ids)

    async def turn() -> float:
        batches = [[(HEAD % next(people).decode()).encode() for _ in clients] for _ in range(options.batch)]
        began = process_time()
        for batch in batches:
            counter.left = len(clients)
            counter.all_asked.clear()
            for client, data in zip(clients, batch, strict=True):
                client.data_received(data)
            await asyncio.wait_for(counter.all_asked.wait(), 20)
            for upstream in upstreams:
                upstream.data_received(ANSWER)
        return (process_time() - began) / len(batches) / len(clients) * 1e6

    await turn()
    settle_memory()  # as a gateway that runs does
    times = [await turn() for _ in range(options.rounds)]
    gc.unfreeze()  # those who come next have a gateway of their own
    await generation.close()
    return median(times)


def time_steps() -> dict[str, float]:
    """Return microseconds of each step in pure code."""
    now, keyring, headers = datetime.now(UTC), Keyring([b"k" * 32]), IdentityHeaders(["tiktok"], {})
    grant = make_grant(now)
    key, grant_key = "session:" + "a" * 64, build_grant_key(CLIENT_KEY, grant.subject)
    session = Session(subject=grant.subject, grant_key=grant_key, signed_in_at=now, last_seen_at=now, user_agent="ua")
    sealed = seal_record(keyring, key, session, compact=True), seal_record(keyring, grant_key, grant, compact=True)
    signed_in = SignedIn(key, session, sealed[0], grant, sealed[1])
    line = (LINE % ("a" * 43)).encode()
    own = OwnCookies(session=CookieSpec(NAME, True), binding=CookieSpec(NAME + "-binding", True))

    def read_cookies() -> None:
        build_session_key(cookies.read(((b"cookie", line),), NAME.encode())[0])
        cookies.strip(line, own)

    steps: dict[str, Callable[[], object]] = {
        "the cookie: found, hashed, taken out": read_cookies,
        "the session opened: sealed, packed, deflated": lambda: open_record(keyring, key, sealed[0], Session),
        "the grant opened": lambda: open_record(keyring, grant_key, sealed[1], Grant),
        "the lines for the app": lambda: build_allow(headers, build_identity(signed_in), session_key=key),
        "the session sealed anew, where it is to be written": lambda: seal_record(
            keyring, key, session.touched(now), compact=True
        ),
    }
    return {name: min(timeit.repeat(step, number=2000, repeat=20)) / 2000 * 1e6 for name, step in steps.items()}


def main() -> None:
    """Read the arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--together", type=int, default=8)
    parser.add_argument("--people", type=int, default=30_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    core = max(os.sched_getaffinity(0))  # of Redis
    profile = cProfile.Profile()
    for who, ahead in SEEN.items():
        with tempfile.TemporaryDirectory() as folder, run_redis(Path(folder), port := choose_port(), core):
            key = new_secret_key()
            ids = sign_in_many(port, key, CLIENT_KEY, options.people, seen_at=datetime.now(UTC) + ahead)
            if options.profile:
                profile.enable()
            with open(os.devnull, "w") as log, contextlib.redirect_stderr(log):
                configure_logs("json", "info")
                took = uvloop.run(measure(who, f"redis://127.0.0.1:{port}", key, ids, options))
            profile.disable()
        print(f"{took:6.1f} us  a person {who}", flush=True)
    for name, micros in time_steps().items():
        print(f"{micros:6.1f} us  {name}")
    if options.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
