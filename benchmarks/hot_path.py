"""Python's own share of a signed-in request: the short way between two sockets that are not there.

    python -m benchmarks.hot_path [--profile]

Feeds the bytes of a request to the server's protocol and those of the answer to the upstream connection, in one
process, without a kernel in between. Prints microseconds of CPU a request (median of rounds). What a change here does
shows within seconds and with little noise; what it is worth, only a run over sockets tells (`python -m benchmarks`).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import os
import pstats
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from gateway.core.forwarded import TrustedProxies
from gateway.core.grant import Grant
from gateway.core.keyring import new_secret_key
from gateway.core.tiktok import Profile, TokenSet
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.server.connections import ConnectionGuard
from gateway.server.short.protocol import ShortWayProtocol
from gateway.settings import load
from gateway.telemetry.logs import configure_logs
from gateway.upstream.connection import Connection
from gateway.upstream.pool import Pool

ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 1024\r\nConnection: keep-alive\r\n\r\n" + b"x" * 1024
)
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://app.example/feed\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
)


class NoTransport(asyncio.Transport):
    """A transport that swallows what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Count."""
        self.written += len(data)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def abort(self) -> None:
        """Nothing."""

    def pause_reading(self) -> None:
        """Nothing."""

    def resume_reading(self) -> None:
        """Nothing."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return addresses."""
        return {"peername": ("192.0.2.7", 50000), "sockname": ("192.0.2.1", 8080)}.get(name, default)


class Owner:
    """Keeps the one upstream connection there is."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def take_back(self, connection: Connection) -> None:
        """Keep it."""
        self.pool.take_back(connection)

    def let_go(self, connection: Connection) -> None:
        """Never."""

    def forget(self, connection: Connection) -> None:
        """Never."""

    def suspect(self, connection: Connection) -> None:
        """Never."""


def build_gateway(*, redis: str = "memory://", secret_key: str = "") -> Generation:
    """Build a gateway; with the embedded store if no other is named."""
    environ = {
        "PUBLIC_URL": "https://app.example",
        "UPSTREAM": "http://127.0.0.1:3000",
        "REDIS": redis,
        "SECRET_KEYS": f'["{secret_key or new_secret_key()}"]',
        "TIKTOK__CLIENT_KEY": "k",
        "TIKTOK__CLIENT_SECRET": "s",
        "SESSION__CACHE_FOR": "10m",
        "ADMIN__LISTEN": "off",
    }
    return build(load(None, {f"GATEWAY__{name}": value for name, value in environ.items()}))


async def sign_in(generation: Generation, number: int) -> str:
    """Write a session of a person; returns its id."""
    now = datetime.now(UTC)
    tokens = TokenSet(
        open_id=f"-000p5rAQ4fbqyFlAVyMhgDqg8zA{number:08}",
        access_token="act." + "a" * 60,
        refresh_token="rft." + "r" * 60,
        scopes=("user.info.basic", "user.info.profile"),
        obtained_at=now,
        access_expires_at=now + timedelta(days=1),
        refresh_expires_at=now + timedelta(days=365),
    )
    grant = Grant(tokens=tokens, profile=Profile(open_id=tokens.open_id, display_name="Ada"), profile_read_at=now)
    return await generation.records.sessions.begin(grant, user_agent="benchmark", now=now)


def connect(
    generation: Generation, number: int, transport: Callable[[], NoTransport] = NoTransport
) -> tuple[list[ShortWayProtocol], list[Connection]]:
    """Make so many client connections and as many idle upstream connections, all without sockets."""
    assert generation.doors.short_way is not None
    config = uvicorn.Config(generation.doors.app, log_config=None, access_log=False, server_header=False)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
    protocol = type(
        "Protocol",
        (ShortWayProtocol,),
        {"short_way": generation.doors.short_way, "guard": ConnectionGuard(0, TrustedProxies(()))},
    )
    clients, upstreams = [], []
    pool = generation.behind.proxies["default"].pool
    place = pool.places.known[0]
    for _ in range(number):
        client = protocol(config, state, {})
        client.connection_made(NoTransport())
        clients.append(client)
        upstream = Connection(pool.upstream, Owner(pool), asyncio.get_running_loop(), place)
        upstream.connection_made(transport())
        place.open += 1
        place.idle.append(upstream)
        upstreams.append(upstream)
    return clients, upstreams


async def until_all_are_asked(generation: Generation) -> None:
    """Wait until every upstream connection has a request: however busy the machine is."""
    place = generation.behind.proxies["default"].pool.places.known[0]
    for _ in range(3000):
        if not place.idle:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the requests did not reach the upstream")


async def run(options: argparse.Namespace) -> None:
    """Measure."""
    generation = build_gateway()
    people = itertools.cycle([await sign_in(generation, number) for number in range(options.people)])
    clients, upstreams = connect(generation, options.connections)
    cookie = "theme=dark; __Host-gateway={session_id}; _ga=GA1.2.3"
    headers = "" if options.bare else BROWSER
    varying = "X-Trace: %d\r\n" if options.varying else ""
    path = "/api/videos/%d?page=2" if options.varying else "/api/videos/7?page=2"
    request = f"GET {path} HTTP/1.1\r\nHost: app.example\r\n{headers}{varying}Cookie: {cookie}\r\n\r\n"
    numbers = itertools.count()

    def build_request() -> bytes:
        text = request.format(session_id=next(people))
        return (text % (number := next(numbers), number) if options.varying else text).encode()

    for _ in range(options.people // len(clients) + 1):  # everybody once: the gate asks the store
        for client in clients:
            client.data_received(build_request())
        await until_all_are_asked(generation)
        for upstream in upstreams:
            upstream.data_received(ANSWER)

    async def turn() -> float:
        requests = [[build_request() for _ in clients] for _ in range(options.batch)]
        began = process_time()
        for batch in requests:
            for client, data in zip(clients, batch, strict=True):
                client.data_received(data)
            for upstream in upstreams:
                upstream.data_received(ANSWER)
            await asyncio.sleep(0)  # the log is written
        return (process_time() - began) / (len(requests) * len(clients)) * 1e6

    await turn()
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    times = [await turn() for _ in range(options.rounds)]
    if options.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    sent = sum(upstream._transport.written for upstream in upstreams)  # type: ignore[attr-defined]
    assert sent > options.batch * options.rounds * len(clients) * 300, "the requests did not reach the upstream"
    print(f"{median(times):.1f} us a request (min {min(times):.1f}, max {max(times):.1f})")
    await generation.close()


def main() -> None:
    """Read the arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--people", type=int, default=1, help="each request is another one's, in turn")
    parser.add_argument("--varying", action="store_true", help="each request with another path and another header")
    parser.add_argument("--bare", action="store_true", help="without a browser's headers")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- the request log
    configure_logs("json", "info")
    uvloop.run(run(options))


if __name__ == "__main__":
    main()
