"""`gateway run` with a listener for checks: an address and a unix socket, with one worker or two."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import Browser
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, gateway_environ, run_gateway

SECRET = "a-secret-of-thirty-two-characters"
TOKEN = "x-tiktok-access-token"


@pytest.fixture
def socket_path(tmp_path: Path) -> str:
    return str(tmp_path / "checks.sock")


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(params=[(), ("--workers", "2")], ids=["one", "two"])
def running(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    address: str,
    socket_path: str,
) -> Generator[RunningProcess]:
    asked = {"forward_auth__listen": f'["{address}", "unix:{socket_path}"]', "forward_auth__secret": SECRET}
    with run_gateway(tmp_path, simulator, redis_server, "none", *request.param, **asked) as running:
        yield running


def test_checks_are_answered_where_only_they_are(running: RunningProcess, address: str, socket_path: str) -> None:
    with Browser(running.url) as browser:
        begun = browser.navigate("/oauth2/start")
        assert browser.navigate(browser.consent(begun.headers["location"])).status_code == 302
        cookie = f"gateway={browser.client.cookies['gateway']}"
    asked = {"cookie": cookie, "x-forwarded-uri": "/private/asked", "x-forwarded-method": "POST"}
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x", "x-gateway-check": SECRET}

    def transport() -> httpx.HTTPTransport:
        return httpx.HTTPTransport(uds=socket_path)

    for _ in range(10):  # a connection each, for any worker
        assert TOKEN in httpx.get(f"http://{address}/oauth2/auth", headers=asked, trust_env=False).headers
        with httpx.Client(transport=transport(), base_url="http://app.example", headers=asked) as client:
            assert TOKEN in client.get("/oauth2/auth").headers
            assert TOKEN in client.get("/oauth2/auth", headers=upgrade).headers
            assert client.get("/oauth2/account").status_code == 404
            assert client.get("/oauth2/readyz").status_code == 200
        assert TOKEN not in httpx.get(running.url + "/oauth2/auth", headers=asked, trust_env=False).headers
        assert TOKEN in httpx.get(running.url + "/oauth2/auth", headers=asked | upgrade, trust_env=False).headers
    metrics = httpx.get(running.admin + "/metrics", trust_env=False).text
    assert 'gateway_requests_total{decision="allow",status="2xx"} 40.0' in metrics
    assert running.stop() == 0
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    told = [line for line in lines if line.get("path") == "/private/asked"]
    assert len(told) == 40
    assert {(line["method"], line["status"], line["decision"]) for line in told} == {("POST", 202, "allow")}
    assert all(line["session"] for line in told)
    assert SECRET not in text
    assert cookie.partition("=")[2] not in text


def test_an_address_that_is_taken_is_told_by_its_key(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {
            "public_url": "http://127.0.0.1:1",
            "upstream": "none",
            "redis": "memory://",
            "secret_keys": '["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]',
            "tiktok__client_key": "k",
            "tiktok__client_secret": "s",
            "admin__listen": "off",
            "listen": f"127.0.0.1:{free_port()}",
            "forward_auth__listen": f"127.0.0.1:{taken.getsockname()[1]}",
        }
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "run"],
            env=gateway_environ(**settings),
            capture_output=True,
            text=True,
            timeout=30,
            cwd=tmp_path,
        )
    assert done.returncode == 1
    assert "forward_auth.listen: cannot listen on" in done.stderr
