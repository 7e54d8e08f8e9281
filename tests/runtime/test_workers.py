"""`gateway run --workers 2`: one truth in several processes, and none of them is indispensable."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import Browser
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, gateway_environ, run_gateway
from tests.waiting import wait_for


@pytest.fixture
def running(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[RunningProcess]:
    limits = {"limits__connections_per_address": "12"}
    with run_gateway(tmp_path, simulator, redis_server, upstream, "--workers", "2", **limits) as running:
        until(lambda: count_events(running, "started") == 2)
        yield running


def count_events(running: RunningProcess, event: str) -> int:
    return [json.loads(line)["event"] for line in running.log.read_text().splitlines()].count(event)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(condition: Callable[[], object]) -> None:
    wait_for(condition, "it came true")


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def count_answers(running: RunningProcess) -> float:
    metrics = get(running.admin + "/metrics").text
    found = re.search(r'^gateway_requests_total\{decision="allow",status="2xx"\} (\S+)$', metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_metrics_are_those_of_all_workers_whoever_is_asked(running: RunningProcess) -> None:
    for _ in range(30):  # a connection each: the kernel spreads them
        assert get(running.url + "/public/x").status_code == 200
    assert [count_answers(running) for _ in range(6)] == [30.0] * 6


def test_both_workers_serve(running: RunningProcess) -> None:
    before = {pid: Path(f"/proc/{pid}/io").read_text() for pid in children(running.process.pid)}
    assert len(before) == 2
    for _ in range(40):
        get(running.url + "/public/x")
    assert all(Path(f"/proc/{pid}/io").read_text() != text for pid, text in before.items())


def test_a_sign_out_counts_in_both_at_once(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        browser.sign_in("/private/x")
        cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())}

        def statuses() -> set[int]:
            return {
                httpx.get(running.url + "/private/x", headers=cookie, trust_env=False).status_code for _ in range(20)
            }

        assert statuses() == {200}
        browser.fetch("/oauth2/sign_out", method="POST")
        assert statuses() == {401}


def test_an_address_has_its_connections_in_all_workers_together(running: RunningProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(trust_env=False)) for _ in range(16)]
        served = 0
        for client in clients:
            with contextlib.suppress(httpx.TransportError):
                served += client.get(running.url + "/public/x").status_code == 200
        assert served == 12


def test_a_worker_that_dies_is_replaced_and_nothing_is_forgotten(running: RunningProcess) -> None:
    get(running.url + "/public/x")
    victim, survivor = children(running.process.pid)
    os.kill(victim, signal.SIGKILL)
    until(lambda: set(children(running.process.pid)) - {victim, survivor})
    until(lambda: all(get(running.url + "/public/x").status_code == 200 for _ in range(20)))
    assert count_answers(running) >= 20
    told = [json.loads(line) for line in running.log.read_text().splitlines() if "worker_died" in line]
    assert [line["code"] for line in told] == [-9]
    assert running.stop() == 0


def test_sigterm_ends_all_of_them(running: RunningProcess) -> None:
    workers = children(running.process.pid)
    assert running.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert count_events(running, "stopped") == 2
    assert count_events(running, "stopped_workers") == 1


def test_workers_end_when_their_parent_is_killed(running: RunningProcess) -> None:
    workers = children(running.process.pid)
    running.process.kill()
    running.process.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_second_gateway_does_not_share_the_port_unnoticed(running: RunningProcess) -> None:
    done = run_again(listen=running.url.removeprefix("http://"), redis=running.redis.url)
    assert done.returncode == 1
    assert "listen: cannot listen on" in done.stderr


def test_the_embedded_store_is_for_one_worker() -> None:
    done = run_again(listen=f"127.0.0.1:{free_port()}", redis="memory://")
    assert done.returncode == 1
    assert "--workers" in done.stderr
    assert "Traceback" not in done.stderr


def run_again(**changes: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "public_url": "http://127.0.0.1:1",
        "upstream": "none",
        "secret_keys": '["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]',
        "tiktok__client_key": "k",
        "tiktok__client_secret": "s",
        "admin__listen": "off",
    } | changes
    return subprocess.run(
        [sys.executable, "-m", "gateway", "run", "--workers", "2"],
        env=gateway_environ(**settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
