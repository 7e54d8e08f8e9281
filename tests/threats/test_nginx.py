"""The nginx file that users copy, in a real nginx: what the proxy form keeps from an app, it keeps from it too."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Generator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.core.headers import passing_name
from gateway.simulator import RunningSimulator
from tests.fronts.lies import KEPT_OUT, LIES, REBUILT, SAYING
from tests.harness import NAVIGATION, SAME_ORIGIN, Browser, Running, echo, serve_app, serve_gateway
from tests.nginx import run_nginx, serve_behind_nginx
from tests.ports import free_port
from tests.talk import HOST, Talk, compose
from tests.threats.guarded import Guarded
from tests.threats.test_identity_headers import HANDSHAKE


@pytest.fixture
def asked(behind_nginx: Guarded) -> Guarded:
    behind_nginx.behind.reset()
    return behind_nginx


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Running]:
    """An nginx before the echoing app."""
    with serve_app(echo) as upstream, serve_behind_nginx(simulator, upstream) as running:
        yield running


def test_the_table_is_the_proxy_forms() -> None:
    assert not [name for name in (*SAYING, *REBUILT, "x-url-scheme", "forwarded") if passing_name(name.encode())]


@pytest.mark.parametrize("target", ["/public/x", "/optional/x", "/private/x"])
def test_no_name_that_the_proxy_form_removes_reaches_the_app(asked: Guarded, target: str) -> None:
    cookie = b"Cookie: " + asked.cookie + b"\r\n"
    for name in KEPT_OUT:
        for spelling in (name, name.upper(), name.title()):
            seen = asked.forwarded(compose(target.encode(), HOST + cookie + f"{spelling}: SPOOF\r\n".encode()))
            assert not [field for field in seen.fields if b"SPOOF" in field[1]], name


def test_only_a_websocket_is_an_upgrade(asked: Guarded) -> None:
    seen = asked.forwarded(compose(fields=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"))
    assert not seen.every(b"upgrade")
    assert not seen.every(b"connection")
    asked.ask(compose(b"/public/socket", HANDSHAKE))
    (seen,) = asked.behind.take()
    assert seen.every(b"upgrade") == [b"websocket"]


def test_a_websocket_of_another_site_is_refused(front: Running) -> None:
    url = front.url.replace("http", "ws") + "/private/socket"
    with Browser(front.url) as browser:
        browser.sign_in()
        cookie = {"Cookie": f"a=1; gateway={browser.client.cookies['gateway']}"}
    with connect(url, additional_headers=cookie | {"Origin": front.url}) as ours:
        told = dict(map(tuple, json.loads(ours.recv())))
        assert told["x-tiktok-open-id"]
        assert told["cookie"] == "a=1"
    for origin in ("https://evil.example", "http://127.0.0.1:1", "null"):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=cookie | {"Origin": origin}):
            pass
        assert refused.value.response.status_code == 403


def test_a_store_that_is_down_is_told_as_by_the_gateway_itself(front: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with Browser(front.url) as browser:
        browser.sign_in()
        front.take_store_away(monkeypatch)
        page, problem = browser.navigate("/private/x"), browser.fetch("/private/x")
        assert (page.status_code, problem.status_code) == (503, 503)
        assert page.headers["retry-after"] == problem.headers["retry-after"] == "5"
        assert "still signed in" in page.text
        assert problem.json()["code"] == "store_unavailable"
        assert "set-cookie" not in page.headers
        assert browser.fetch("/public/x").status_code == 200


def test_an_apps_own_error_is_the_apps_own(asked: Guarded) -> None:
    asked.recorder.respond = lambda _: b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nmine"
    answer = asked.ask(compose(fields=HOST))
    assert (answer.status, answer.body) == (500, b"mine")
    asked.behind.reset()


def test_bodies_have_no_limit_and_are_streamed(asked: Guarded) -> None:
    cookie = b"Cookie: " + asked.cookie + b"\r\n"
    body = os.urandom(3_000_000)
    fields = HOST + cookie + b"Content-Length: %d\r\n" % len(body)
    with Talk(asked.running.address) as talk:
        talk.say(compose(b"/private/form", fields, method=b"POST") + body[:1000])
        while not asked.recorder.requests:  # the app has it while most of it has not been sent
            assert not talk.settled(0.01)
        talk.say(body[1000:])
        answer = talk.answer()
    assert answer is not None
    assert answer.status == 200
    (seen,) = asked.behind.take()
    assert (seen.whole, seen.body) == (True, body)


@pytest.mark.parametrize("framing", [b"Content-Length: 500000000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_nobody_wants_is_kept_nowhere(asked: Guarded, framing: bytes) -> None:
    """A stranger must not fill the disk: the answer comes before the end of the body."""
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with socket.create_connection(asked.running.address, timeout=20) as stranger:
        stranger.sendall(compose(b"/private/form", HOST + framing, method=b"POST") + piece)
        assert stranger.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert asked.behind.take() == []


def test_large_heads_pass(asked: Guarded) -> None:
    cookies = b"Cookie: " + asked.cookie + b"; app=" + b"c" * 14_000 + b"\r\n"
    target = b"/private/x?q=" + b"a" * 7_000
    seen = asked.forwarded(compose(target, HOST + cookies))
    assert seen.target == target
    assert seen.every(b"cookie") == [b"app=" + b"c" * 14_000]


def test_what_the_gateway_cannot_read_it_says_itself(front: Running) -> None:
    """And no blank error of nginx's, which would look as if the gateway were down."""
    with Browser(front.url) as browser:
        browser.sign_in()
        assert browser.fetch("/private/x", headers={f"X-{n}": "1" for n in range(120)}).status_code == 431
        assert browser.fetch("/private/a//b").json()["code"] == "malformed_request"
        assert browser.fetch("/private/x", headers={"X-Original-URL": "/public/x"}).status_code == 200


def test_what_else_the_gateway_believes_of_it_is_its_own_word(simulator: RunningSimulator) -> None:
    kept = ["X-Forwarded-Prefix", "X-Forwarded-Port", "X-Request-Id"]
    lies = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Port": "66", "X-Request-Id": "evil"}
    with (
        serve_app(echo) as upstream,
        serve_behind_nginx(simulator, upstream, trusted_headers=json.dumps(kept)) as running,
        Browser(running.url) as browser,
    ):
        for target in ("/private/x", "/oauth2/userinfo"):
            problem = browser.fetch(target, headers=SAME_ORIGIN | lies)
            assert problem.status_code == 401
            assert "evil" not in problem.text
            assert len(problem.json()["request_id"]) == 32  # nginx's, so that its log and ours tell of the same


def test_the_log_has_no_code_no_state_and_no_query(front: Running) -> None:
    with Browser(front.url) as browser:
        begun = browser.navigate("/private/x?password=hunter2")
        callback = browser.consent(begun.headers["location"])
        returned = browser.navigate(callback)
        assert browser.navigate(returned.headers["location"]).status_code == 200
    assert front.folder is not None
    text = (front.folder / "access.log").read_text()
    assert '"GET /oauth2/callback" 302' in text
    assert '"GET /private/x" 200' in text
    for secret in ("hunter2", "code=", "state=", "?"):
        assert secret not in text


def test_a_page_cannot_ask_in_the_fronts_place(front: Running) -> None:
    with Browser(front.url) as browser:
        browser.sign_in()
        for path in ("/oauth2/auth", "/oauth2/auth?x", "/oauth2//auth", "/%6fauth2/auth"):
            answer = browser.fetch(path, headers={"X-Forwarded-Uri": "/private/x"})
            assert answer.status_code == 404
            assert not [name for name in answer.headers if name.startswith("x-tiktok")]


PLAIN = """server {
    listen 127.0.0.1:%d;
    underscores_in_headers on;
    location / {
        proxy_pass %s;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
    }
}"""
"""What somebody writes who wants a plain proxy: all that a page's script sends goes on."""


@pytest.mark.parametrize("changes", [{}, {"forward_auth__listen": "127.0.0.1:0", "forward_auth__secret": "s" * 40}])
@pytest.mark.parametrize("through", ["directly", "a plain nginx"])
def test_no_script_hears_an_identity(simulator: RunningSimulator, changes: dict[str, str], through: str) -> None:
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    with serve_app(echo) as upstream:
        trusting = {"trusted_proxies": '["127.0.0.1"]', **changes}
        if through != "directly":
            trusting["public_url"] = public_url
        with serve_gateway(simulator, upstream, **trusting) as gateway:
            if through == "directly":
                _assert_nothing_is_told(gateway.url)
                return
            with run_nginx(PLAIN % (port, gateway.url), public_url + "/oauth2/livez"):
                _assert_nothing_is_told(public_url)


def _assert_nothing_is_told(url: str) -> None:
    with Browser(url) as browser:
        told = dict(browser.sign_in().json()["headers"])
        secrets = [told[name] for name in ("x-tiktok-access-token", "x-tiktok-open-id", "x-tiktok-union-id")]
        for lie in LIES:
            for path in ("/oauth2/auth", "/oauth2/ext_authz", "/oauth2/ext_authz/private/x", "/oauth2/start"):
                for kind in (SAME_ORIGIN, NAVIGATION):
                    answer = browser.fetch(path, headers=kind | lie)
                    said = str(answer.headers.multi_items()) + answer.text
                    assert not [secret for secret in secrets if secret in said], (path, lie)
                    assert "cookie" not in answer.headers, (path, lie)
