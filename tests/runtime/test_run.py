"""`gateway run`: from start to a drained end, and what it leaves in Redis and in its log."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.harness import Browser, headers_of, serve_app
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, gateway_environ, run_gateway
from tests.waiting import wait_for


def test_a_dump_of_redis_opens_nothing_and_every_key_ends(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        begun = browser.navigate("/private/secret-place")
        browser.navigate(browser.consent(browser.navigate("/").headers["location"], person="emoji"))
        told = headers_of(browser.fetch("/private/x"))
        cookies = [cookie.value or "" for cookie in browser.client.cookies.jar]
    state = begun.headers["location"].partition("state=")[2].partition("&")[0]
    person = running.simulator.people["emoji"]
    secrets = [
        *cookies,
        state,
        told["x-tiktok-access-token"],
        person.open_id,
        person.union_id or "",
        person.username,
        person.display_name,
        unquote(told["x-tiktok-display-name"]),
        "李小龙",
        "secret-place",
        "act.",
        "rft.",
        running.simulator.settings.client_secret,
    ]
    keys = [line for line in running.redis.command("KEYS", "*").split("\r\n") if line.startswith("gateway:")]
    assert {key.split(":")[1] for key in keys} >= {"session", "grant", "attempt", "sessions-of", "finished"}
    dump = ""
    for key in keys:
        ttl = int(running.redis.command("TTL", key).split("\r\n")[0][1:])
        assert 0 < ttl <= 31 * 86400, key
        kind = running.redis.command("TYPE", key)
        words = ("ZRANGE", key, "0", "-1") if "zset" in kind else ("GET", key)
        dump += key + running.redis.command(*words)
    raw = dump.encode("latin-1")
    for secret in secrets:
        assert secret.encode() not in raw


def test_the_log_tells_each_request_and_no_secret(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        begun = browser.navigate("/private/x?password=hunter2")
        callback = browser.consent(begun.headers["location"])
        browser.navigate(callback)
        told = headers_of(browser.fetch("/private/x?token=hunter2"))
        browser.fetch("/oauth2/refresh", method="POST")
        browser.navigate(callback + "&error=hunter2")
        cookies = [cookie.value or "" for cookie in browser.client.cookies.jar]
    assert running.stop() == 0
    text = running.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {"request_id", "method", "path", "status", "decision", "route", "duration_ms", "client"} <= set(requests[0])
    assert any(line["path"] == "/private/x" and line["status"] == 200 and line["session"] for line in requests)
    state = begun.headers["location"].partition("state=")[2].partition("&")[0]
    code = unquote(callback.partition("code=")[2].partition("&")[0])
    settings = running.simulator.settings
    for secret in (*cookies, state, code, told["x-tiktok-access-token"], settings.client_secret, "hunter2", "rft."):
        assert secret not in text


def test_the_admin_listener(running: RunningProcess) -> None:
    httpx.get(running.url + "/public/x", trust_env=False)
    assert httpx.get(running.admin + "/livez", trust_env=False).text == "ok\n"
    assert httpx.get(running.admin + "/readyz", trust_env=False).status_code == 200
    metrics = httpx.get(running.admin + "/metrics", trust_env=False).text
    assert 'gateway_requests_total{decision="allow",status="2xx"} 1.0' in metrics
    assert httpx.get(running.admin + "/", trust_env=False).headers["location"] == "/admin"
    assert httpx.get(running.admin + "/nothing", trust_env=False).status_code == 404
    # and none of it on the public one
    assert httpx.get(running.url + "/metrics", trust_env=False).status_code == 401
    assert httpx.get(running.url + "/oauth2/metrics", trust_env=False).status_code == 404


def until_refused(browser: Browser) -> httpx.Response:
    for _ in range(100):
        answer = browser.fetch("/private/x")
        if answer.status_code != 200:
            break
        time.sleep(0.1)
    return answer


def test_a_redis_that_goes_away_signs_nobody_out(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        browser.sign_in("/private/x")
        running.redis.pause()
        try:
            answer = until_refused(browser)  # what is remembered is answered for a moment longer
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "set-cookie" not in answer.headers
            page = browser.navigate("/private/x")
            assert page.status_code == 503
            assert "still signed in" in page.text
            assert browser.fetch("/public/x").status_code == 200
            assert httpx.get(running.admin + "/readyz", trust_env=False).status_code == 503
        finally:
            running.redis.resume()
        assert browser.fetch("/private/x").status_code == 200


def test_a_tiktok_that_goes_away_is_told_and_signs_nobody_out(running: RunningProcess) -> None:
    troubles = running.simulator.troubles
    with Browser(running.url) as browser, Browser(running.url) as newcomer:
        browser.sign_in("/private/x")
        callback = newcomer.consent(newcomer.navigate("/private/x").headers["location"])
        troubles.html = True
        try:
            assert browser.fetch("/private/x").status_code == 200
            page = newcomer.navigate(callback)
            assert page.status_code == 503
            assert "TikTok is not answering" in page.text
        finally:
            troubles.reset()


def test_a_token_is_never_forwarded_after_its_end(running: RunningProcess) -> None:
    troubles = running.simulator.troubles
    troubles.access_lifetime = 2
    try:
        with Browser(running.url) as browser:
            first = headers_of(browser.sign_in("/private/x"))["x-tiktok-access-token"]
            time.sleep(2.1)
            assert headers_of(browser.fetch("/private/x"))["x-tiktok-access-token"] != first
            troubles.html = True
            time.sleep(2.1)
            assert browser.fetch("/private/x").status_code == 503
            troubles.html = False
            time.sleep(5.1)  # the failure is remembered for five seconds
            assert browser.fetch("/private/x").status_code == 200
    finally:
        troubles.reset()


def test_a_refused_websocket_is_one_line_and_no_alarm(running: RunningProcess) -> None:
    with pytest.raises(InvalidStatus):
        connect(running.url.replace("http:", "ws:") + "/private/socket", proxy=None)
    assert running.stop() == 0
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert [line["status"] for line in lines if line["event"] == "request" and line["path"] == "/private/socket"] == [
        401
    ]
    assert not [line for line in lines if line["level"] == "error"]


def test_sigterm_drains(running: RunningProcess) -> None:
    with Browser(running.url) as browser:
        browser.sign_in("/private/x")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        url = running.url.replace("http:", "ws:") + "/private/socket"
        with connect(url, additional_headers={"Cookie": cookie}, proxy=None) as websocket:
            websocket.recv(timeout=10)
            ended: list[int] = []
            thread = threading.Thread(target=lambda: ended.append(running.stop()))
            thread.start()
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=10)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        thread.join(timeout=30)
    assert ended == [0]
    assert "Traceback" not in running.log.read_text()


def test_sigterm_lets_a_request_finish(tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer) -> None:
    arrived, release = threading.Event(), threading.Event()

    async def slow(scope: dict[str, object], receive: object, send: object) -> None:
        import anyio

        assert isinstance(scope, dict)
        assert callable(send)
        if scope["type"] != "http":
            return
        arrived.set()
        await anyio.to_thread.run_sync(release.wait, 20)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    with serve_app(slow) as upstream, run_gateway(tmp_path, simulator, redis_server, upstream) as running:
        answers: list[str] = []
        thread = threading.Thread(
            target=lambda: answers.append(httpx.get(running.url + "/public/x", trust_env=False, timeout=30).text)
        )
        thread.start()
        assert arrived.wait(10)
        ended: list[int] = []
        stopping = threading.Thread(target=lambda: ended.append(running.stop()))
        stopping.start()
        wait_for(lambda: '"stopping"' in running.log.read_text(), "it has heard that it is to end")
        release.set()
        thread.join(timeout=20)
        stopping.join(timeout=30)
    assert answers == ["done"]
    assert ended == [0]


def test_an_upstream_that_is_away_is_a_502(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with run_gateway(tmp_path, simulator, redis_server, nobody) as running, Browser(running.url) as browser:
        page = browser.navigate("/public/x")
        assert page.status_code == 502
        assert "<h1>The app is not answering</h1>" in page.text
        assert browser.fetch("/public/x").json()["code"] == "upstream_unreachable"


def run_to_its_end(tmp_path: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        env=gateway_environ(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


MINIMAL = {
    "public_url": "http://127.0.0.1:1",
    "upstream": "http://127.0.0.1:1",
    "secret_keys": f'["{new_secret_key()}"]',
    "tiktok__client_key": "k",
    "tiktok__client_secret": "s",
    "admin__listen": "off",
}


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_to_its_end(tmp_path, "run", **MINIMAL, redis="memory://", listen=address)
    assert done.returncode == 1
    assert address in done.stderr
    assert "Address already in use" in done.stderr
    assert "another with `listen`" in done.stderr


def test_bad_settings_are_told(tmp_path: Path) -> None:
    done = run_to_its_end(tmp_path, "run", **MINIMAL | {"public_url": "nonsense"}, redis="memory://")
    assert done.returncode == 1
    assert "GATEWAY__PUBLIC_URL: public_url: is no address" in done.stderr


def test_a_wrong_client_secret_is_told_to_visitor_and_operator(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    changes = {"tiktok__client_secret": "wrong"}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **changes) as running:
        with Browser(running.url) as browser:
            page = browser.navigate(browser.consent(browser.navigate("/private/x").headers["location"]))
        assert page.status_code == 500
        assert "not set up correctly" in page.text
        assert running.stop() == 0
        lines = running.log.read_text().splitlines()
        line = next(line for line in lines if "provider_misconfigured" in line and "reason" in line)
    told = json.loads(line)
    assert "compare `tiktok.client_key` and `tiktok.client_secret`" in told["reason"]
    assert told["level"] in {"warning", "error"}
    assert "Traceback" not in line


def test_sigterm_serves_on_for_a_while_where_that_is_asked_for(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    """Not ready, so that load balancers notice before connections are refused."""
    with (
        run_gateway(tmp_path, simulator, redis_server, upstream, drain__delay="1m") as running,
        connect(running.url.replace("http:", "ws:") + "/public/socket", proxy=None) as websocket,
    ):
        websocket.recv(timeout=10)
        running.process.send_signal(signal.SIGTERM)
        for listener in (running.url + "/oauth2", running.admin):
            while httpx.get(listener + "/readyz", trust_env=False).status_code != 503:
                time.sleep(0.02)
        assert httpx.get(running.url + "/public/x", trust_env=False).status_code == 200  # by a new connection
        websocket.send("still here")
        assert websocket.recv(timeout=10) == "still here"
        assert running.stop() == 0  # told twice, it ends at once
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)


def test_sigterm_ends_after_the_delay_by_itself(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    changes = {"drain__delay": "300ms", "drain__timeout": "1s"}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **changes) as running:
        assert running.stop() == 0
        told = [json.loads(line)["event"] for line in running.log.read_text().splitlines()]
        assert [event for event in told if event != "request"][-3:] == ["not_ready", "stopping", "stopped"]
