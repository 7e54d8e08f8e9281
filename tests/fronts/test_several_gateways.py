"""Several gateways over one Redis: nobody has to come back to the same one, and one may end while others serve."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.fronts.starting import CONFIG, replaced
from tests.haproxy import run_haproxy
from tests.harness import SAME_ORIGIN, Browser
from tests.nginx import SHIPPED, run_nginx
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway

PATIENCE = 20.0  # seconds
ASKING = 4
"""People who ask all the time."""


class Fleet:
    """Gateways with the same settings: HAProxy is before `a` and `b`, and nginx asks `b` and `c`."""

    def __init__(self, gateways: list[RunningProcess], haproxy: str, nginx: str, log: Path) -> None:
        self.a, self.b, self.c = gateways
        self.haproxy, self.nginx = haproxy, nginx
        self.log = log  # HAProxy's

    def count_served(self) -> tuple[int, int]:
        """Return how many requests HAProxy has had from `a` and from `b`."""
        told = self.log.read_text()
        return told.count(" gateways/a\n"), told.count(" gateways/b\n")


MakeFleet = Callable[[], contextlib.AbstractContextManager[Fleet]]


@pytest.fixture(scope="module")
def make_fleet(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> MakeFleet:
    return lambda: run_fleet(tmp_path_factory, simulator, redis_server, upstream)


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> Generator[Fleet]:
    """Gateways for several tests: none of them is to be stopped."""
    with make_fleet() as fleet:
        yield fleet


@pytest.fixture
def mortal(make_fleet: MakeFleet) -> Generator[Fleet]:
    """Gateways for one test, which may stop them."""
    with make_fleet() as fleet:
        yield fleet


@contextlib.contextmanager
def run_fleet(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[Fleet]:
    haproxy, nginx = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    checks = [f"127.0.0.1:{free_port()}" for _ in "abc"]
    same = {
        "public_url": f"http://{haproxy}",
        "secret_keys": f'["{new_secret_key()}"]',
        "trusted_proxies": '["127.0.0.1"]',
    }
    with contextlib.ExitStack() as stack:
        gateways = []
        for listen in checks:
            folder = tmp_path_factory.mktemp("gateway")
            own = {**same, "forward_auth__listen": listen}
            gateways.append(stack.enter_context(run_gateway(folder, simulator, redis_server, upstream, **own)))
        log = stack.enter_context(run_haproxy_before(haproxy, gateways[:2]))
        stack.enter_context(run_nginx_asking(nginx, gateways[1:], checks[1:], upstream))
        yield Fleet(gateways, f"http://{haproxy}", f"http://{nginx}", log)


def run_haproxy_before(front: str, gateways: list[RunningProcess]) -> contextlib.AbstractContextManager[Path]:
    """Run HAProxy with the file that users copy; yields its log."""
    text = (CONFIG / "haproxy" / "several-gateways.cfg").read_text()
    for old, gateway in zip(("192.0.2.11:8080", "192.0.2.12:8080"), gateways, strict=True):
        assert text.count(old) == 2
        text = text.replace(old, bare(gateway.url))
    text = replaced(text, [("bind *:80 ", f"bind {front} "), ("inter 1s", "inter 200ms")])
    return run_haproxy(text, f"http://{front}/oauth2/livez")


def run_nginx_asking(
    front: str, gateways: list[RunningProcess], checks: list[str], upstream: str
) -> contextlib.AbstractContextManager[Path]:
    """Run nginx with the file that users copy, and a second server for whatever it asks of a gateway."""
    at = [
        ("server 127.0.0.1:8080;", "".join(f"server {bare(each.url)};" for each in gateways)),
        ("server 127.0.0.1:8081;", "".join(f"server {each};" for each in checks)),
        ("server 127.0.0.1:3000;", f"server {bare(upstream)};"),
        ("listen 80;", f"listen {front};"),
        ("server_name app.example.com;", "server_name 127.0.0.1;"),
        ("/var/log/nginx/", "@{folder}/"),
    ]
    return run_nginx(replaced(SHIPPED.read_text(), at), f"http://{front}/oauth2/livez")


def bare(url: str) -> str:
    return url.removeprefix("http://")


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.02)):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come true")


class Asking:
    """People who are signed in and ask without a pause, each on a kept connection, until the block ends."""

    def __init__(self, url: str, cookie: str, method: str = "GET") -> None:
        self.wrong: list[str] = []
        self._url, self._cookie, self._method = url, cookie, method
        self._ends = threading.Event()
        self._counts = [0] * ASKING
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(ASKING)]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for(self, more: int) -> None:
        """Wait until so many more answers have come to each."""
        wanted = [count + more for count in self._counts]
        wait_until(lambda: all(count >= want for count, want in zip(self._counts, wanted, strict=True)))

    def _ask(self, number: int) -> None:
        with httpx.Client(trust_env=False, timeout=PATIENCE, headers={"cookie": self._cookie, **SAME_ORIGIN}) as client:
            while not self._ends.is_set():
                try:
                    status = str(client.request(self._method, self._url + "/private/x").status_code)
                except httpx.TransportError as error:
                    status = repr(error)
                if status != "200":
                    self.wrong.append(status)
                self._counts[number] += 1


def sign_in(browser: Browser) -> str:
    """Sign somebody in; returns the cookie."""
    assert browser.sign_in("/private/x").status_code == 200
    return f"gateway={browser.client.cookies['gateway']}"


@contextlib.contextmanager
def open_socket(url: str, cookie: str) -> Generator[ClientConnection]:
    target = url.replace("http", "ws") + "/private/s"
    with connect(target, additional_headers={"Cookie": cookie}, origin=None, proxy=None) as socket:
        socket.recv(timeout=PATIENCE)  # the headers it was opened with
        yield socket


def echoes(socket: ClientConnection) -> bool:
    """Whether it is open, and what is behind it answers."""
    try:
        socket.send("here")
        return socket.recv(timeout=PATIENCE) == "here"
    except ConnectionClosed:
        return False


def close_code(socket: ClientConnection) -> int:
    """Read to the end; returns the code it was closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_one_goes_on_with_what_another_has_begun_and_ends_it(fleet: Fleet) -> None:
    with Browser(fleet.haproxy) as browser:
        before = fleet.count_served()
        cookie = sign_in(browser)
        wait_until(lambda: sum(fleet.count_served()) == sum(before) + 3)
        assert all(now > then for now, then in zip(fleet.count_served(), before, strict=True))
        with open_socket(fleet.haproxy, cookie) as first, open_socket(fleet.haproxy, cookie) as second:
            assert browser.fetch("/oauth2/sign_out", method="POST").status_code == 204
            assert {close_code(first), close_code(second)} == {4401}
    for gateway in (fleet.a, fleet.b, fleet.c):
        assert httpx.get(gateway.url + "/private/x", headers={"cookie": cookie}, trust_env=False).status_code == 401


def test_without_redis_none_is_ready_and_all_are_asked(fleet: Fleet) -> None:
    with Browser(fleet.haproxy) as browser:
        fleet.a.redis.pause()
        try:
            wait_until(lambda: " gateways has no server available" in fleet.log.read_text())
            assert browser.fetch("/public/x").status_code == 200
            begun = browser.navigate("/private/x")  # which cannot be remembered
            assert (begun.status_code, begun.headers["retry-after"]) == (503, "5")
        finally:
            fleet.a.redis.resume()
        wait_until(lambda: all(f"/{name} is UP" in fleet.log.read_text() for name in "ab"))
        sign_in(browser)


def test_of_two_that_nginx_asks_one_may_be_killed(mortal: Fleet) -> None:
    with Browser(mortal.haproxy) as browser:
        cookie = sign_in(browser)
        with Asking(mortal.nginx, cookie) as asking:
            asking.wait_for(20)
            assert min(count_checks(gateway) for gateway in (mortal.b, mortal.c)) > 10
            mortal.c.process.kill()
            mortal.c.process.wait()
            asking.wait_for(50)
        assert asking.wrong == []
        assert browser.fetch(mortal.nginx + "/oauth2/sign_out", method="POST").status_code == 204
    with Browser(mortal.nginx) as browser:
        assert browser.fetch("/private/x", headers={"cookie": cookie}).status_code == 401


def count_checks(gateway: RunningProcess) -> int:
    return gateway.log.read_text().count('"path":"/private/x","status":202')


def test_one_that_is_stopped_loses_no_request(mortal: Fleet) -> None:
    with Browser(mortal.haproxy) as browser:
        cookie = sign_in(browser)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(mortal.haproxy, cookie)) for _ in range(2)]
        asking = stack.enter_context(Asking(mortal.haproxy, cookie))
        before = mortal.count_served()
        asking.wait_for(20)
        assert all(now > then for now, then in zip(mortal.count_served(), before, strict=True))
        assert mortal.a.stop() == 0
        asking.wait_for(20)
        ended = [socket for socket in sockets if not echoes(socket)]
        assert [close_code(socket) for socket in ended] == [1001]  # it is told to come again, and finds the other
        assert echoes(stack.enter_context(open_socket(mortal.haproxy, cookie)))
    assert asking.wrong == []
