"""Requests, routes, people: one table, and the same answers from `explain` and through every door."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.explain import explain
from gateway.settings import RouteSettings
from gateway.simulator import RunningSimulator
from gateway.simulator.people import PEOPLE
from tests.doors.conftest import haproxy, nginx, wsgi
from tests.fronts.starting import Begin, serve_behind
from tests.fronts.test_caddy import begin_caddy
from tests.fronts.test_envoy import begin_envoy
from tests.fronts.test_traefik import begin_traefik
from tests.harness import (
    Browser,
    Running,
    asgi_form,
    echo,
    headers_of,
    serve_app,
    serve_gateway,
    serve_gateway_slowly,
)
from tests.waiting import wait_for

ADA, FOX, DASH = PEOPLE["plain"], PEOPLE["emoji"], PEOPLE["dash"]
SCOPES = ["user.info.basic", "user.info.profile", "user.info.stats", "video.list"]

ROUTES: list[dict[str, Any]] = [
    {"path": "/public/**", "access": "public"},
    {"path": "/optional", "access": "optional"},
    {"path": "/denied/**", "access": "deny"},
    {"path": "/get", "methods": ["GET"]},
    {"path": "/videos", "scopes": ["video.list"], "reason": "To show them."},
    {"path": "/both", "scopes": ["video.list", "video.upload"]},
    {"path": "/ids", "allow": {"open_ids": [ADA.open_id, DASH.open_id]}},
    {"path": "/unions", "allow": {"union_ids": [FOX.union_id]}},
    {"path": "/names", "allow": {"usernames": [ADA.username]}},
    {"path": "/ids-and-videos", "scopes": ["video.list"], "allow": {"open_ids": [ADA.open_id]}},
    {"path": "/verified", "creator": {"is_verified": True}},
    {"path": "/many", "creator": {"follower_count": {"min": 1000}}},
    {"path": "/few", "creator": {"follower_count": {"max": 12}, "video_count": {"min": 7, "max": 7}}},
    {"path": "/liked", "creator": {"likes_count": {"min": 56}, "following_count": {"max": 34}}},
    {"path": "regex:/r/[0-9]+", "headers": {"X-Star": "{username}"}},
    {"path": "/elsewhere", "host": "other.example"},
    {"path": "/private/**"},
]

PEOPLE_AND_SCOPES: Mapping[str, tuple[str, tuple[str, ...]] | None] = {
    "nobody": None,
    "ada": ("plain", tuple(SCOPES)),
    "ada, who shares little": ("plain", ("user.info.basic",)),
    "fox": ("emoji", tuple(SCOPES)),
    "dash": ("dash", ("user.info.basic", "user.info.profile", "video.list")),
}

Y, N, C, D = "allow", "challenge", "consent", "deny"
TABLE: list[tuple[str, str, tuple[str, str, str, str, str]]] = [
    ("GET", "/public/x", (Y, Y, Y, Y, Y)),
    ("POST", "/public/x", (Y, Y, Y, Y, Y)),
    ("GET", "/optional", (Y, Y, Y, Y, Y)),
    ("GET", "/denied/x", (D, D, D, D, D)),
    ("GET", "/DENIED/x", (D, D, D, D, D)),
    ("GET", "/get", (N, Y, Y, Y, Y)),
    ("POST", "/get", (D, D, D, D, D)),
    ("GET", "/videos", (N, Y, C, Y, Y)),
    ("GET", "/VIDEOS", (N, Y, C, Y, Y)),
    ("GET", "/videos/", (N, Y, C, Y, Y)),
    ("POST", "/videos", (N, Y, C, Y, Y)),
    ("GET", "/both", (N, C, C, C, C)),
    ("GET", "/ids", (N, Y, Y, D, Y)),
    ("GET", "/ids;x", (N, Y, Y, D, Y)),
    ("GET", "/unions", (N, D, D, Y, D)),
    ("GET", "/names", (N, Y, D, D, D)),
    ("GET", "/ids-and-videos", (N, Y, C, D, D)),
    ("GET", "/verified", (N, D, C, Y, D)),
    ("GET", "/many", (N, D, C, D, C)),
    ("GET", "/few", (N, Y, C, Y, C)),
    ("GET", "/liked", (N, Y, C, Y, C)),
    ("GET", "/r/12", (N, Y, Y, Y, Y)),
    ("GET", "/r/x", (D, D, D, D, D)),
    ("GET", "/r/12/3", (D, D, D, D, D)),
    ("GET", "/elsewhere", (D, D, D, D, D)),
    ("GET", "/nowhere", (D, D, D, D, D)),
    ("GET", "/private/x", (N, Y, Y, Y, Y)),
    ("GET", "/private/../videos", (N, Y, C, Y, Y)),
    ("GET", "/private/%252e%252e/ids", (N, Y, Y, D, Y)),
]
CASES = [
    (method, target, person, expected)
    for method, target, row in TABLE
    for person, expected in zip(PEOPLE_AND_SCOPES, row, strict=True)
]
CHANGES = {"routes": json.dumps(ROUTES), "tiktok__scopes": json.dumps(SCOPES)}


@contextlib.contextmanager
def fast(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    with serve_app(echo) as upstream, serve_gateway(simulator, upstream, **changes) as running:
        yield running


@contextlib.contextmanager
def slow(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    with serve_app(echo) as upstream, serve_gateway_slowly(simulator, upstream, **changes) as running:
        yield running


def behind(begin: Begin) -> Callable[..., contextlib.AbstractContextManager[Running]]:
    """A real front with the file that users copy, which asks."""

    @contextlib.contextmanager
    def front(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
        with serve_app(echo) as upstream, serve_behind(begin, simulator, upstream, **changes) as running:
            yield running

    return front


DOORS: Mapping[str, Callable[..., contextlib.AbstractContextManager[Running]]] = {
    "fast": fast,
    "slow": slow,
    "asgi": asgi_form,
    "wsgi": wsgi,
    "nginx": nginx,
    "caddy": behind(begin_caddy),
    "traefik": behind(begin_traefik),
    "envoy": behind(begin_envoy),
    "haproxy": haproxy,
}


@pytest.fixture(scope="module", params=list(DOORS))
def running(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Iterator[Running]:
    simulator.troubles.reset()
    with DOORS[request.param](simulator, **CHANGES) as running:
        yield running


@pytest.fixture(scope="module")
def browsers(running: Running) -> Iterator[dict[str, Browser]]:
    with contextlib.ExitStack() as stack:
        found = {}
        for name, who in PEOPLE_AND_SCOPES.items():
            found[name] = stack.enter_context(Browser(running.url))
            if who is not None:
                person, scopes = who
                if name == "ada":  # the last sign-in of a person is the truth: hers comes first, and is tried first
                    continue
                sign_in(found[name], person, scopes)
        yield found


def sign_in(browser: Browser, person: str, scopes: tuple[str, ...]) -> None:
    untick = [scope for scope in SCOPES if scope not in scopes]
    browser.sign_in("/oauth2/start?rd=/oauth2/account", person=person, untick=untick)


def read_decision(answer: httpx.Response) -> str:
    if answer.status_code == 200:
        return Y
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    if answer.status_code == 401:
        assert told["sign_in_url"]
        return N
    assert answer.status_code == 403
    if told["code"] == "insufficient_scope":
        assert told["missing_scopes"]
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert "scopes=" in told["sign_in_url"]
        return C
    assert told["code"] == "forbidden"
    return D


def test_every_door_answers_by_the_table(running: Running, browsers: dict[str, Browser]) -> None:
    wrong = []
    # both are the same person, whose grant is one: first one shares little, then all
    for name in ["ada, who shares little", "nobody", "fox", "dash", "ada"]:
        who = PEOPLE_AND_SCOPES[name]
        if name == "ada" and who is not None:
            sign_in(browsers[name], *who)
        for method, target, person, expected in CASES:
            if person == name:
                answer = browsers[name].fetch(target, method=method)
                if answer.status_code == 400 and ".." in target:
                    continue  # a front does not say where it will send that
                told = read_decision(answer)
                if told != expected:
                    wrong.append((method, target, person, expected, told))
    assert wrong == []


@pytest.mark.parametrize(("method", "target", "person", "expected"), CASES)
def test_explain_says_what_the_table_says(
    method: str, target: str, person: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ask_explain(method, target, PEOPLE_AND_SCOPES[person], tmp_path, capsys, ROUTES)
    assert told["decision"] == expected


def ask_explain(
    method: str,
    target: str,
    who: tuple[str, tuple[str, ...]] | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    routes: list[dict[str, Any]],
) -> Any:
    environ = {
        "GATEWAY__PUBLIC_URL": "https://app.example.com",
        "GATEWAY__UPSTREAM": "http://127.0.0.1:3000",
        "GATEWAY__REDIS": "memory://",
        "GATEWAY__SECRET_KEYS": '["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]',
        "GATEWAY__TIKTOK__CLIENT_KEY": "k",
        "GATEWAY__TIKTOK__CLIENT_SECRET": "s",
        "GATEWAY__ROUTES": json.dumps(routes),
    }
    person = PEOPLE[who[0]] if who is not None else ADA
    scopes = who[1] if who is not None else ()
    profile = "user.info.profile" in scopes
    facts = [f"is_verified={str(person.is_verified).lower()}"] if profile else []
    if "user.info.stats" in scopes:
        names = ("follower_count", "following_count", "likes_count", "video_count")
        facts += [f"{name}={getattr(person, name)}" for name in names]
    explain(
        method,
        target,
        None,
        environ,
        scopes=",".join(scopes),
        signed_out=who is None,
        user=person.open_id,
        union_id=person.union_id or "",
        username=person.username if profile else "-",
        facts=facts,
        as_json=True,
    )
    return json.loads(capsys.readouterr().out)


BITES: Mapping[str, tuple[Any, str]] = {
    # a key of a route, and a value with which Ada, who shares little, is answered otherwise than without
    "path": ("/other", "deny"),
    "host": ("other.example", "deny"),
    "methods": (["POST"], "deny"),
    "access": ("deny", "deny"),
    "scopes": (["video.list"], "consent"),
    "allow": ({"open_ids": ["-nobody"]}, "deny"),
    "creator": ({"is_verified": True}, "consent"),
}
ELSEWHERE = {
    "on_unauthenticated": "tests/core/test_policy.py and test_challenge.py",
    "upstream": "tests/doors/test_upstreams.py",
    "limits": "tests/doors/test_upstreams.py",
    "keep_post": "tests/web/test_kept_posts.py",
    "preflight": "tests/web/test_cors.py",
    "headers": "test_headers_of_a_route, below",
    "encoded_slashes": "tests/doors/test_slashes.py",
    "merge_slashes": "tests/doors/test_slashes.py",
    "allowed_origins": "tests/doors/test_websocket_origins.py",
    "reason": "test_who_lacks_a_scope_is_told_on_a_page, below",
}
"""Keys that change no decision, and where it is shown that they bite."""


def test_every_key_of_a_route_is_shown_to_bite() -> None:
    assert set(BITES) | set(ELSEWHERE) == set(RouteSettings.model_fields)


@pytest.mark.parametrize("key", BITES)
def test_a_key_bites(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value, expected = BITES[key]
    who = ("plain", ("user.info.basic",))
    without = ask_explain("GET", "/x", who, tmp_path, capsys, [{"path": "/x"}])
    assert without["decision"] == "allow"
    told = ask_explain("GET", "/x", who, tmp_path, capsys, [{"path": "/x"} | {key: value}])
    assert told["decision"] == expected


@pytest.mark.parametrize("door", ["fast", "slow", "asgi", "wsgi"])
def test_headers_of_a_route(simulator: RunningSimulator, door: str) -> None:
    """They are set on their route, and a client's copy is removed on all."""
    with DOORS[door](simulator, **CHANGES) as running, Browser(running.url) as browser:
        sign_in(browser, "plain", tuple(SCOPES))
        forged = {"X-Star": "evil", "x_star": "evil"}
        for _ in range(3):  # from memory too
            assert headers_of(browser.fetch("/r/1", headers=forged))["x-star"] == ADA.username
            assert "x-star" not in headers_of(browser.fetch("/private/x", headers=forged))
            assert "x-star" not in headers_of(browser.fetch("/public/x", headers=forged))


def test_who_lacks_a_scope_is_told_on_a_page_and_comes_back_with_it(simulator: RunningSimulator) -> None:
    with (
        fast(simulator, **CHANGES) as running,
        Browser(running.url) as browser,
        Browser(running.url) as other_device,
    ):
        sign_in(browser, "dash", ("user.info.basic", "user.info.profile"))
        sign_in(other_device, "dash", ("user.info.basic", "user.info.profile"))
        page = browser.navigate("/videos?a=1")
        assert page.status_code == 403
        assert "To show them." in page.text
        assert "video" in page.text
        old_session = browser.client.cookies["gateway"]
        start = page.text.partition('id="start"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
        begun = browser.navigate(start)
        asked = httpx.URL(begun.headers["location"]).params["scope"].split(",")
        assert set(asked) == {"user.info.basic", "user.info.profile", "video.list"}
        assert httpx.URL(begun.headers["location"]).params["disable_auto_auth"] == "1"

        # a refusal leads back to the page, not round in circles, and signs nobody out
        refused = browser.navigate(browser.consent(begun.headers["location"], person="dash", allow=False))
        assert refused.status_code == 403
        assert browser.fetch("/private/x").status_code == 200
        assert browser.navigate("/videos?a=1").status_code == 403

        begun = browser.navigate(start)
        returned = browser.navigate(browser.consent(begun.headers["location"], person="dash"))
        assert returned.headers["location"] == f"{running.url}/videos?a=1"
        assert browser.navigate("/videos?a=1").status_code == 200
        assert browser.client.cookies["gateway"] != old_session
        assert other_device.fetch("/videos").status_code == 200  # one grant, for all devices


def test_only_scopes_that_the_settings_name_can_be_asked_for(simulator: RunningSimulator) -> None:
    with fast(simulator, **CHANGES) as running, Browser(running.url) as browser:
        begun = browser.navigate("/oauth2/start?rd=/videos&scopes=video.publish,evil,video.upload")
        asked = httpx.URL(begun.headers["location"]).params["scope"].split(",")
        assert set(asked) == {*SCOPES, "video.upload"}
        begun = browser.navigate("/oauth2/start?rd=/videos&scopes=video.publish")
        assert set(httpx.URL(begun.headers["location"]).params["scope"].split(",")) == set(SCOPES)


def test_an_allow_list_in_a_file_is_read_again(simulator: RunningSimulator, tmp_path: Path) -> None:
    file = tmp_path / "staff.yaml"
    file.write_text(f'open_ids: ["{ADA.open_id}"]\n')
    routes = json.dumps([{"path": "/staff", "allow": {"file": str(file)}}])
    with fast(simulator, routes=routes) as running, Browser(running.url) as ada, Browser(running.url) as fox:
        ada.sign_in("/oauth2/start?rd=/oauth2/account", person="plain")
        fox.sign_in("/oauth2/start?rd=/oauth2/account", person="emoji")

        def statuses() -> tuple[int, int]:
            return ada.fetch("/staff").status_code, fox.fetch("/staff").status_code

        assert statuses() == (200, 403)
        file.write_text(f"usernames: [{FOX.username}]\n")
        until(lambda: statuses() == (403, 200))
        file.write_text("usernames: [broken")
        time.sleep(1.5)
        assert statuses() == (403, 200)
        file.unlink()
        time.sleep(1.5)
        assert statuses() == (403, 200)
        file.write_text("open_ids: []\n")
        until(lambda: statuses() == (403, 403))


@pytest.mark.parametrize("form", [asgi_form, wsgi], ids=["asgi", "wsgi"])
def test_an_allow_list_that_changed_before_anybody_came_is_the_one_that_counts(
    simulator: RunningSimulator,
    tmp_path: Path,
    form: Callable[..., contextlib.AbstractContextManager[Running]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.runtime.allow_file.TICK", 0.05)
    file = tmp_path / "staff.yaml"
    file.write_text("usernames: [nobody]\n")
    routes = json.dumps([{"path": "/staff", "allow": {"file": str(file)}}])
    with form(simulator, routes=routes) as running, Browser(running.url) as ada:
        file.write_text(f"usernames: [nobody, {ADA.username}]\n")
        time.sleep(0.5)  # so many looks, if there are any
        ada.sign_in("/oauth2/start?rd=/oauth2/account", person="plain")
        assert ada.fetch("/staff").status_code == 200


def until(said: Callable[[], bool]) -> None:
    wait_for(said, "it came true")
