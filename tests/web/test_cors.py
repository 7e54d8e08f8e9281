"""Scripts of other origins: what Chromium lets them read, and what becomes of their preflights."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from gateway.core.challenge import Viewer
from gateway.errors import GatewayError, SettingsError
from gateway.settings.caution import warnings
from gateway.simulator import RunningSimulator
from gateway.web.answers.error_pages import ErrorPages
from gateway.web.answers.pages import Pages
from gateway.web.answers.site import Site
from tests.harness import NAVIGATION, WAYS, Running, listener, read_settings, serve_app

ROUTES = """[
  {path: /passed/**, preflight: pass},
  {path: /answered/**, preflight: answer},
  {path: /only-put/**, methods: [PUT], preflight: pass},
  {path: /closed/**, access: deny, preflight: pass},
  {path: /open/**, access: public},
  {path: /**},
]"""


async def blank(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<title>elsewhere</title>"})


@pytest.fixture(scope="module")
def friend() -> Generator[str]:
    """An origin that is allowed."""
    bound = listener()
    with serve_app(blank, bound) as url:
        yield url


@pytest.fixture(scope="module")
def stranger() -> Generator[str]:
    bound = listener()
    with serve_app(blank, bound) as url:
        yield url


@pytest.fixture(scope="module", params=WAYS)
def running(
    request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str, friend: str
) -> Generator[Running]:
    origins = json.dumps([friend])
    with WAYS[request.param](simulator, upstream, routes=ROUTES, cors__allowed_origins=origins) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


FETCH = """async ([url, options]) => {
  try {
    const answer = await fetch(url, {credentials: "include", ...options});
    return {status: answer.status, body: await answer.json(), challenge: answer.headers.get("www-authenticate")};
  } catch (error) { return null; }
}"""


def fetch(page: Page, url: str, **options: Any) -> Any:
    return page.evaluate(FETCH, [url, options])


def preflight(running: Running, path: str, origin: str, method: str = "PUT", **headers: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method} | headers
    return httpx.request("OPTIONS", running.url + path, headers=asked, trust_env=False)


def test_a_friend_can_read_why_it_may_not(page: Page, running: Running, friend: str) -> None:
    page.goto(friend)
    told = fetch(page, running.url + "/x?a=b")
    assert told["status"] == 401
    assert told["body"]["sign_in_url"] == f"{running.url}/oauth2/start?rd=/x%3Fa%3Db"
    assert told["challenge"].startswith("TikTok ")
    assert fetch(page, running.url + "/oauth2/userinfo")["status"] == 401
    assert fetch(page, running.url + "/closed/x")["body"]["code"] == "forbidden"
    asked = fetch(page, running.url + "/oauth2/userinfo", headers={"x-mine": "1"})
    assert asked["status"] == 401


def test_a_friend_on_the_same_site_can_ask_who_is_there(page: Page, running: Running, friend: str) -> None:
    page.goto(running.url)
    page.click("#allow")
    page.goto(friend)
    assert fetch(page, running.url + "/oauth2/userinfo")["body"]["open_id"]
    # reading is allowed, acting is not
    assert fetch(page, running.url + "/oauth2/refresh", method="POST")["body"]["code"] == "cross_site"


def test_a_stranger_can_read_nothing(page: Page, running: Running, stranger: str) -> None:
    page.goto(stranger)
    for path in ("/x", "/oauth2/userinfo", "/closed/x", "/answered/x"):
        assert fetch(page, running.url + path) is None
        assert fetch(page, running.url + path, method="PUT") is None


def test_an_answered_preflight_lets_the_request_follow(page: Page, running: Running, friend: str) -> None:
    page.goto(friend)
    told = fetch(page, running.url + "/answered/x", method="PUT", headers={"x-mine": "1"}, body="{}")
    assert told["status"] == 401
    assert fetch(page, running.url + "/x", method="PUT") is None  # refused, as by default


def test_a_passed_preflight_comes_to_the_app_without_a_name(running: Running, stranger: str) -> None:
    answer = preflight(running, "/passed/x", stranger, **{"X-TikTok-Open-Id": "evil"})
    assert answer.status_code == 200
    told = dict(answer.json()["headers"])
    assert answer.json()["method"] == "OPTIONS"
    assert told["origin"] == stranger
    assert not [name for name in told if name.startswith("x-tiktok")]
    assert preflight(running, "/only-put/x", stranger).status_code == 200


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/x", "PUT", {}),
        ("/passed/x", "PUT", {"Cookie": "a=b"}),
        ("/passed/x", "PUT", {"Content-Length": "0"}),
        ("/passed/x", "", {}),
        ("/only-put/x", "POST", {}),
        ("/answered/x", "PUT", {"Access-Control-Request-Headers": "a b"}),
    ],
)
def test_anything_else_is_told_401(
    running: Running, friend: str, path: str, method: str, headers: dict[str, str]
) -> None:
    answer = preflight(running, path, friend, method, **headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


def test_a_closed_route_stays_closed(running: Running, friend: str) -> None:
    assert preflight(running, "/closed/x", friend).status_code == 403
    assert preflight(running, "/answered/x", "https://evil.example").status_code == 401


def test_pages_and_redirects_are_for_nobody_elses_scripts(running: Running, friend: str) -> None:
    for path in ("/x", "/closed/x", "/oauth2/sign_in", "/oauth2/account"):
        answer = httpx.get(running.url + path, headers={**NAVIGATION, "Origin": friend}, trust_env=False)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "www.example.com", "https://www.example.com/path", "https://*.example.com"]
)
def test_origins_are_exact(simulator: RunningSimulator, origin: str) -> None:
    with pytest.raises(SettingsError, match=r"cors\.allowed_origins"):
        read_settings(simulator, "https://app.example.com", cors__allowed_origins=json.dumps([origin]))


def test_an_answer_for_nobody_is_a_mistake(simulator: RunningSimulator) -> None:
    with pytest.raises(SettingsError, match=r"cors\.allowed_origins"):
        read_settings(simulator, "https://app.example.com", routes="[{path: /**, preflight: answer}]")


def every_error(root: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [root, *(each for child in root.__subclasses__() for each in every_error(child))]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_is_a_whole_problem_and_a_page(kind: type[GatewayError]) -> None:
    """RFC 9457 §3.1; the message of the exception is in neither."""
    site = Site(public_url="https://app.example", prefix="/oauth2", allowed_hosts=frozenset(), shared=False)
    pages = ErrorPages(Pages(prefix="/oauth2", site="app.example"), site)
    error = kind("secret words")
    told = pages.answer(error, Viewer.PROGRAM, "r")
    body = json.loads(told.body)
    assert dict(told.headers)[b"content-type"] == b"application/problem+json"
    assert body | {"status": told.status, "code": kind.code, "request_id": "r"} == body
    assert body["type"] == f"urn:tiktok-gateway:problem:{kind.code}"
    assert body["title"]
    assert body["detail"].endswith((".", "!"))
    shown = pages.answer(error, Viewer.WINDOW, "r", within="TikTok")
    assert shown.status == told.status
    assert b"secret words" not in told.body + shown.body
    assert (b"www-authenticate" in dict(told.headers)) == (told.status == 401)


def test_codes_are_told_apart() -> None:
    plain = [kind.code for kind in every_error() if not kind.__subclasses__()]
    assert sorted(set(plain)) == sorted(plain)


def test_a_front_that_asks_about_a_preflight_is_told_as_much(
    simulator: RunningSimulator, upstream: str, friend: str
) -> None:
    changes = {
        "routes": ROUTES,
        "forward_auth__listen": "127.0.0.1:0",
        "cors__allowed_origins": json.dumps([friend]),
    }
    asked = {"Origin": friend, "Access-Control-Request-Method": "PUT", "X-Forwarded-Method": "OPTIONS"}
    with WAYS["fast"](simulator, upstream, **changes) as running:
        for path, status in (("/passed/x", 202), ("/x", 401), ("/answered/x", 401), ("/closed/x", 403)):
            headers = asked | {"X-Forwarded-Uri": path}
            answer = httpx.get(running.checks + "/oauth2/auth", headers=headers, trust_env=False)
            assert answer.status_code == status, path
            assert not [name for name in answer.headers if name.startswith("x-tiktok")]


def test_an_origin_that_anybody_may_pose_as_is_warned_of(simulator: RunningSimulator) -> None:
    origins = json.dumps(["http://www.example.com", "https://www.example.com", "http://localhost:5173"])
    settings = read_settings(simulator, "https://app.example.com", cors__allowed_origins=origins)
    told = [problem.message for problem in warnings(settings) if problem.key == "cors.allowed_origins"]
    assert len(told) == 1
    assert "http://www.example.com" in told[0]
