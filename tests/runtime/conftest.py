"""`gateway run` as a process of its own, with a real Redis and the simulator."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.waiting import wait_for


def gateway_environ(**names: str) -> dict[str, str]:
    """Return an environment with nothing of the caller's settings in it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return inherited | {f"GATEWAY__{name.upper()}": value for name, value in names.items()}


@dataclass
class RunningProcess:
    """A gateway that runs as its own process."""

    url: str
    admin: str
    process: subprocess.Popen[str]
    log: Path
    simulator: RunningSimulator
    redis: RedisServer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def run_gateway(
    tmp_path: Path,
    simulator: RunningSimulator,
    server: RedisServer,
    upstream: str,
    /,
    *words: str,
    module: str = "gateway",
    **changes: str,
) -> Generator[RunningProcess]:
    """Run `gateway run` with these further words until the test ends it; in `listen`, @{port} stands for its port.

    `module` is one of the tests' that runs it otherwise.
    """
    port, admin = free_port(), free_port()
    url = f"{'https' if 'tls__certificate' in changes else 'http'}://127.0.0.1:{port}"
    settings: dict[str, str] = {
        "public_url": url,
        "listen": f"127.0.0.1:{port}",
        "admin__listen": f"127.0.0.1:{admin}",
        "upstream": upstream,
        "redis": server.url,
        "secret_keys": f'["{new_secret_key()}"]',
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__scopes": '["user.info.basic", "user.info.profile"]',
        "tiktok__authorize_url": simulator.authorize_url,
        "tiktok__token_url": simulator.token_url,
        "tiktok__revoke_url": simulator.revoke_url,
        "tiktok__user_info_url": simulator.user_info_url,
        "tiktok__get_qrcode_url": simulator.get_qrcode_url,
        "tiktok__check_qrcode_url": simulator.check_qrcode_url,
        "routes": "[{path: /public/**, access: public}, {path: /**}]",
        "log__level": "debug",
    } | changes
    settings |= {"listen": settings["listen"].replace("@{port}", str(port))}
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "run", *words],
            env=gateway_environ(**settings),
            stderr=stderr,
            text=True,
            cwd=tmp_path,
        )
    running = RunningProcess(url, f"http://127.0.0.1:{admin}", process, log, simulator, server)
    try:
        _wait_until_it_answers(running)
        yield running
    finally:
        process.kill()
        process.wait(timeout=10)


def _wait_until_it_answers(running: RunningProcess) -> None:
    def answers() -> bool:
        assert running.process.poll() is None, running.log.read_text()
        httpx.get(running.url + "/oauth2/livez", trust_env=False, verify=False)
        return True

    wait_for(answers, "the gateway answers")


@pytest.fixture
def running(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[RunningProcess]:
    with run_gateway(tmp_path, simulator, redis_server, upstream) as running:
        yield running
