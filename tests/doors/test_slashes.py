"""Paths with encoded and with repeated slashes, on routes that keep them and on routes that do not, in every form."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from typing import Any

import pytest

from gateway.simulator import RunningSimulator
from tests.doors.conftest import nginx, wsgi
from tests.harness import Browser, Running, asgi_form, echo, serve_app, serve_gateway, serve_gateway_slowly

Form = Callable[..., contextlib.AbstractContextManager[Running]]

ROUTES = """[
  {path: /kept/closed/**, access: deny},
  {path: /admin/**, access: deny},
  {path: /kept/**, access: public, encoded_slashes: keep, merge_slashes: false},
  {path: "/one/*", access: public, encoded_slashes: keep},
  {path: /one/**, encoded_slashes: keep},
  {path: "/signed/*", encoded_slashes: keep, headers: {X-Of: "signed"}},
  {path: /signed/**, encoded_slashes: keep},
  {path: /files/**, encoded_slashes: keep},
  {path: /**, access: public}
]"""


@contextlib.contextmanager
def proxy(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    with serve_app(echo) as upstream, serve_gateway(simulator, upstream, **changes) as running:
        yield running


@contextlib.contextmanager
def slow_proxy(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    with serve_app(echo) as upstream, serve_gateway_slowly(simulator, upstream, **changes) as running:
        yield running


def wsgi_echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    told = {"path": environ["PATH_INFO"], "query": environ["QUERY_STRING"]}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


@contextlib.contextmanager
def wsgi_form(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    with wsgi(simulator, wsgi_echo, **changes) as running:
        yield running


FORMS: dict[str, Form] = {
    "proxy": proxy,
    "slow-proxy": slow_proxy,
    "asgi": asgi_form,
    "wsgi": wsgi_form,
    "nginx": nginx,
}


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[tuple[str, Running]]:
    with FORMS[request.param](simulator, routes=ROUTES) as running:
        yield request.param, running


def ask(running: Running, target: str) -> Any:
    """Ask twice on each connection, since what is known is judged otherwise; both answers are the same."""
    with Browser(running.url) as browser:
        first, second = browser.fetch(target), browser.fetch(target)
    assert first.status_code == second.status_code
    return first


@pytest.mark.parametrize(
    ("target", "as_wsgi"),
    [
        ("/kept/@scope%2fname", "/kept/@scope/name"),
        ("/kept/@scope%2Fname/-/x.tgz?y=%2f", "/kept/@scope/name/-/x.tgz"),
        ("/kept/%2F/name", "/kept///name"),
        ("/kept/a%252Fb", "/kept/a%2Fb"),
        ("/kept/plain/https://example.com/a.jpg?b=//c", "/kept/plain/https://example.com/a.jpg"),
        ("/kept/a//", "/kept/a//"),
    ],
)
def test_slashes_arrive_as_they_were_sent_where_the_route_keeps_them(
    form: tuple[str, Running], target: str, as_wsgi: str
) -> None:
    name, running = form
    answer = ask(running, target)
    assert answer.status_code == 200, answer.text
    assert answer.json()["path"] == (as_wsgi if name == "wsgi" else target.partition("?")[0])
    assert answer.json()["query"] == target.partition("?")[2]


@pytest.mark.parametrize(
    "target", ["/x%2fy", "/kept%2fx", "/oauth2%2flivez", "/oauth2/%2flivez", "/%2fkept/x", "/kept/closed/%2fx"]
)
def test_elsewhere_an_encoded_slash_is_refused(form: tuple[str, Running], target: str) -> None:
    assert ask(form[1], target).status_code == 400


@pytest.mark.parametrize(
    "target",
    [
        "/kept/closed%2fx",
        "/kept%2fclosed%2fx",
        "/kept/CLOSED%2Fx",
        "/kept//closed/x",
        "/kept/closed//x",
        "//kept/closed/x",
        "/kept/..%2fadmin/x",
        "/kept/x%2f..%2f..%2fadmin/x",
        "/kept/..;%2fadmin",
        "/kept/x/../..//admin/x",
        "/kept/%252e%252e%2fadmin/x",
        "/kept/x%5cy",
        "/kept/x%2f%00",
        "/kept/x//../y",
        "/kept/x%2fy/../z",
        "/kept/%2f%2f../closed/x",
    ],
)
def test_what_is_closed_stays_closed(form: tuple[str, Running], target: str) -> None:
    assert ask(form[1], target).status_code in {400, 403}


def test_an_app_in_process_is_called_with_what_was_judged(form: tuple[str, Running]) -> None:
    """`/one/*` opens a segment. An app that is given the path decoded would see two of them, which nobody opened."""
    name, running = form
    assert ask(running, "/one/x").status_code == 200
    assert ask(running, "/one/x/y").status_code == 401
    # every reading counts: for a route that opens, also with a proxy
    assert ask(running, "/one/x%2fy").status_code in {400, 401}
    with Browser(running.url) as browser:
        browser.sign_in("/signed/x")
        answer = browser.fetch("/signed/x%2fy")
        assert answer.status_code == (400 if name in {"asgi", "wsgi"} else 200), answer.text


def test_repeated_slashes_are_merged_elsewhere(form: tuple[str, Running]) -> None:
    name, running = form
    answer = ask(running, "/x//y///z")
    assert answer.status_code == (400 if name == "nginx" else 200)  # nginx would hand them on as they are
    if name != "nginx":
        assert answer.json()["path"] == "/x/y/z"


def test_slashes_at_the_start_are_always_merged(simulator: RunningSimulator) -> None:
    routes = "[{path: /**, access: public, merge_slashes: false}]"
    for build in (proxy, slow_proxy, asgi_form):
        with build(simulator, routes=routes) as running:
            assert ask(running, "//evil.example/x//y").json()["path"] == "/evil.example/x//y"


def test_a_prefix_that_is_taken_off_leaves_no_host_at_the_start(simulator: RunningSimulator) -> None:
    routes = "[{path: /**, access: public, upstream: office, merge_slashes: false, encoded_slashes: keep}]"
    for serve in (serve_gateway, serve_gateway_slowly):
        with serve_app(echo) as app:
            upstreams = json.dumps({"office": {"url": app, "strip_prefix": "/office"}})
            with serve(simulator, "none", routes=routes, upstreams=upstreams) as running:
                assert ask(running, "/office//evil.example/x//y").json()["path"] == "/evil.example/x//y"
                assert ask(running, "/office/a%2fb").json()["path"] == "/a%2fb"
                assert ask(running, "/office%2fb").json()["path"] == "/office%2fb"


def test_a_sign_in_returns_to_such_a_path(form: tuple[str, Running]) -> None:
    with Browser(form[1].url) as browser:
        assert browser.sign_in("/files/a%2fb?c=%2f").status_code == 200
