"""`Destination`: whoever may not PUT a path may not COPY or MOVE onto it, in any form."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.doors.test_slashes import FORMS, proxy, slow_proxy
from tests.harness import Browser, Running, asgi_form, echo, serve_app, serve_gateway, serve_gateway_slowly

Form = Callable[..., contextlib.AbstractContextManager[Running]]

ROUTES = """[
  {path: /pub/**, access: public},
  {path: /denied/**, access: deny},
  {path: /staff/**, allow: {open_ids: [nobody]}},
  {path: /videos/**, scopes: [video.list]},
  {path: /read/**, methods: [GET, COPY], access: public},
  {path: /read/**, access: deny},
  {path: /kept/**, encoded_slashes: keep, merge_slashes: false},
  {path: /**}
]"""


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[tuple[str, Running]]:
    with FORMS[request.param](simulator, routes=ROUTES) as running:
        yield request.param, running


@pytest.fixture(scope="module")
def person(form: tuple[str, Running]) -> Generator[Browser]:
    with Browser(form[1].url) as browser:
        browser.sign_in("/x")
        yield browser


def copy(browser: Browser, destination: str, source: str = "/pub/a.txt", method: str = "COPY") -> httpx.Response:
    return browser.fetch(source, method=method, headers={"Destination": destination})


@pytest.mark.parametrize("method", ["COPY", "MOVE", "GET", "POST"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pub/b.txt", 200),
        ("/b%20c.txt?d=e", 200),
        ("/denied/a.txt", 403),
        ("/DENIED/a.txt", 403),
        ("/denied;x/a.txt", 403),
        ("/staff/a.txt", 403),
        ("/videos/a.txt", 403),
        ("/read/a.txt", 403),
        ("/kept/a%2fb//c", 200),
    ],
)
def test_a_destination_is_judged_as_a_put_there(
    person: Browser, form: tuple[str, Running], path: str, status: int, method: str
) -> None:
    for _ in range(2):
        for destination in (path, form[1].url + path, form[1].url.replace("http:", "https:") + path):
            assert copy(person, destination, method=method).status_code == status, destination


def test_the_source_is_judged_too(person: Browser) -> None:
    assert copy(person, "/pub/b", "/denied/a").status_code == 403
    assert copy(person, "/pub/b", "/read/a").status_code == 200
    assert copy(person, "/pub/b", "/read/a", method="MOVE").status_code == 403


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("http://elsewhere.example/pub/b", 502),
        ("/oauth2/account", 502),
        ("/pub/../denied/a", 400),
        ("/pub/%2e%2e/denied/a", 400),
        ("/pub//b", 400),
        ("/pub/a%2fb", 400),
        ("b.txt", 400),
        ("//elsewhere.example/b", 400),
        ("ftp://elsewhere.example/b", 400),
        ("/a, /b", 400),
    ],
)
def test_what_is_not_ours_or_can_be_read_in_two_ways(
    person: Browser, form: tuple[str, Running], destination: str, status: int
) -> None:
    # nginx knows 401 and 403 only, and its page for them is about the request's own path
    expected = {403, 302, 401, 400, 502} if form[0] == "nginx" else {status}
    assert copy(person, destination).status_code in expected


def test_who_is_not_signed_in_cannot_write_where_that_is_needed(form: tuple[str, Running]) -> None:
    with Browser(form[1].url) as nobody:
        assert copy(nobody, "/pub/b").status_code == 200
        assert copy(nobody, "/b").status_code in {401, 302}
        assert copy(nobody, "/denied/b").status_code in {401, 403}


def test_two_destinations_are_refused(form: tuple[str, Running]) -> None:
    if form[0] == "wsgi":
        return  # the server joins them, and the app is given the one path that was judged
    headers = httpx.Headers([("Destination", "/pub/b"), ("Destination", "/denied/b")])
    answer = httpx.request("COPY", form[1].url + "/pub/a", headers=headers, trust_env=False)
    assert answer.status_code == 400


PLACES = st.sampled_from(["/pub", "/denied", "/staff", "/videos", "/read", "/kept", "/x", "", "/DENIED", "/pub/denied"])
TAILS = st.sampled_from(["/a", "/", "", "/a;b", "/%61", "/a%252fb", "/.", "/..", "/a//b", "/a%2Fb", "/%2e%2e/denied/b"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=PLACES, tail=TAILS, method=st.sampled_from(["COPY", "MOVE"]))
def test_whoever_may_not_put_may_not_copy(
    person: Browser, form: tuple[str, Running], place: str, tail: str, method: str
) -> None:
    path = place + tail or "/"
    put = person.fetch(path, method="PUT", content=b"x").status_code
    copied = copy(person, form[1].url + path, method=method).status_code
    assert copied == 200 or put != 200 or ("/." in path or "//" in path or "%2e" in path), (put, copied)
    assert put == 200 or copied != 200, (put, copied)


def test_another_app_behind_the_gateway_is_another_server(simulator: RunningSimulator) -> None:
    routes = "[{path: /office/**, access: public, upstream: office}, {path: /**, access: public}]"
    for serve in (serve_gateway, serve_gateway_slowly):
        with (
            serve_app(echo) as app,
            serve(simulator, app, routes=routes, upstreams=json.dumps({"office": app})) as running,
            Browser(running.url) as browser,
        ):
            assert copy(browser, "/b", "/a").status_code == 200
            assert copy(browser, "/office/b", "/office/a").status_code == 200
            assert copy(browser, "/office/b", "/a").status_code == 502
            assert copy(browser, "/b", "/office/a").status_code == 502


def test_it_arrives_as_it_was_sent(simulator: RunningSimulator) -> None:
    for build in (proxy, slow_proxy, asgi_form):
        with build(simulator, routes="[{path: /**, access: public}]") as running, Browser(running.url) as browser:
            for destination in ("/b%7Ec?d", running.url.replace("http:", "HTTPS:") + "/b"):
                told: dict[str, Any] = dict(copy(browser, destination).json()["headers"])
                assert told["destination"] == destination
