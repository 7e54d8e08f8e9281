"""What a trusted front says besides the origin: kept if asked for, from nobody else, and never if malformed."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.doors.test_slashes import proxy, slow_proxy
from tests.harness import Browser, Running, asgi_form, echo, serve_app, serve_gateway, serve_gateway_slowly

KEPT = '["X-Forwarded-Prefix", "X-Forwarded-Port", "X-Request-Id"]'
SAID = {"X-Forwarded-Prefix": "/app", "X-Forwarded-Port": "8443", "X-Request-Id": "0af7651916cd43dd8448eb211c80319c"}
FORMS: dict[str, Callable[..., Any]] = {"proxy": proxy, "slow-proxy": slow_proxy, "asgi": asgi_form, "wsgi": wsgi}


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param]


@pytest.fixture(scope="module")
def trusting(form: Any, simulator: RunningSimulator) -> Generator[Running]:
    with form(
        simulator, trusted_proxies='["127.0.0.1"]', trusted_headers=KEPT, log__answer_request_id="true"
    ) as running:
        yield running


def ask(running: Running, path: str = "/public/x", **headers: str) -> httpx.Response:
    with Browser(running.url) as browser:
        for _ in range(3):
            answer = browser.fetch(path, headers=headers)
    return answer


def told(answer: httpx.Response) -> dict[str, str]:
    pairs = [(name, value) for name, value in answer.json()["headers"] if name in {key.lower() for key in SAID}]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_it_is_kept(trusting: Running) -> None:
    answer = ask(trusting, **SAID)
    assert told(answer) == {name.lower(): value for name, value in SAID.items()}
    assert answer.headers.get_list("x-request-id") == [SAID["X-Request-Id"]]


def test_a_refusal_names_the_fronts_id_and_returns_below_its_prefix(trusting: Running) -> None:
    answer = ask(trusting, "/private/x?y=%2f", **SAID)
    assert answer.status_code == 401
    assert answer.json()["request_id"] == SAID["X-Request-Id"]
    assert answer.headers.get_list("x-request-id") == [SAID["X-Request-Id"]]
    begun = urlsplit(answer.json()["sign_in_url"])
    assert parse_qs(begun.query)["rd"] == ["/app/private/x?y=%2f"]
    assert unquote(begun.path) == "/oauth2/start"


@pytest.mark.parametrize("path", ["/public/x", "/private/x", "/oauth2/livez", "/denied/x"])
def test_every_answer_has_an_id(trusting: Running, path: str) -> None:
    with Browser(trusting.url) as browser:
        ids = {browser.fetch(path).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert {len(each) for each in ids} == {24}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Prefix": "app"},
        {"X-Forwarded-Prefix": "/a/../b"},
        {"X-Forwarded-Prefix": "//evil.example"},
        {"X-Forwarded-Prefix": "/a, /b"},
        {"X-Forwarded-Prefix": "/a%2fb"},
        {"X-Forwarded-Prefix": "/a?b"},
        {"X-Forwarded-Port": "https"},
        {"X-Forwarded-Port": "0"},
        {"X-Forwarded-Port": "65536"},
        {"X-Forwarded-Port": "443,443"},
    ],
)
def test_what_is_malformed_is_refused(trusting: Running, headers: dict[str, str]) -> None:
    assert ask(trusting, **headers).status_code == 400


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, 'a"b', "a,b", "<script>"])
def test_an_id_that_cannot_be_ours_is_replaced(trusting: Running, request_id: str) -> None:
    answer = ask(trusting, **{"X-Request-Id": request_id})
    assert len(told(answer)["x-request-id"]) == 24


@pytest.mark.parametrize(
    "changes",
    [
        {"trusted_proxies": '["127.0.0.1"]'},
        {"trusted_proxies": '["192.0.2.1"]', "trusted_headers": KEPT},
    ],
    ids=["not-asked-for", "not-trusted"],
)
def test_otherwise_it_is_rebuilt(form: Any, simulator: RunningSimulator, changes: dict[str, str]) -> None:
    with form(simulator, **changes) as running:
        answer = ask(running, **SAID)
        assert set(told(answer)) == {"x-request-id"}
        assert told(answer)["x-request-id"] != SAID["X-Request-Id"]
        assert "x-request-id" not in answer.headers
        refused = ask(running, "/private/x", **SAID)
        assert "/app" not in refused.json()["sign_in_url"]


@pytest.mark.parametrize("serve", [serve_gateway, serve_gateway_slowly], ids=["fast", "slow"])
def test_its_prefix_stands_before_ours_and_the_apps_own_id_gives_way(serve: Any, simulator: RunningSimulator) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await echo(scope, receive, send)
            return
        prefix = dict(scope["headers"]).get(b"x-forwarded-prefix", b"")
        fields = [(b"x-request-id", b"the-apps"), (b"x-prefix", prefix)]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": scope["raw_path"]})

    with (
        serve_app(app) as url,
        serve(
            simulator,
            json.dumps({"url": url, "strip_prefix": "/office"}),
            routes="[{path: /**, access: public}]",
            trusted_proxies='["127.0.0.1"]',
            trusted_headers=KEPT,
            log__answer_request_id="true",
        ) as running,
    ):
        answer = ask(running, "/office/x", **SAID)
        assert (answer.headers["x-prefix"], answer.text) == ("/app/office", "/x")
        assert answer.headers.get_list("x-request-id") == [SAID["X-Request-Id"]]
        assert ask(running, "/office/x").headers["x-prefix"] == "/office"
        assert ask(running, "/x", **SAID).headers["x-prefix"] == "/app"
        with connect(running.url.replace("http", "ws") + "/x", proxy=None) as socket:
            assert socket.response is not None
            assert len(socket.response.headers["x-request-id"]) == 24
