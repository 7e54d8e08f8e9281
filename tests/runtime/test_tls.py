"""TLS of `gateway run`: from a certificate in two files to a browser's request at the app, and a new one in use."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from gateway.simulator import RunningSimulator
from tests.certificates import Issued, issue
from tests.harness import Browser, headers_of, settings_environ
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, gateway_environ, run_gateway
from tests.waiting import wait_for


def trusting(*issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata="".join(each.pem.decode() for each in issued))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def shake_hands(
    running: RunningProcess, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    address = httpx.URL(running.url)
    assert address.port is not None
    raw = socket.create_connection((address.host, address.port), timeout=10)
    return context.wrap_socket(raw, server_hostname=address.host, session=session)


@pytest.fixture
def issued() -> Issued:
    return issue("127.0.0.1")


@pytest.fixture(params=[(), ("--workers", "2")], ids=["one", "workers"])
def tls_running(
    tmp_path: Path,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    issued: Issued,
    request: pytest.FixtureRequest,
) -> Generator[RunningProcess]:
    certificate, key = map(str, issued.write(tmp_path))
    files = {"tls__certificate": certificate, "tls__key": key}
    with run_gateway(tmp_path, simulator, redis_server, upstream, *request.param, **files) as running:
        yield running


def test_a_person_signs_in_over_tls(tls_running: RunningProcess, issued: Issued) -> None:
    with Browser(tls_running.url) as browser:
        browser.client = httpx.Client(timeout=15, trust_env=False, verify=trusting(issued))
        told = headers_of(browser.sign_in("/private/x"))
        assert told["x-forwarded-proto"] == "https"
        assert "__Host-gateway" in browser.client.cookies
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        address = tls_running.url.replace("https:", "wss:") + "/private/socket"
        with connect(address, additional_headers={"Cookie": cookie}, ssl=trusting(issued), proxy=None) as websocket:
            assert ["x-forwarded-proto", "https"] in json.loads(websocket.recv(timeout=10))
            websocket.send("x" * 300_000)
            assert websocket.recv(timeout=10) == "x" * 300_000
    assert tls_running.stop() == 0
    assert "Traceback" not in tls_running.log.read_text()


def test_a_session_is_resumed_by_any_worker(tls_running: RunningProcess, issued: Issued) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context, session, resumed = trusting(issued), None, 0
        context.minimum_version = context.maximum_version = version
        for _ in range(8):
            with shake_hands(tls_running, context, session) as connection:
                assert connection.selected_alpn_protocol() == "http/1.1"
                connection.sendall(b"GET /oauth2/livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                resumed += bool(connection.session_reused)
                session = connection.session
        assert resumed == 7, version


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_any_worker_after_new_certificates(
    tls_running: RunningProcess, issued: Issued, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    successors = [issue("127.0.0.1"), issue("127.0.0.1")]
    context = trusting(issued, *successors)
    context.minimum_version = context.maximum_version = version
    session, resumed = None, 0
    for successor in (issued, *successors):
        successor.write(tmp_path)
        wait_for(partial(is_served, tls_running, successor), "the certificate is used")
        for _ in range(8):
            with shake_hands(tls_running, context, session) as connection:
                connection.sendall(b"GET /oauth2/livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                resumed += bool(connection.session_reused)
                session = connection.session
    assert resumed == 23


def is_served(running: RunningProcess, issued: Issued) -> bool:
    for _ in range(8):  # by every worker
        shake_hands(running, trusting(issued)).close()
    return True


def test_what_is_older_than_tls_1_2_is_refused(tls_running: RunningProcess, issued: Issued) -> None:
    context = trusting(issued)
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake_hands(tls_running, context)


def test_plain_http_ends_with_one_line_for_debugging(tls_running: RunningProcess) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(tls_running.url.replace("https:", "http:") + "/public/x", trust_env=False)
    assert tls_running.stop() == 0
    lines = [json.loads(line) for line in tls_running.log.read_text().splitlines()]
    failed = [line for line in lines if line["event"] == "tls_handshake_failed"]
    assert [(line["level"], line["reason"]) for line in failed] == [("debug", "HTTP_REQUEST")]
    assert not [line for line in lines if line["level"] in {"warning", "error"}]


def test_a_pair_that_is_none_ends_the_start(tmp_path: Path, simulator: RunningSimulator) -> None:
    certificate, key = issue("127.0.0.1").write(tmp_path)
    key.write_bytes(issue("127.0.0.1").key_pem())
    files = {"tls__certificate": str(certificate), "tls__key": str(key)}
    environ = gateway_environ() | settings_environ(simulator, "https://127.0.0.1", listen="127.0.0.1:0", **files)
    command = [sys.executable, "-m", "gateway", "run"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert f"tls.key: {key} is not that of the certificate" in done.stderr
    assert "Traceback" not in done.stderr


def test_new_files_are_taken_and_bad_ones_refused(tls_running: RunningProcess, issued: Issued, tmp_path: Path) -> None:
    with shake_hands(tls_running, trusting(issued)) as before:
        (tmp_path / "fullchain.pem").write_text("nothing of the kind")
        wait_for(lambda: "reload_refused" in tls_running.log.read_text(), "the bad files are told of")
        shake_hands(tls_running, trusting(issued)).close()
        successor = issue("127.0.0.1")
        successor.write(tmp_path)

        def is_served() -> bool:
            for _ in range(4):  # by every worker
                shake_hands(tls_running, trusting(successor)).close()
            return True

        wait_for(is_served, "the new certificate is used")
        before.sendall(b"GET /oauth2/livez HTTP/1.1\r\nHost: x\r\n\r\n")  # what is open goes on
        assert before.recv(65536).startswith(b"HTTP/1.1 200")
