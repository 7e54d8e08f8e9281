"""Settings that change while the gateway runs, as the processes that serve by them show it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.simulator import RunningSimulator
from tests.harness import Browser, echo, serve_app
from tests.operator import Operator
from tests.redis_server import RedisServer
from tests.runtime.reloading import KEY, PUBLIC, Reloadable
from tests.waiting import wait_for

CLOSED = [{"path": "/**", "access": "deny"}]
BAD = [{"path": "/**", "access": "nonsense"}]


@pytest.fixture(params=["1", "2"], ids=["one", "workers"], scope="module")
def gateway(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
) -> Generator[Reloadable]:
    words = ("--workers", request.param)
    running = Reloadable(tmp_path_factory.mktemp("gateway"), simulator, upstream, redis_server.url, *words)
    with running.run():
        yield running


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> Generator[None]:
    """Every test finds the gateway with the settings that it began with."""
    if "gateway" not in request.fixturenames:
        yield
        return
    gateway: Reloadable = request.getfixturevalue("gateway")
    settings = json.loads(gateway.text())
    yield
    gateway.settings = settings
    gateway.put(gateway.text())
    assert gateway.ask()["applied"]


def rename(gateway: Reloadable, text: str) -> None:
    gateway.put(text)


def write_in_place(gateway: Reloadable, text: str) -> None:
    gateway.file.write_text(text)


def hang_up(gateway: Reloadable, text: str) -> None:
    gateway.put(text)
    gateway.hang_up()


def command(gateway: Reloadable, text: str) -> None:
    gateway.put(text)
    done = gateway.reload()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("reloaded; ")  # nothing, where the file was found to have changed before


@pytest.mark.parametrize("write", [rename, write_in_place, hang_up, command])
def test_a_new_file_comes_into_force_in_all_workers(
    gateway: Reloadable, write: Callable[[Reloadable, str], None]
) -> None:
    assert gateway.status("/public/x") == 200
    write(gateway, gateway.text(routes=CLOSED))
    gateway.wait_for_status("/public/x", 403)
    assert gateway.process.poll() is None
    assert "routes" in {told["changed"] for told in gateway.events("reloaded")}


def test_a_bad_file_changes_nothing_until_a_good_one_comes(gateway: Reloadable) -> None:
    before = gateway.metric('gateway_reloads_total{outcome="refused"}')
    gateway.write(routes=BAD)
    wait_for(lambda: "settings: those of before" in gateway.notes(), "it is refused")
    assert "routes[0].access" in gateway.notes()
    assert gateway.status("/public/x") == 200
    assert gateway.metric('gateway_reloads_total{outcome="refused"}') > before
    done = gateway.reload()
    assert done.returncode == 1
    assert "routes[0].access" in done.stderr
    done = gateway.reload("--json")
    assert (done.returncode, json.loads(done.stdout)["applied"]) == (1, False)
    assert gateway.events("reload_refused")[-1]["advice"]
    gateway.write(routes=CLOSED)
    gateway.wait_for_status("/public/x", 403)
    assert "refused" not in gateway.notes()


def test_nothing_that_the_log_tells_of_a_reload_is_a_value(gateway: Reloadable) -> None:
    secret = "s3cret-that-nobody-may-read-in-a-log"
    gateway.change(forward_auth={"secret": secret})
    gateway.change(forward_auth={"secret": [secret]})
    assert gateway.events("reload_refused")[-1]["reason"]
    assert secret not in gateway.log.read_text()
    assert secret not in gateway.notes()


def test_variables_are_those_of_the_start_and_who_reloads_is_told_so(gateway: Reloadable) -> None:
    keys = gateway.settings["secret_keys"]
    told = gateway.change(secret_keys=["${SET_LATER}", *keys])
    assert not told["applied"]
    assert "SET_LATER, which is not set: a process that runs has the variables of its start; restart" in told["reason"]
    gateway.write(secret_keys=keys, brand={"name": "Ada of ${NOBODY:-Bremen}"})
    gateway.ask()  # in force by now, whoever found that it has changed
    told = gateway.ask()
    assert (told["applied"], told["from_environment"]) == (True, ["brand.name"])
    assert gateway.events("reloaded")[-1]["from_environment"] == "brand.name"
    assert "as at its start, from variables of the environment: brand.name" in gateway.reload().stdout


def test_what_needs_a_restart_is_named_and_all_else_is_in_force(gateway: Reloadable) -> None:
    where = {"listen": "127.0.0.1:2"}
    told = gateway.change(listen="127.0.0.1:1", forward_auth=where, routes=CLOSED, redis="memory://")
    assert told["applied"]
    assert told["needs_restart"] == ["listen", "forward_auth.listen", "redis"]
    assert gateway.events("reloaded")[-1]["changed"] in {"routes", "nothing in the settings themselves"}
    gateway.wait_for_status("/public/x", 403)
    assert gateway.events("restart_needed")[-1]["keys"] == "listen, forward_auth.listen, redis"
    assert "needs a restart, and stays as it was until then: listen" in gateway.reload().stdout


def test_the_overview_tells_when_it_has_started_from_when_the_settings_came_into_force(gateway: Reloadable) -> None:
    def moments() -> dict[str, set[str]]:
        with Operator(gateway.admin) as operator:
            operator.sign_in(KEY)
            pages = [operator.open().text for _ in range(12)]  # of whichever worker answers
        found = [re.findall(r'<dt>([^<]+)</dt><dd class="large">\s*<time datetime="([^"]+)"', text) for text in pages]
        return {name: {moment for each in found for title, moment in each if title == name} for name, _ in found[0]}

    before = moments()
    assert gateway.change(routes=CLOSED)["applied"]
    after = moments()
    assert before.keys() == {"Started", "Settings in force since"}
    assert not after["Settings in force since"] & before["Settings in force since"]
    assert max(after["Started"]) < min(after["Settings in force since"])


def test_a_file_that_the_settings_name_is_looked_after(gateway: Reloadable) -> None:
    mounted = gateway.folder / "mounted"
    for name, access in (("1", "public"), ("2", "deny")):
        (mounted / name).mkdir(parents=True, exist_ok=True)
        (mounted / name / "access").write_text(f"{access}\n")
    link(mounted, "1")
    (mounted / "access").symlink_to("..data/access")
    reference = "${file:%s}" % (mounted / "access")
    assert gateway.change(routes=[{"path": "/**", "access": reference}])["applied"]
    assert gateway.status("/public/x") == 200
    link(mounted, "2")
    gateway.wait_for_status("/public/x", 403)


def link(mounted: Path, name: str) -> None:
    """Have `..data` lead elsewhere, as Kubernetes does it."""
    (mounted / "..new").symlink_to(name)
    (mounted / "..new").rename(mounted / "..data")


def test_after_many_writes_the_last_is_in_force(gateway: Reloadable) -> None:
    for number in range(20):
        gateway.write(routes=BAD if number % 2 else CLOSED)
    gateway.write(routes=[{"path": "/last", "access": "public"}])
    gateway.wait_for_status("/last", 200)


def test_a_connection_that_is_kept_goes_by_the_new_settings_at_once(gateway: Reloadable) -> None:
    request = b"GET /public/x HTTP/1.1\r\nHost: x\r\nX-Mark: 1\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    with raw_connection(gateway) as connection:
        for _ in range(3):  # from memory, in the end
            assert "x-mark" in seen(connection, request)
        gateway.change(drop_headers=["X-Mark"], trusted_proxies=["127.0.0.1"])
        told = seen(connection, request)
        assert "x-mark" not in told
        assert told["x-forwarded-for"].startswith("192.0.2.7")
        gateway.change(limits={"header_bytes": "8KiB"})
        connection.sendall(b"GET /public/x HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 30_000 + b"\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 431 ")


def raw_connection(gateway: Reloadable) -> socket.socket:
    address = httpx.URL(gateway.url)
    return socket.create_connection((address.host, address.port or 0), timeout=20)


def seen(connection: socket.socket, request: bytes) -> dict[str, str]:
    """Return the fields that the app was sent."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65536)
    return dict(json.loads(body)["headers"])


def test_a_connection_whose_request_outlives_the_settings_goes_by_the_new_ones_after_it(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer
) -> None:
    held, go_on = threading.Event(), threading.Event()
    go_on.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held.set()
        await asyncio.to_thread(go_on.wait, 20)
        await echo(scope, receive, send)

    request = b"GET /public/x HTTP/1.1\r\nHost: x\r\nX-Mark: 1\r\n\r\n"
    with serve_app(app) as upstream:
        gateway = Reloadable(tmp_path, simulator, upstream, redis_server.url)
        with gateway.run(), raw_connection(gateway) as connection:
            for _ in range(3):  # from memory, in the end
                assert "x-mark" in seen(connection, request)
            held.clear()
            go_on.clear()
            connection.sendall(request)
            assert held.wait(20)
            assert gateway.change(drop_headers=["X-Mark"])["applied"]
            go_on.set()
            assert "x-mark" in seen(connection, b"")  # as it began
            assert "x-mark" not in seen(connection, request)


def test_the_log_follows(gateway: Reloadable) -> None:
    gateway.change(log={"level": "warning"})
    count = len(gateway.events("request"))
    for _ in range(12):
        assert gateway.status("/public/x") == 200
    gateway.change(log={"level": "info"})
    assert len(gateway.events("request")) == count
    assert gateway.status("/public/x") == 200
    wait_for(lambda: len(gateway.events("request")) == count + 1, "it is told")


@contextlib.contextmanager
def open_sockets(
    gateway: Reloadable, path: str, cookie: str = "", *, number: int = 1
) -> Generator[list[ClientConnection]]:
    """Open so many WebSockets; with several workers, some of them on each."""
    target, fields = gateway.url.replace("http", "ws") + path, {"Cookie": cookie} if cookie else {}
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(connect(target, additional_headers=fields, origin=None, proxy=None))
            for _ in range(number)
        ]
        for each in sockets:
            each.recv(timeout=20)  # its headers
        yield sockets


def end_of(socket: ClientConnection) -> int:
    """Read to the end; returns the code it was closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def cookie_of(browser: Browser) -> str:
    return f"gateway={browser.client.cookies['gateway']}"


def is_open(socket: ClientConnection) -> bool:
    socket.send("there?")
    return socket.recv(timeout=20) == "there?"


def test_who_is_no_longer_on_the_list_loses_their_websocket_and_others_do_not(gateway: Reloadable) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/private/x")
        gateway.change(routes=[*PUBLIC[:1], {"path": "/**", "allow": {"open_ids": [who(browser)]}}])
        with (
            open_sockets(gateway, "/private/s", cookie_of(browser), number=4) as sockets,
            open_sockets(gateway, "/public/s") as others,
        ):
            gateway.change(routes=[*PUBLIC[:1], {"path": "/**", "allow": {"open_ids": ["-nobody"]}}])
            assert [end_of(each) for each in sockets] == [4403] * 4
            assert all(map(is_open, others))


def who(browser: Browser) -> str:
    fields = dict(browser.fetch("/private/x").json()["headers"])
    return str(fields["x-tiktok-open-id"])


def test_what_is_open_goes_on_and_a_later_sign_out_still_ends_it(gateway: Reloadable) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/private/x")
        with open_sockets(gateway, "/private/s", cookie_of(browser), number=4) as sockets:
            for number in range(3):
                assert gateway.change(session={"idle_timeout": f"{number + 1}h"})["applied"]
                assert all(map(is_open, sockets))
            browser.fetch("/oauth2/sign_out", method="POST")
            assert [end_of(each) for each in sockets] == [4401] * 4


def test_nobody_keeps_open_what_is_no_longer_public(gateway: Reloadable) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/private/x")
        with (
            open_sockets(gateway, "/public/s", cookie_of(browser)) as signed_in,
            open_sockets(gateway, "/public/s") as nobodys,
        ):
            gateway.change(routes=[{"path": "/**"}])
            assert end_of(nobodys[0]) == 4403
            assert is_open(signed_in[0])


def test_what_was_in_force_before_closes_and_the_change_feed_is_that_of_now(gateway: Reloadable) -> None:
    closed = len(gateway.events("former_generation_closed"))
    workers = int(gateway.words[1])
    for number in range(3):
        gateway.change(session={"idle_timeout": f"{number + 1}h"})
    wait_for(lambda: len(gateway.events("former_generation_closed")) >= closed + 3 * workers, "they have closed")
    wait_for(lambda: gateway.events("former_generation_closed")[-1]["still_open"] == 0, "none is left")
    wait_for(lambda: gateway.metric("gateway_change_feed_up") == 1.0, "changes are followed")


def test_a_reload_counts_once_however_many_workers(gateway: Reloadable) -> None:
    count, since = 'gateway_reloads_total{outcome="applied"}', "gateway_settings_in_force_since_timestamp_seconds"
    before, then = gateway.metric(count), gateway.metric(since)
    told = len(gateway.events("reloaded"))
    gateway.change(routes=CLOSED)
    assert gateway.metric(count) - before == len(gateway.events("reloaded")) - told > 0
    assert gateway.metric(since) > then


@pytest.mark.parametrize("gateway", ["2"], ids=["workers"], indirect=True, scope="module")
def test_a_worker_that_is_replaced_begins_with_what_is_in_force(gateway: Reloadable) -> None:
    assert gateway.change(routes=CLOSED)["applied"]
    gateway.change(routes=BAD)
    started = len(gateway.events("started"))
    pid = gateway.process.pid
    os.kill(int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]), 9)
    wait_for(lambda: len(gateway.events("started")) == started + 1, "it is replaced")
    gateway.wait_for_status("/public/x", 403)


def test_the_embedded_store_keeps_its_sessions(tmp_path: Path, simulator: RunningSimulator, upstream: str) -> None:
    gateway = Reloadable(tmp_path, simulator, upstream, "memory://")
    with gateway.run(), Browser(gateway.url) as browser:
        browser.sign_in("/private/x")
        with (
            open_sockets(gateway, "/private/s", cookie_of(browser)) as sockets,
            open_sockets(gateway, "/public/s") as nobodys,
        ):
            for number in range(3):
                assert gateway.change(session={"idle_timeout": f"{number + 1}h"})["applied"]
            gateway.change(routes=PUBLIC[1:])
            assert end_of(nobodys[0]) == 4403  # though no change is ever told from elsewhere
            assert browser.fetch("/private/x").status_code == 200
            browser.fetch("/oauth2/sign_out", method="POST")
            assert end_of(sockets[0]) == 4401
        assert gateway.stop() == 0
