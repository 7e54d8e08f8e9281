"""A gateway that starts while Redis is away, or refuses it, serves what needs no Redis, and the rest once it can."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import Browser, Running, asgi_form
from tests.redis_server import RedisServer, run_redis
from tests.runtime.conftest import RunningProcess, run_gateway


@pytest.fixture
def away() -> Generator[RedisServer]:
    """A Redis that is not running, and may be started."""
    with run_redis() as server:
        server.stop()
        yield server


def wait_until(said: Callable[[], bool]) -> None:
    for _ in range(400):
        if said():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def lines_of(running: RunningProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.log.read_text().splitlines()]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_needs_no_redis_is_served_and_the_rest_once_it_is_there(
    tmp_path: Path, simulator: RunningSimulator, away: RedisServer, upstream: str, workers: int
) -> None:
    words = ("--workers", str(workers))
    with run_gateway(tmp_path, simulator, away, upstream, *words) as running, Browser(running.url) as browser:
        assert browser.fetch("/public/x").status_code == 200
        wait_until(lambda: any(line["event"] == "waiting_for_redis" for line in lines_of(running)))
        for answer in (
            browser.fetch("/private/x", headers={"cookie": "gateway=" + "a" * 43}),
            browser.navigate("/private/x"),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "set-cookie" not in answer.headers
        assert get(running.admin + "/livez").status_code == 200
        readiness = get(running.admin + "/readyz?verbose")
        assert readiness.status_code == 503
        assert f"Redis at 127.0.0.1:{away.port} cannot be used" in readiness.text
        assert "not followed" in readiness.text
        assert running.process.poll() is None

        away.start()
        wait_until(lambda: get(running.admin + "/readyz").status_code == 200)
        assert browser.sign_in("/private/x").status_code == 200
        # and its changes are followed, also before anybody has come
        wait_until(lambda: "gateway_change_feed_up 1.0" in get(running.admin + "/metrics").text)
        assert get(running.admin + "/readyz?verbose").text == "ok\nchanges in redis: followed\n"
        assert get(running.admin + "/readyz").text == "ok\n"
        assert running.stop() == 0
    told = [line for line in lines_of(running) if line["event"] in {"waiting_for_redis", "redis_answers"}]
    waiting = [line for line in told if line["event"] == "waiting_for_redis"]
    assert len(waiting) <= workers * len({line["reason"] for line in waiting}), "it is told each second"
    assert "start Redis" in waiting[0]["advice"]
    assert told[-1]["event"] == "redis_answers"


def test_a_wrong_password_is_an_error_at_once_and_mends_without_a_restart(
    tmp_path: Path, simulator: RunningSimulator, upstream: str
) -> None:
    with run_redis("--requirepass", "right") as server:
        wrong = f"redis://:hunter2@127.0.0.1:{server.port}/0"
        with run_gateway(tmp_path, simulator, server, upstream, redis=wrong) as running:
            wait_until(lambda: any(line["event"] == "redis_refuses" for line in lines_of(running)))
            assert get(running.url + "/public/x").status_code == 200
            assert get(running.admin + "/readyz").status_code == 503
            with redis.Redis(port=server.port, password="right") as operator:
                operator.config_set("requirepass", "hunter2")
            wait_until(lambda: get(running.admin + "/readyz").status_code == 200)
            with Browser(running.url) as browser:
                assert browser.sign_in("/private/x").status_code == 200
            assert running.stop() == 0
        (told,) = [line for line in lines_of(running) if line["event"] == "redis_refuses"]
        assert told["level"] == "error"
        assert "refuses the user, the password or a command" in told["reason"]
        assert "hunter2" not in running.log.read_text()


@pytest.mark.parametrize("form", [asgi_form, wsgi], ids=["asgi", "wsgi"])
def test_so_it_is_as_middleware(form: Any, simulator: RunningSimulator, away: RedisServer) -> None:
    running: Running
    with form(simulator, redis=away.url) as running, Browser(running.url) as browser:
        assert browser.fetch("/public/x").status_code == 200
        assert browser.navigate("/private/x").status_code == 503
        assert browser.fetch("/oauth2/livez").status_code == 200
        assert browser.fetch("/oauth2/readyz").status_code == 503
        away.start()
        wait_until(lambda: browser.fetch("/oauth2/readyz").status_code == 200)
        assert browser.sign_in("/private/x").status_code == 200
