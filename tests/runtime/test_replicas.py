"""Three replicas over one Redis: what is ended on one of them has ended on all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator.webhook import send_webhook
from tests.harness import Browser
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway

WITHIN = 2.0  # seconds from a sign-out to the end of what leaned on it


@contextlib.contextmanager
def run_replicas(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[list[RunningProcess]]:
    """Run three gateways that share a store and their keys; they start at the same time."""
    settings = {"secret_keys": f'["{new_secret_key()}"]', "instance": "replicas", "tiktok__webhook__enabled": "true"}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> RunningProcess:
            folder = tmp_path / name
            folder.mkdir()
            return stack.enter_context(run_gateway(folder, simulator, redis_server, upstream, **settings))

        with ThreadPoolExecutor() as threads:
            running = list(threads.map(start, "abc"))
        yield running


@pytest.fixture(scope="module")
def replicas(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[list[RunningProcess]]:
    with run_replicas(tmp_path_factory.mktemp("replicas"), simulator, redis_server, upstream) as running:
        yield running


def cookie_of(browser: Browser) -> dict[str, str]:
    return {"cookie": f"gateway={browser.client.cookies['gateway']}"}


def open_socket(replica: RunningProcess, cookie: dict[str, str]) -> ClientConnection:
    return connect(
        replica.url.replace("http", "ws") + "/private/socket", additional_headers=cookie, origin=None, proxy=None
    )


def read_all(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=10)


def await_close(socket: ClientConnection) -> tuple[float, int]:
    """Read to the end; returns when that was, and the close code."""
    with pytest.raises(ConnectionClosed) as closed:
        read_all(socket)
    assert closed.value.rcvd is not None
    return time.monotonic(), closed.value.rcvd.code


def sign_out(browser: Browser) -> None:
    assert browser.fetch("/oauth2/sign_out", method="POST").status_code == 204


def sign_out_everywhere(browser: Browser) -> None:
    assert browser.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"}).status_code == 204


def disconnect(browser: Browser) -> None:
    assert browser.fetch("/oauth2/disconnect", method="POST").status_code == 204


def remove_at_tiktok(browser: Browser) -> None:
    """What TikTok sends when the person has disconnected the app there, or was banned."""
    person = browser.fetch("/oauth2/userinfo").json()["open_id"]
    settings = SimulatorSettings()
    answer = send_webhook(
        browser.url + "/oauth2/webhook",
        "authorization.removed",
        person,
        client_key=settings.client_key,
        secret=settings.client_secret,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "leave", [sign_out, sign_out_everywhere, disconnect, remove_at_tiktok], ids=lambda leave: leave.__name__
)
def test_what_is_ended_on_one_replica_has_ended_on_all(
    replicas: list[RunningProcess], leave: Callable[[Browser], None]
) -> None:
    with Browser(replicas[0].url) as browser, contextlib.ExitStack() as stack:
        browser.sign_in("/private/x")
        cookie = cookie_of(browser)
        for replica in replicas:  # all of them remember who it is
            answer = httpx.get(replica.url + "/private/x", headers=cookie, trust_env=False)
            assert answer.status_code == 200
        sockets = [stack.enter_context(open_socket(replica, cookie)) for replica in replicas]
        with ThreadPoolExecutor() as threads:
            ends = [threads.submit(await_close, socket) for socket in sockets]
            time.sleep(0.2)
            left_at = time.monotonic()
            leave(browser)
            answered_at = time.monotonic()
            for replica in replicas:  # a copied cookie, at once
                assert httpx.get(replica.url + "/private/x", headers=cookie, trust_env=False).status_code == 401
            for end in ends:
                ended_at, code = end.result(timeout=15)
                assert code == 4401
                assert ended_at - max(left_at, answered_at) < WITHIN


def test_another_device_stays_signed_in_on_all(replicas: list[RunningProcess]) -> None:
    with Browser(replicas[0].url) as phone, Browser(replicas[1].url) as laptop:
        phone.sign_in("/private/x")
        laptop.sign_in("/private/x")
        with open_socket(replicas[2], cookie_of(laptop)) as socket:
            sign_out(phone)
            time.sleep(1.5)
            first = socket.recv(timeout=5)  # the headers it was opened with
            assert "x-tiktok-open-id" in str(first)
            socket.send("still here")
            assert socket.recv(timeout=5) == "still here"
        for replica in replicas:
            answer = httpx.get(replica.url + "/private/x", headers=cookie_of(laptop), trust_env=False)
            assert answer.status_code == 200
