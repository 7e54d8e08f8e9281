"""Traffic goes on while Redis restarts, fails over or moves slots: nobody hangs, nobody is signed out.

`GATEWAY_TESTS_RESTARTS_FOR` (seconds) makes it longer.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from gateway.core.session import build_session_key
from gateway.simulator import RunningSimulator
from tests.harness import Browser
from tests.redis_server import run_redis
from tests.redis_topologies import SERVICE, move_slot, run_cluster, run_sentinel
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.waiting import wait_for

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


Trouble = Callable[[float], Awaitable[None]]
"""What is done to Redis until a moment."""


async def drive(running: RunningProcess, cookies: dict[str, str], trouble: Trouble) -> list[tuple[int, float, bool]]:
    """Ask all along while Redis has trouble, and check each answer; returns those to who is signed in."""
    end = time.monotonic() + LASTS
    private, public, _ = await asyncio.gather(
        ask_all_along(running.url, "/private/x", cookies, end),
        ask_all_along(running.url, "/public/x", {}, end),
        trouble(end),
    )
    assert {status for status, _, _ in private} <= {200, 503}
    assert all(later for status, _, later in private if status == 503)
    assert {status for status, _, _ in public} == {200}
    assert max(seconds for _, seconds, _ in private + public) < 2 + 1.5
    return private


def session_key(cookies: dict[str, str]) -> str:
    key = build_session_key(cookies["gateway"].encode())
    assert key is not None
    return "gateway:" + key


def wait_until_served(browser: Browser) -> None:
    """It recovers by itself, and the session is still there."""
    wait_for(lambda: browser.fetch("/private/x").status_code == 200, "the session is served again", within=10)


def test_restarts_of_redis_sign_nobody_out(tmp_path: Path, simulator: RunningSimulator, upstream: str) -> None:
    with (
        run_redis(*DURABLE) as server,
        run_gateway(tmp_path, simulator, server, upstream, session__cache_for="0s") as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in("/private/x")

        async def kill_and_start(end: float) -> None:
            while time.monotonic() < end - 3:
                await asyncio.sleep(1)
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(0.7)
                await asyncio.to_thread(server.start)

        private = asyncio.run(drive(running, dict(browser.client.cookies), kill_and_start))
        assert {status for status, _, _ in private} == {200, 503}
        wait_until_served(browser)


@pytest.mark.parametrize("cache_for", ["0s", "5s"])
def test_a_failover_signs_nobody_out(
    tmp_path: Path, simulator: RunningSimulator, upstream: str, cache_for: str
) -> None:
    with run_sentinel() as watched:
        redis = json.dumps({"sentinel": {"nodes": [watched.node], "service": SERVICE}})
        changes = {"redis": redis, "session__cache_for": cache_for}
        with (
            run_gateway(tmp_path, simulator, watched.master, upstream, **changes) as running,
            Browser(running.url) as browser,
        ):
            browser.sign_in("/private/x")
            cookies = dict(browser.client.cookies)
            wait_for(lambda: watched.has_copied(session_key(cookies)), "the replica has the session")

            async def fail_over(_: float) -> None:
                await asyncio.sleep(1)
                await asyncio.to_thread(watched.master.stop)

            asyncio.run(drive(running, cookies, fail_over))
            assert watched.named_port() == watched.replica.port
            wait_until_served(browser)


def test_a_slot_that_moves_signs_nobody_out(tmp_path: Path, simulator: RunningSimulator, upstream: str) -> None:
    with run_cluster() as nodes:
        redis = json.dumps({"cluster": {"nodes": [f"127.0.0.1:{node.port}" for node in nodes]}})
        changes = {"redis": redis, "session__cache_for": "0s"}
        with (
            run_gateway(tmp_path, simulator, nodes[0], upstream, **changes) as running,
            Browser(running.url) as browser,
        ):
            browser.sign_in("/private/x")
            cookies = dict(browser.client.cookies)

            async def move(end: float) -> None:
                while time.monotonic() < end - 2:
                    await asyncio.sleep(0.7)
                    await asyncio.to_thread(move_slot, session_key(cookies), nodes)

            private = asyncio.run(drive(running, cookies, move))
            assert {status for status, _, _ in private} == {200}
            wait_until_served(browser)
