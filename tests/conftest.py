"""What every test may use, and the rules of a run."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Generator

import httpx._transports.default
import hypothesis
import pytest
import uvicorn.server
from playwright.sync_api import Browser, sync_playwright

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import echo, serve_app
from tests.programs import need
from tests.redis_server import RedisServer, run_redis
from tests.rules import (
    pytest_collection_modifyitems,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_timeout_set_timer,
    pytest_xdist_auto_num_workers,
)

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_timeout_set_timer",
    "pytest_xdist_auto_num_workers",
]

# each client of httpx reads all of certifi's certificates, which takes longer than most tests: one context does for all
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]


async def _sleep_less(seconds: float) -> None:
    """A server of uvicorn's looks ten times a second whether it is to end, and then waits a tenth for its clients."""
    await asyncio.sleep(min(seconds, 0.01))


# nearly all that most tests wait for are the ends of the two or three servers that they have started
_asyncio = types.SimpleNamespace(**{**vars(asyncio), "sleep": _sleep_less})
uvicorn.server.asyncio = _asyncio  # type: ignore[assignment,attr-defined]

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# the same examples each time, so that a failure is the change's own; run with --hypothesis-profile=wild to search
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("wild", deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio: the gateway is an asyncio program."""
    return "asyncio"


@pytest.fixture(scope="module")
def simulator() -> Generator[RunningSimulator]:
    """TikTok."""
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def redis_server() -> Generator[RedisServer]:
    """A real Redis."""
    with run_redis() as server:
        yield server


@pytest.fixture(scope="module")
def upstream() -> Generator[str]:
    """The address of an app that echoes."""
    with serve_app(echo) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    """A real browser."""
    program = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
