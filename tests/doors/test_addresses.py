"""What apps that know neither their prefix nor their host say of themselves, and how they are spoken to."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.simulator import RunningSimulator
from tests.harness import Browser, Running, serve_app, serve_gateway, serve_gateway_slowly

Serve = Callable[..., contextlib.AbstractContextManager[Running]]


@pytest.fixture(scope="module", params=[serve_gateway, serve_gateway_slowly], ids=["fast", "slow"])
def serve(request: pytest.FixtureRequest) -> Serve:
    found: Serve = request.param
    return found


async def leading(scope: Any, receive: Any, send: Any) -> None:
    """An app that leads to its own `/next` in every way it knows, or to where it is told; also by what Host says."""
    if scope["type"] != "http":
        return
    headers = dict(scope["headers"])
    to = parse_qs(scope["query_string"]).get(b"to", [b"/next"])[0].replace(b"HOST", headers[b"host"])
    fields = [
        (b"location", to),
        (b"content-location", b"/next"),
        (b"refresh", b"0; url=/next"),
        (b"set-cookie", b"theirs=1; Path=/"),
        (b"set-cookie", b"deeper=1; Path=/deeper"),
        (b"x-destination", headers.get(b"destination", b"")),
    ]
    body = b"x" * (10 if scope["path"] != "/large" else 300_000)
    await send({"type": "http.response.start", "status": 302, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def before(serve: Serve, simulator: RunningSimulator, **more: Any) -> Generator[tuple[Running, str]]:
    routes = "[{path: /office/**, access: public, upstream: office}, {path: /**, access: public, upstream: whole}]"
    with serve_app(leading) as app:
        upstreams = {
            "office": {"url": app, "strip_prefix": "/office", **more},
            "whole": {"url": app, "pass_host": False, **more},
        }
        with serve(simulator, "none", routes=routes, upstreams=json.dumps(upstreams)) as running:
            yield running, app


def ask(running: Running, target: str, **headers: str) -> httpx.Response:
    with Browser(running.url) as browser:  # more than once on a connection: heads and senders are known again
        answers = [browser.fetch(target, headers=headers) for _ in range(3)]
    assert len({str(answer.headers.multi_items()) for answer in answers}) == 1
    return answers[-1]


@pytest.mark.parametrize("path", ["/office/x", "/office/large"])
def test_below_a_prefix(serve: Serve, simulator: RunningSimulator, path: str) -> None:
    with before(serve, simulator, rewrite_addresses=True) as (running, app):
        answer = ask(running, path)
        assert answer.headers["location"] == "/office/next"
        assert answer.headers["content-location"] == "/office/next"
        assert answer.headers["refresh"] == "0; url=/office/next"
        assert answer.headers.get_list("set-cookie") == ["theirs=1; Path=/office", "deeper=1; Path=/office/deeper"]
        assert ask(running, path + "?to=http://HOST/y").headers["location"] == running.url + "/office/y"
        assert ask(running, path + f"?to={app}/y").headers["location"] == running.url + "/office/y"
        assert ask(running, path + "?to=/oauth2/sign_out").headers["location"] == "/oauth2/sign_out"
        assert ask(running, path + "?to=//evil.example").headers["location"] == "//evil.example"


def test_by_another_host(serve: Serve, simulator: RunningSimulator) -> None:
    with before(serve, simulator, rewrite_addresses=True) as (running, _):
        answer = ask(running, "/x?to=http://HOST/y")
        assert answer.headers["location"] == running.url + "/y"
        assert answer.headers.get_list("set-cookie") == ["theirs=1; Path=/", "deeper=1; Path=/deeper"]
        elsewhere = running.url.replace("127.0.0.1", "localhost")
        host = elsewhere.removeprefix("http://")
        # who asks by another name is led there: nothing is remembered of those who asked before
        assert ask(running, "/x?to=http://HOST/y", host=host).headers["location"] == elsewhere + "/y"
        assert ask(running, "/x?to=http://HOST/y").headers["location"] == running.url + "/y"


def test_off_unless_asked_for(serve: Serve, simulator: RunningSimulator) -> None:
    with before(serve, simulator) as (running, app):
        answer = ask(running, "/office/x")
        assert answer.headers["location"] == answer.headers["content-location"] == "/next"
        assert answer.headers.get_list("set-cookie") == ["theirs=1; Path=/", "deeper=1; Path=/deeper"]
        assert ask(running, "/x?to=http://HOST/y").headers["location"] == app + "/y"
        assert ask(running, "/office/x", destination="/office/y").headers["x-destination"] == "/office/y"


def test_a_destination_is_translated_back(serve: Serve, simulator: RunningSimulator) -> None:
    with before(serve, simulator, rewrite_addresses=True) as (running, app):
        for destination, told in (("/office/y%20z?q", "/y%20z?q"), (running.url + "/office/y", running.url + "/y")):
            assert ask(running, "/office/x", destination=destination).headers["x-destination"] == told
        assert ask(running, "/x", destination=running.url + "/y").headers["x-destination"] == app + "/y"


class _Told(socketserver.StreamRequestHandler):
    """Answers with the very head that it received."""

    def handle(self) -> None:
        while True:
            head = b""
            while line := self.rfile.readline():
                head += line
                if line == b"\r\n":
                    break
            if not head:
                return
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
            )
            self.rfile.read(length)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


@contextlib.contextmanager
def embedded_server() -> Generator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Told) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(timeout=5)


def names(head: str) -> set[str]:
    return {line.partition(":")[0] for line in head.split("\r\n")[1:] if line}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_names_in_title_case(serve: Serve, simulator: RunningSimulator, method: str) -> None:
    with (
        embedded_server() as app,
        serve(simulator, json.dumps({"url": app, "header_case": "title"}), routes="[{path: /**}]") as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in("/x")
        more = {"soapaction": "urn:a:b", "x-own": "keep: x-this\tas: it is"}
        for _ in range(3):
            answer = browser.fetch("/a:b?c:d", method=method, headers=more, content=b"x" if method == "POST" else None)
            assert answer.text.startswith(f"{method} /a:b?c:d HTTP/1.1\r\n")
            found = names(answer.text)
            assert {"Host", "SOAPAction", "X-Own", "X-TikTok-Open-Id", "X-Request-Id", "X-Forwarded-For"} <= found
            assert ("Content-Length" in found) == (method == "POST")
            assert not [name for name in found if name == name.lower()]
            assert "X-Own: keep: x-this\tas: it is\r\n" in answer.text


def test_names_are_in_lower_case_unless_asked(serve: Serve, simulator: RunningSimulator) -> None:
    with embedded_server() as app, serve(simulator, app, routes="[{path: /**, access: public}]") as running:
        assert all(name == name.lower() for name in names(ask_plainly(running)))


def ask_plainly(running: Running) -> str:
    with httpx.Client(trust_env=False) as client:
        client.get(running.url + "/x")
        return client.get(running.url + "/x").text


def test_a_websocket_handshake_in_title_case(serve: Serve, simulator: RunningSimulator) -> None:
    upstream = json.dumps({"url": "", "header_case": "title"})
    with (
        embedded_server() as app,
        serve(simulator, upstream.replace('""', f'"{app}"'), routes="[{path: /**, access: public}]") as running,
        pytest.raises(InvalidStatus) as refused,
    ):
        connect(running.url.replace("http", "ws") + "/x", proxy=None, additional_headers={"x-own": "1"})
    told = refused.value.response.body.decode()
    found = names(told)
    assert {"Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "X-Own"} <= found, told
    assert not [name for name in found if name == name.lower()]
