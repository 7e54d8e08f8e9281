"""HAProxy by a Lua script of ours, with the files that users copy."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Iterable
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import Front, Places, serve_front
from tests.haproxy import SCRIPT, begin_haproxy, read_shipped, run_haproxy
from tests.harness import Browser
from tests.ports import free_port
from tests.recorder import Recorder, record
from tests.talk import Answer, ask, compose
from tests.threats.test_identity_headers import HANDSHAKE


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_haproxy, simulator, **SETTINGS) as front:
        yield front


class TestHAProxy(Scenarios):
    """Before 3.2 it cannot drop trailers, and takes nothing that can have some."""

    refuses_upgrades = frozenset({"websocket, h2c"})  # WebSocket, without a key

    @pytest.mark.parametrize("chunked", [False])
    def test_an_upload_is_streamed(self, front: Front, person: Browser, chunked: bool) -> None:
        super().test_an_upload_is_streamed(front, person, chunked)

    def test_no_trailer_says_who_it_is(self, front: Front, person: Browser) -> None:
        chunked = f"Host: {front.host}\r\nTransfer-Encoding: chunked\r\n".encode()
        answer = ask(front.running.address, compose(b"/public/x", chunked, method=b"POST", body=b"0\r\n\r\n"))
        assert answer is not None
        assert answer.status == 411
        with httpx.Client(http1=False, http2=True, trust_env=False) as modern:
            assert modern.get(front.url + "/public/x").status_code == 505
        assert front.app.take() == []


class Alone:
    """HAProxy with the files that users copy, between recorders: in place of the gateway, and of the app."""

    def __init__(self, places: Places, checks: Recorder, app: Recorder, log: Path) -> None:
        host, _, port = places.front.rpartition(":")
        self.host, self.address = places.front, (host, int(port))
        self.checks, self.app, self.log = checks, app, log

    def ask(self, target: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
        fields = "".join(f"{line}\r\n" for line in (f"Host: {self.host}", *lines))
        answer = ask(self.address, compose(target.encode(), fields.encode(), method=method.encode(), body=body))
        assert answer is not None
        return answer

    def reset(self) -> None:
        for each in (self.checks, self.app):
            each.reset()


@contextlib.contextmanager
def run_alone(changes: Iterable[tuple[str, str]] = (), *, checks: str = "") -> Generator[Alone]:
    """Run it; `checks` is an address for them in place of the recorder's."""
    with record() as gateway, record() as app:
        bare = [each.url.removeprefix("http://") for each in (gateway, app)]
        places = Places(f"127.0.0.1:{free_port()}", bare[0], checks or bare[0], bare[1])
        with run_haproxy(read_shipped(places, changes), f"http://{places.front}/oauth2/livez") as log:
            alone = Alone(places, gateway, app, log)
            alone.reset()
            yield alone


@pytest.fixture(scope="module")
def shared() -> Generator[Alone]:
    with run_alone() as alone:
        yield alone


@pytest.fixture
def alone(shared: Alone) -> Alone:
    shared.reset()
    return shared


def say(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_a_check_says_what_is_asked_and_nothing_of_the_connection_or_the_body(alone: Alone) -> None:
    kept = [
        *("Cookie: a=1", "Cookie: b=2", "Accept: text/html", "Accept-Language: de", "Origin: https://a.example"),
        *("Sec-Fetch-Mode: cors", "X-Requested-With: x", "HX-Request: true", "Content-Type: text/plain"),
        *("Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x", "User-Agent: me"),
    ]
    dropped = ["X-App: 1", "X-Forwarded-Uri: /public", "X-Original-URL: /", "Expect: 100-continue", "Range: bytes=0-1"]
    alone.ask("/a/%2e?x=%2F", *kept, *dropped, "Content-Length: 5", method="PURGE", body=b"hello")
    (check,) = alone.checks.take()
    assert (check.method, check.target, check.body) == (b"GET", b"/oauth2/ext_authz", b"")
    told = sorted(f"{name.decode()}: {value.decode()}" for name, value in check.fields if name != b"x-request-id")
    ours = [
        *(f"host: {alone.host}", f"x-forwarded-host: {alone.host}", "x-forwarded-for: 127.0.0.1"),
        *("x-forwarded-proto: http", "x-forwarded-uri: /a/%2e?x=%2F", "x-forwarded-method: PURGE"),
    ]
    lowered = [name.lower() + ": " + value for name, value in (line.split(": ") for line in kept)]
    assert told == sorted([*ours, *lowered])
    assert check.every(b"cookie") == [b"a=1", b"b=2"]
    (seen,) = alone.app.take()
    assert (seen.method, seen.target, seen.body) == (b"PURGE", b"/a/%2e?x=%2F", b"hello")
    assert not [name for name, _ in seen.fields if name in {b"x-forwarded-uri", b"x-forwarded-method"}]
    assert seen.every(b"x-request-id") == check.every(b"x-request-id")


def test_a_check_of_a_websocket_asks_for_none(alone: Alone) -> None:
    alone.checks.respond = lambda _: say("HTTP/1.1 403 Forbidden")
    assert ask(alone.address, compose(b"/x", HANDSHAKE)) is not None
    (check,) = alone.checks.take()
    assert check.every(b"sec-websocket-key")
    assert not check.every(b"upgrade") + check.every(b"connection")


def test_only_a_websocket_is_an_upgrade(alone: Alone) -> None:
    alone.ask("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")
    (seen,) = alone.app.take()
    assert not [name for name, _ in seen.fields if name in {b"upgrade", b"connection", b"http2-settings"}]


def test_a_no_arrives_whole(alone: Alone) -> None:
    body = b"<p>no" * 8000  # 40 kB
    no = "HTTP/1.1 451 For Reasons\nSet-Cookie: a=1\nSet-Cookie: b=2\nContent-Type: text/x\nLocation: /y"
    alone.checks.respond = lambda _: say(no, body)
    answer = alone.ask("/x", "Content-Length: 5", method="POST", body=b"hello")
    assert (answer.status, answer.body) == (451, body)
    assert sorted(answer.fields) == [
        *((b"content-length", b"40000"), (b"content-type", b"text/x"), (b"location", b"/y")),
        *((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
    ]
    head = alone.ask("/x", method="HEAD")
    assert (head.status, head.body) == (451, b"")
    assert alone.app.take() == []


def test_a_yes_is_told_to_the_app_alone(alone: Alone) -> None:
    yes = "HTTP/1.1 200 OK\nX-TikTok-Open-Id: me\nMy-Own: one\nMy-Own: two\nCookie: a=1\nSet-Cookie: s=1\nVary: x"
    alone.checks.respond = lambda _: say(yes)
    answer = alone.ask("/x", "my-own: LIE", "Cookie: a=1; gateway=x", "x-tiktok-open-id: LIE")
    (seen,) = alone.app.take()
    assert (seen.every(b"x-tiktok-open-id"), seen.every(b"cookie")) == ([b"me"], [b"a=1"])
    assert seen.every(b"my-own") == [b"one", b"two"]
    assert not seen.every(b"set-cookie") + seen.every(b"vary")
    assert answer.fields == ((b"content-length", b"2"),)


@pytest.mark.parametrize("status", [201, 202, 204, 206, 304, 500])
def test_nothing_but_200_is_a_yes(alone: Alone, status: int) -> None:
    alone.checks.respond = lambda _: say(f"HTTP/1.1 {status} X\nX-TikTok-Open-Id: me")
    assert alone.ask("/x").status == status
    assert alone.app.take() == []


def test_large_heads_pass(alone: Alone) -> None:
    cookie = "c=" + "x" * 14_000
    alone.checks.respond = lambda check: say("HTTP/1.1 200 OK\nCookie: " + check.every(b"cookie")[0].decode())
    target = "/x?q=" + "a" * 14_000
    assert alone.ask(target, "Cookie: " + cookie).status == 200
    (seen,) = alone.app.take()
    assert seen.target.decode() == target
    assert seen.every(b"cookie") == [cookie.encode()]


def test_no_other_form_of_a_target_is_judged_and_then_passed_otherwise(alone: Alone) -> None:
    alone.ask(f"http://{alone.host}/a?x")
    (check,), (seen,) = alone.checks.take(), alone.app.take()
    assert check.every(b"x-forwarded-uri") == [seen.target] == [b"/a?x"]
    for method, target in (("OPTIONS", "*"), ("GET", "*"), ("CONNECT", alone.host)):
        assert alone.ask(target, method=method).status == 400
    assert alone.app.take() == []


def test_the_log_has_no_query(alone: Alone) -> None:
    alone.ask("/oauth2/callback?code=hunter2")
    alone.ask("/x?password=hunter2")
    text = alone.log.read_text()
    assert '"GET /oauth2/callback" 200' in text
    assert '"GET /x" 200' in text
    assert "hunter2" not in text
    assert "?" not in text


def assert_nothing_passes(alone: Alone, *statuses: int) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = alone.ask("/public/x", *(["Content-Length: 0"] if method == "POST" else []), method=method)
        assert answer.status in statuses
        assert dict(answer.fields)[b"retry-after"] == b"5"
    assert alone.app.take() == []


def test_without_a_gateway_nothing_passes() -> None:
    with run_alone([("retries 2", "retries 0")], checks=f"127.0.0.1:{free_port()}") as alone:
        assert_nothing_passes(alone, 503)


def test_with_a_silent_gateway_nothing_passes() -> None:
    """It takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        with run_alone([("timeout server 5s", "timeout server 300ms")], checks=at) as alone:
            assert_nothing_passes(alone, 504)


def test_of_several_gateways_one_may_be_away() -> None:
    away = f"http-reuse always\n    server away 127.0.0.1:{free_port()}\n"
    with run_alone([("http-reuse always\n", away)]) as alone:
        assert [alone.ask("/x").status for _ in range(6)] == [200] * 6
        assert len(alone.checks.take()) == 6


@pytest.mark.parametrize("fault", ["error('oops')", "while true do end", "do return end", "local x = nil + 1"])
def test_with_a_script_that_fails_nothing_passes(fault: str, tmp_path: Path) -> None:
    """HAProxy itself would go on."""
    marker = "  local answer = ask(txn, address, page)\n"
    text = SCRIPT.read_text()
    assert marker in text
    broken = tmp_path / "gateway.lua"
    broken.write_text(text.replace(marker, f"  {fault}\n{marker}"))
    changes = [(str(SCRIPT), str(broken)), ("global\n", "global\n    tune.lua.session-timeout 200ms\n")]
    with run_alone(changes) as alone:
        assert_nothing_passes(alone, 503)
        assert alone.checks.take() == []
