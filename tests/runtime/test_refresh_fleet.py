"""Three replicas, a token at its end, many requests at once, a TikTok that takes seconds: one refresh.

`GATEWAY_TESTS_LONG=1` has TikTok take six seconds, instead of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import Browser, headers_of
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess
from tests.runtime.test_replicas import cookie_of, run_replicas

SLOW = 6.0 if os.environ.get("GATEWAY_TESTS_LONG") else 2.0
LIFETIME = 4.0  # of the first access token
REQUESTS = 200


@pytest.fixture
def replicas(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[list[RunningProcess]]:
    with run_replicas(tmp_path, simulator, redis_server, upstream) as running:
        yield running
    simulator.troubles.reset()


@pytest.fixture
def cookie(replicas: list[RunningProcess], simulator: RunningSimulator) -> dict[str, str]:
    """Somebody is signed in; their access token has expired a moment ago, and TikTok is slow."""
    simulator.simulator.reset()
    simulator.troubles.access_lifetime = LIFETIME
    with Browser(replicas[0].url) as browser:
        browser.sign_in("/private/x")
        cookie = cookie_of(browser)
    simulator.troubles.access_lifetime = 7200
    time.sleep(LIFETIME)
    simulator.troubles.token_delay = SLOW
    return cookie


def ask_all(replicas: list[RunningProcess], cookie: dict[str, str], pool: ThreadPoolExecutor) -> list[httpx.Response]:
    """Send all requests at once, spread over the replicas; those whose replica was killed are left out."""

    def ask(number: int) -> httpx.Response | None:
        try:
            url = replicas[number % len(replicas)].url + "/private/x"
            return httpx.get(url, headers=cookie, trust_env=False, timeout=40)
        except httpx.TransportError:
            return None

    answers = [each for each in pool.map(ask, range(REQUESTS)) if each is not None]
    assert len(answers) >= REQUESTS * (len(replicas) - 1) // len(replicas)
    return answers


def tokens_in(answers: list[httpx.Response]) -> set[str]:
    return {headers_of(answer)["x-tiktok-access-token"] for answer in answers}


def test_one_refresh_and_everybody_gets_its_token(
    replicas: list[RunningProcess], cookie: dict[str, str], simulator: RunningSimulator
) -> None:
    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = ask_all(replicas, cookie, pool)
    assert {answer.status_code for answer in answers} == {200}
    assert simulator.refreshes == 1
    (token,) = tokens_in(answers)
    assert simulator.simulator.live(simulator.simulator.access_tokens, token) is not None


def test_the_one_who_refreshes_is_killed_and_nobody_is_signed_out(
    replicas: list[RunningProcess], cookie: dict[str, str], simulator: RunningSimulator
) -> None:
    holder = replicas[0]
    with ThreadPoolExecutor(REQUESTS + 1) as pool:
        first = pool.submit(httpx.get, holder.url + "/private/x", headers=cookie, trust_env=False, timeout=40)
        while not simulator.refreshes:
            time.sleep(0.01)
        everybody = pool.submit(ask_all, replicas, cookie, pool)
        time.sleep(0.5)
        holder.process.kill()
        answers = everybody.result()
        assert isinstance(first.exception(), httpx.TransportError)
    assert {answer.status_code for answer in answers} == {200}
    assert simulator.refreshes == 2
    (token,) = tokens_in(answers)
    assert simulator.simulator.live(simulator.simulator.access_tokens, token) is not None


def test_a_tiktok_that_fails_signs_nobody_out(
    replicas: list[RunningProcess], cookie: dict[str, str], simulator: RunningSimulator
) -> None:
    simulator.troubles.update({"html": True, "token_delay": 0.0})
    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = ask_all(replicas, cookie, pool)
        assert {answer.status_code for answer in answers} == {503}
        assert all(answer.headers["retry-after"] for answer in answers)
        assert simulator.refreshes <= 2  # a failure is remembered for a few seconds
        simulator.troubles.reset()
        time.sleep(5.5)
        assert {answer.status_code for answer in ask_all(replicas, cookie, pool)} == {200}
