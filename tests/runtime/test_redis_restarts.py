"""Traffic goes on while Redis is killed and started again: nobody hangs, nobody is signed out.

`GATEWAY_TESTS_RESTARTS_FOR` (seconds) makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import httpx

from gateway.simulator import RunningSimulator
from tests.harness import Browser
from tests.redis_server import RedisServer, run_redis
from tests.runtime.conftest import run_gateway

LASTS = float(os.environ.get("GATEWAY_TESTS_RESTARTS_FOR", "8"))  # seconds
PAUSE = 0.01  # seconds between two requests: 200 a second, for two paths
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


async def ask_all_along(url: str, path: str, cookies: dict[str, str], end: float) -> list[tuple[int, float, bool]]:
    """Return status, seconds, and whether there was `Retry-After`, of each request."""
    answers: list[tuple[int, float, bool]] = []

    async def ask(client: httpx.AsyncClient) -> None:
        began = time.monotonic()
        answer = await client.get(path)
        answers.append((answer.status_code, time.monotonic() - began, "retry-after" in answer.headers))

    async with (
        httpx.AsyncClient(base_url=url, cookies=cookies, trust_env=False, timeout=10) as client,
        asyncio.TaskGroup() as group,
    ):
        while time.monotonic() < end:
            group.create_task(ask(client))
            await asyncio.sleep(PAUSE)
    return answers


async def kill_and_start(server: RedisServer, end: float) -> None:
    while time.monotonic() < end - 3:
        await asyncio.sleep(1)
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(0.7)
        await asyncio.to_thread(server.start)


def test_restarts_of_redis_sign_nobody_out(tmp_path: Path, simulator: RunningSimulator, upstream: str) -> None:
    with (
        run_redis(*DURABLE) as server,
        run_gateway(tmp_path, simulator, server, upstream, session__cache_for="0s") as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in("/private/x")
        cookies = dict(browser.client.cookies)

        async def drive() -> tuple[list[tuple[int, float, bool]], list[tuple[int, float, bool]]]:
            end = time.monotonic() + LASTS
            private, public, _ = await asyncio.gather(
                ask_all_along(running.url, "/private/x", cookies, end),
                ask_all_along(running.url, "/public/x", {}, end),
                kill_and_start(server, end),
            )
            return private, public

        private, public = asyncio.run(drive())
        assert {status for status, _, _ in private} == {200, 503}
        assert all(later for status, _, later in private if status == 503)
        assert {status for status, _, _ in public} == {200}
        assert max(seconds for _, seconds, _ in private + public) < 2 + 1.5
        assert browser.fetch("/private/x").status_code == 200
