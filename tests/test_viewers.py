"""Who sees an answer: people, also behind a service worker and within a frame, in a real Chromium; and programs."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.requests import Request

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import NAVIGATION, SAME_ORIGIN, WAYS, Running, asgi_form, echo, listener, serve_app, serve_gateway
from tests.harness import Browser as Visitor

ROUTES = """[
  {path: /open/**, access: public},
  {path: /sw.js, access: public},
  {path: /videos/**, scopes: [video.list]},
  {path: /staff/**, allow: {usernames: [somebody.else]}},
  {path: /**, keep_post: true},
]"""
WORKER = b"""
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", event => event.waitUntil(clients.claim()));
self.addEventListener("fetch", event => event.respondWith(fetch(event.request)));
"""
FRAMED = {
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "iframe",
    "sec-fetch-site": "cross-site",
    "accept": "text/html",
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An app with a service worker, and pages to frame others in."""
    if scope["type"] != "http":
        return
    pages = {
        "/sw.js": (b"text/javascript", WORKER),
        "/open/pwa": (b"text/html", b"<title>pwa</title><script>navigator.serviceWorker.register('/sw.js')</script>"),
        "/open/form": (b"text/html", b'<form method="post" action="/c"><input name="a" value="1"><button>go</button>'),
    }
    if scope["path"] == "/open/frame":
        source = Request(scope).query_params["of"].encode()
        pages["/open/frame"] = (b"text/html", b'<title>portal</title><iframe src="%b" width=600 height=600>' % source)
    if scope["path"] not in pages:
        await echo(scope, receive, send)
        return
    kind, body = pages[scope["path"]]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(app) as upstream, serve_gateway(simulator, upstream, routes=ROUTES) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def register_worker(page: Page, gateway: Running) -> None:
    page.goto(gateway.url + "/open/pwa")
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("navigator.serviceWorker.controller !== null")


def sign_in(page: Page) -> None:
    expect(page).to_have_title("TikTok simulator")
    page.click("#allow")


def test_behind_a_service_worker_people_get_in_and_out(page: Page, gateway: Running) -> None:
    register_worker(page, gateway)
    page.goto(gateway.url + "/c?a=1")
    sign_in(page)
    assert page.url == gateway.url + "/c?a=1"
    told = dict(_received(page)["headers"])
    assert (told["sec-fetch-mode"], told["sec-fetch-dest"]) == ("navigate", "empty")  # it has passed the worker

    page.goto(gateway.url + "/videos/x")
    expect(page.locator("h1")).to_have_text("One more permission")
    page.goto(gateway.url + "/staff/x")
    expect(page.locator("h1")).to_have_text("You may not go there")

    page.goto(gateway.url + "/oauth2/sign_out")
    page.click("button")
    expect(page.locator("h1")).to_have_text("You are signed out")
    page.goto(gateway.url + "/c")
    expect(page).to_have_title("TikTok simulator")


def test_behind_a_service_worker_a_form_is_kept(page: Page, gateway: Running) -> None:
    register_worker(page, gateway)
    page.goto(gateway.url + "/open/form")
    page.click("button")
    expect(page.locator("main")).to_contain_text("is kept for 15 minutes")
    page.click("#start")
    sign_in(page)
    expect(page.locator("h1")).to_have_text("Send it now?")
    expect(page.locator(".sent")).to_contain_text("a")
    expect(page.locator("main")).to_contain_text("you send it as Ada Plain (@ada.plain)")
    page.click("main button")
    assert _received(page)["body"] == "a=1"


@pytest.mark.parametrize("worker", [False, True], ids=["plain", "worker"])
def test_behind_a_service_worker_another_sites_form_signs_nobody_out(
    page: Page, gateway: Running, worker: bool
) -> None:
    if worker:
        register_worker(page, gateway)
    page.goto(gateway.url + "/c")
    sign_in(page)
    page.goto(gateway.simulator.url + "/simulator/people")
    page.set_content(f'<form method="post" action="{gateway.url}/oauth2/sign_out"><button>go</button></form>')
    page.click("button")
    expect(page.locator("h1")).to_have_text("This request came from another site")
    page.goto(gateway.url + "/c")
    assert "x-tiktok-open-id" in dict(_received(page)["headers"])


def _received(page: Page) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(page.locator("pre").inner_text())
    return told


@pytest.mark.parametrize("other_site", [False, True], ids=["own site", "another site"])
def test_within_a_frame_there_is_a_way_out(page: Page, gateway: Running, other_site: bool) -> None:
    with contextlib.ExitStack() as stack:
        portal = gateway.url
        if other_site:  # 127.0.0.1 and localhost are two sites
            portal = stack.enter_context(serve_app(app, listener())).replace("127.0.0.1", "localhost")
        page.goto(f"{portal}/open/frame?of={gateway.url}/c?a=1")
        frame = page.frame_locator("iframe")
        expect(frame.locator("h1")).to_have_text("Sign in")
        frame.locator("#start").click()
        sign_in(page)
        page.wait_for_url(gateway.url + "/c?a=1")


@pytest.mark.parametrize(
    ("target", "status", "title"),
    [
        ("/staff/x", 403, "You may not go there"),
        ("/videos/x", 403, "One more permission"),
        ("/a%2fb", 400, "This request cannot be understood"),
        ("/oauth2/nothing", 404, "There is no such page"),
    ],
)
def test_every_refusal_is_a_page_in_a_window_and_in_a_frame(
    page: Page, gateway: Running, target: str, status: int, title: str
) -> None:
    page.goto(gateway.url + "/c")
    sign_in(page)
    answer = page.goto(gateway.url + target)
    assert answer is not None
    assert answer.status == status
    expect(page.locator("h1")).to_have_text(title)
    page.goto(f"{gateway.url}/open/frame?of={quote(target)}")
    frame = page.frame_locator("iframe")
    expect(frame.locator("h1")).to_have_text(title)
    out = frame.locator("main a").first
    assert out.get_attribute("target") == "_top"
    out.click()
    page.wait_for_function("document.title !== 'portal'")


FORMS = {**WAYS, "asgi": asgi_form, "wsgi": wsgi}


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    """The gateway in each of its forms."""
    changes = {"limits__header_bytes": "8KiB", "limits__target_bytes": "1KiB", "routes": ROUTES}
    if request.param in WAYS:
        with WAYS[request.param](simulator, upstream, **changes) as running:
            yield running
    else:
        with FORMS[request.param](simulator, **changes) as running:  # type: ignore[operator]
            yield running


REFUSED = [
    ("/a%2fb", {}, 400, "malformed_request"),
    ("/" + "a" * 1100, {}, 414, "target_too_long"),
    ("/x", {"cookie": "a=" + "x" * 9000}, 431, "headers_too_large"),
]


@pytest.mark.parametrize(("target", "headers", "status", "code"), REFUSED)
def test_what_could_not_be_read_is_answered_to_whoever_sees_it(
    form: Running, target: str, headers: dict[str, str], status: int, code: str
) -> None:
    with Visitor(form.url) as visitor:
        for shown in (visitor.navigate(target, headers=headers), visitor.navigate(target, headers=headers | FRAMED)):
            assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
            assert f"<code>{code}</code>" in shown.text
            assert target not in shown.text
        told = visitor.fetch(target, headers=headers)
        assert (told.status_code, told.json()["code"]) == (status, code)


@pytest.mark.parametrize("headers", [NAVIGATION, FRAMED])
def test_what_the_server_refuses_while_it_arrives_is_a_page_too(gateway: Running, headers: dict[str, str]) -> None:
    """Browsers send the cookies last: what came before them tells who sees the answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    shown, told = (
        _ask(gateway, f"GET / HTTP/1.1\r\nHost: x\r\n{said}Cookie: a=" + "x" * 60_000) for said in (lines, "")
    )
    assert shown.startswith("HTTP/1.1 431 ")
    assert "content-type: text/html" in shown
    assert "<h1>The request headers are too large.</h1>" in shown
    assert "content-type: text/plain" in told


def _ask(gateway: Running, text: str) -> str:
    with socket.create_connection(gateway.address, timeout=10) as connection:
        connection.sendall(text.encode())
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    return received.decode()


@pytest.mark.parametrize("page", ["userinfo", "account", "start", "kept_post?id=x"])
def test_pages_of_ours_are_no_json_in_a_frame(form: Running, page: str) -> None:
    answer = httpx.get(f"{form.url}/oauth2/{page}", headers=FRAMED, trust_env=False)
    assert answer.status_code == 401
    assert 'target="_top"' in answer.text
    assert "location" not in answer.headers


def test_a_button_of_a_page_that_was_left_open_leads_to_a_page(form: Running) -> None:
    pressed = NAVIGATION | {"sec-fetch-site": "same-origin"}
    answer = httpx.post(form.url + "/oauth2/disconnect", headers=pressed, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "your session has ended" in answer.text
    asked = httpx.post(form.url + "/oauth2/disconnect", headers=SAME_ORIGIN, trust_env=False)
    assert asked.json()["code"] == "unauthenticated"


def test_userinfo_is_a_page_for_people_who_are_not_signed_in(form: Running) -> None:
    with Visitor(form.url) as visitor:
        shown = visitor.navigate("/oauth2/userinfo")
        assert (shown.status_code, shown.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert visitor.fetch("/oauth2/userinfo").json()["code"] == "unauthenticated"


HTMX = {"hx-request": "true", "accept": "*/*"}


@pytest.mark.parametrize(
    ("current", "rd"),
    [
        ("{url}/list?page=2&q=%C3%A9", "/list%3Fpage%3D2%26q%3D%25C3%25A9"),
        ("{url}/list#part", "/list%23part"),
        ("{url}", "/"),
        ("https://evil.example/x", "/"),
        ("//evil.example/x", "/"),
        ("{url}.evil.example/x", "/"),
        ("javascript:alert(1)", "/"),
        ("{url}/oauth2/sign_out", "/"),
        (None, "/"),
    ],
)
def test_htmx_is_led_to_the_sign_in_in_the_whole_window(form: Running, current: str | None, rd: str) -> None:
    said = HTMX | ({"hx-current-url": current.replace("{url}", form.url)} if current else {})
    with Visitor(form.url) as visitor:
        told = visitor.fetch("/fragment", headers=said)
        assert told.status_code == 401
        assert told.headers["hx-redirect"] == f"/oauth2/start?rd={rd}"
        assert "hx-redirect" not in visitor.fetch("/fragment").headers
        assert "hx-redirect" not in visitor.fetch("/fragment", headers=said | {"hx-request": "yes"}).headers
        visitor.sign_in("/x")
        missing = visitor.fetch("/videos/fragment", headers=said)
        assert missing.status_code == 403
        assert missing.headers["hx-redirect"] == f"/oauth2/start?rd={rd}&scopes=video.list"
        denied = visitor.fetch("/staff/fragment", headers=said)
        assert denied.status_code == 403
        assert "hx-redirect" not in denied.headers


def test_htmx_comes_back_to_the_page_it_was_on(form: Running) -> None:
    said = HTMX | {"hx-current-url": form.url + "/list?page=2"}
    with Visitor(form.url) as visitor:
        begun = visitor.navigate(visitor.fetch("/fragment", headers=said).headers["hx-redirect"])
        returned = visitor.navigate(visitor.consent(begun.headers["location"]))
        assert returned.headers["location"] == form.url + "/list?page=2"
