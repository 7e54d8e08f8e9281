"""A form that is sent after the session has ended: kept, and sent again by one click after the sign-in."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.requests import Request

from gateway.flows import kept_posts
from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import NAVIGATION, WAYS, Running, echo, serve_app
from tests.harness import Browser as Visitor
from tests.redis_server import RedisServer

ROUTES = """[
  {path: /form, methods: [GET], access: public},
  {path: /lost/**},
  {path: /never/**, keep_post: true, on_unauthenticated: unauthorized},
  {path: /**, keep_post: true},
]"""
NOT_DELIVERED = "was not delivered: sign in"
CROSS_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
SENT = NAVIGATION | {"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}

FORM = """<!doctype html><meta charset="utf-8"><title>guestbook</title>
<form method="post" action="/book?page=1&amp;x=%2F" enctype="ENCTYPE">
<input name="name" value="李 &lt;b&gt; &quot;q&quot; &amp;amp; 🦊"><input name="name" value="">
<input type="hidden" name="csrf" value="tok+en/=">
<textarea name="text">first
second</textarea><input type="checkbox" name="ok" checked><input type="file" name="file">
<button name="act" value="save">Save</button></form>"""


async def guestbook(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/form":
        html = FORM.replace("ENCTYPE", Request(scope).query_params["as"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": html})
    else:
        await echo(scope, receive, send)


@pytest.fixture(scope="module", params=WAYS)
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(guestbook) as upstream, WAYS[request.param](simulator, upstream, routes=ROUTES) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def received(page: Page) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(page.locator("pre").inner_text())
    return told


def shape(told: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return what the app saw of a form: all but the boundary that a browser makes anew."""
    kind = dict(told["headers"])["content-type"]
    boundary = kind.partition("boundary=")[2]
    body = told["body"].replace(boundary, "BOUNDARY") if boundary else told["body"]
    return told["method"], told["path"] + "?" + told["query"], kind.replace(boundary or "\0", "BOUNDARY"), body


@pytest.mark.parametrize("encoding", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_comes_to_the_app_as_it_was_sent(page: Page, gateway: Running, encoding: str) -> None:
    page.goto(f"{gateway.url}/")
    page.click("#allow")
    page.goto(f"{gateway.url}/form?as={encoding}")
    page.click("text=Save")
    genuine = received(page)

    page.goto(f"{gateway.url}/form?as={encoding}")
    page.context.clear_cookies()  # meanwhile the session ends
    page.click("text=Save")
    expect(page.locator("main")).to_contain_text("is kept for 15 minutes")
    page.click("#start")
    page.click("#allow")
    expect(page.locator("h1")).to_have_text("Send it now?")
    at = page.url
    page.click("main button")
    again = received(page)
    assert shape(again) == shape(genuine)
    # an app that checks the origin of forms is content
    assert dict(again["headers"])["origin"] == gateway.url
    assert dict(again["headers"])["sec-fetch-site"] == "same-origin"
    page.goto(at)
    expect(page.locator("h1")).to_have_text("What you sent is no longer kept")


def test_files_are_not_kept(page: Page, gateway: Running) -> None:
    page.goto(f"{gateway.url}/form?as=multipart/form-data")
    page.set_input_files("input[type=file]", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.click("text=Save")
    expect(page.locator("main")).to_contain_text("could not be kept")
    expect(page.locator("#start")).to_have_text("Continue with TikTok")


def send(visitor: Visitor, target: str = "/book", content: bytes = b"a=1", **headers: str) -> httpx.Response:
    return visitor.navigate(target, method="POST", content=content, headers=SENT | headers)


def start_of(answer: httpx.Response) -> str:
    return str(re.findall(r'href="([^"]*/start\?rd=[^"]*)"', answer.text)[0])


def kept_page(visitor: Visitor, sent: httpx.Response) -> str:
    """Sign in; returns the address of the page that offers to send."""
    begun = visitor.navigate(start_of(sent))
    returned = visitor.navigate(visitor.consent(begun.headers["location"]))
    return str(returned.headers["location"])


def test_it_is_another_browsers_never(gateway: Running) -> None:
    with Visitor(gateway.url) as owner, Visitor(gateway.url) as thief:
        address = kept_page(owner, send(owner))
        assert "/oauth2/kept_post?id=" in address
        thief.sign_in("/book")
        assert thief.navigate(address).status_code == 404
        # nor does it take two, or one that is only looked at
        assert owner.navigate(address, method="HEAD").status_code == 401
        assert owner.fetch(address).status_code == 401
        assert owner.navigate(address + "&id=x").status_code == 404
        shown = owner.navigate(address)
        assert f'action="{gateway.url}/book"' in shown.text
        assert '<input type="hidden" name="a" value="1">' in shown.text
        assert owner.navigate(address).status_code == 404


def test_a_session_that_has_died_is_none(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        visitor.client.cookies.set("gateway", "x" * 43, domain="127.0.0.1")
        assert "kept for 15 minutes" in send(visitor).text


def test_nobody_signed_in_sees_it(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        address = kept_page(visitor, send(visitor))
        del visitor.client.cookies["gateway"]
        assert visitor.navigate(address).headers["location"].startswith(gateway.simulator.url)


@pytest.mark.parametrize(
    ("target", "content", "headers", "told"),
    [
        ("/lost/x", b"a=1", {}, NOT_DELIVERED),
        ("/book", b"a=" + b"x" * 65_536, {}, "could not be kept"),
        ("/book", b"a=%ff", {}, "could not be kept"),
        ("/book", b"a=1", CROSS_SITE, NOT_DELIVERED),
        ("/book", b"a=1", CROSS_SITE | {"sec-fetch-site": "same-site"}, NOT_DELIVERED),
        ("/book", b"{}", {"content-type": "application/json"}, NOT_DELIVERED),
    ],
)
def test_what_is_not_kept(gateway: Running, target: str, content: bytes, headers: dict[str, str], told: str) -> None:
    with Visitor(gateway.url) as visitor:
        answer = send(visitor, target, content, **headers)
        assert answer.status_code == 401
        assert told in answer.text
        assert "kept_post" not in answer.text


def test_programs_are_told_401(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        answer = visitor.fetch("/book", method="POST", data={"a": "1"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_route_that_shows_no_page_keeps_nothing(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        answer = send(visitor, "/never/x")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_at_another_host_the_browser_could_not_be_known_again(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        assert NOT_DELIVERED in send(visitor, host="other.example").text


def test_who_is_signed_in_sends_as_ever(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        visitor.sign_in("/book")
        assert send(visitor).json()["body"] == "a=1"


def test_nobody_fills_the_store(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"routes": ROUTES, "limits__sign_in_attempts": "5"}
    with WAYS["fast"](simulator, upstream, **changes) as running, Visitor(running.url) as visitor:
        statuses = [send(visitor).status_code for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3


def test_strangers_together_do_not_fill_the_store_with_large_ones(
    simulator: RunningSimulator, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_posts, "MOST_OF_ALL", 100_000)
    with WAYS["fast"](simulator, upstream, routes=ROUTES) as running, Visitor(running.url) as visitor:
        large = [send(visitor, content=b"a=" + b"x" * 40_000).status_code for _ in range(3)]
        assert large == [401, 401, 503]


def test_within_a_wsgi_app(simulator: RunningSimulator) -> None:
    with wsgi(simulator, routes=ROUTES) as running, Visitor(running.url) as visitor:
        address = kept_page(visitor, send(visitor, content=b"a=x+y&a=%F0%9F%A6%8A"))
        shown = visitor.navigate(address)
        assert 'name="a" value="x y"' in shown.text
        assert 'name="a" value="🦊"' in shown.text
        assert "could not be kept" in send(Visitor(running.url), content=b"a=" + b"x" * 65_536).text


def test_what_is_kept_is_sealed_and_ends(simulator: RunningSimulator, upstream: str, redis_server: RedisServer) -> None:
    changes = {"routes": ROUTES, "redis": redis_server.url}
    with WAYS["fast"](simulator, upstream, **changes) as running, Visitor(running.url) as visitor:
        sent = send(visitor, content=b"secret=very-secret-words")
        (key,) = re.findall(r"gateway:kept-post:[0-9a-f]{64}", redis_server.command("KEYS", "*"))
        post_id = start_of(sent).partition("id%3D")[2]
        assert len(post_id) == 43
        assert post_id not in key
        assert "secret" not in redis_server.command("GET", key)
        (lasts,) = re.findall(r":(\d+)", redis_server.command("TTL", key))
        assert 880 < int(lasts) <= 900
        visitor.navigate(kept_page(visitor, sent))
        assert "kept-post" not in redis_server.command("KEYS", "*")
