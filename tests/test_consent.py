"""A permission that is missing, in a real browser: asked for, refused, granted later; from a page and by a script."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gateway.simulator import RunningSimulator
from tests.harness import Running, serve_app, serve_gateway

ROUTES = """[
  {path: /videos/**, scopes: [video.list], reason: "We show your videos beside your statistics."},
  {path: /**}
]"""
FETCH = """async (path) => {
  const answer = await fetch(path);
  return {status: answer.status, told: answer.ok ? {} : await answer.json()};
}"""


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Greet at any address, and show what was granted."""
    if scope["type"] == "http":
        request = Request(scope)
        page = f"<h1>Hello</h1><table><tr><td>{request.headers['x-tiktok-scopes']}</td></tr></table>"
        await HTMLResponse(page)(scope, receive, send)


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(greet) as upstream, serve_gateway(simulator, upstream, routes=ROUTES) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, gateway: Running) -> Generator[Page]:
    """Somebody is signed in, with the usual scopes."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(gateway.url + "/")
    page.click("#allow")
    expect(page.locator("h1")).to_contain_text("Hello")
    yield page
    page.goto(gateway.url + "/oauth2/account")  # what was given is taken back
    page.click("text=Disconnect TikTok")
    page.click("button")
    expect(page.locator("h1")).to_have_text("TikTok is disconnected")
    context.close()


def test_a_page_says_what_is_asked_and_why_and_leads_back(page: Page, gateway: Running) -> None:
    answer = page.goto(gateway.url + "/videos/mine?sort=new")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("h1")).to_have_text("One more permission")
    expect(page.locator("main")).to_contain_text("Your public videos")
    expect(page.locator("main")).to_contain_text("We show your videos beside your statistics.")
    page.click("text=Continue with TikTok")
    expect(page).to_have_title("TikTok simulator")
    asked = page.locator('input[name="scope"]')
    assert {each.get_attribute("value") for each in asked.all()} >= {"user.info.profile", "video.list"}
    page.click("#allow")
    assert page.url == gateway.url + "/videos/mine?sort=new"
    expect(page.locator("h1")).to_contain_text("Hello")
    expect(page.locator("table")).to_contain_text("video.list")


def test_a_refusal_does_not_go_round_in_circles(page: Page, gateway: Running) -> None:
    page.goto(gateway.url + "/videos/mine")
    page.click("text=Continue with TikTok")
    page.click("#deny")
    expect(page.locator("h1")).to_have_text("You did not share any more")
    expect(page.locator("main")).to_contain_text("Your public videos")
    expect(page.locator("main")).to_contain_text("You are still signed in, and everything else goes on as before.")
    page.click("text=Back to where you were")
    assert page.url == gateway.url + "/videos/mine"
    expect(page.locator("h1")).to_have_text("One more permission")
    page.goto(gateway.url + "/")
    expect(page.locator("h1")).to_contain_text("Hello")  # nobody was signed out

    # unticked: TikTok says yes, but not to that
    page.goto(gateway.url + "/videos/mine")
    page.click("text=Continue with TikTok")
    page.uncheck('input[value="video.list"]')
    page.click("#allow")
    expect(page.locator("h1")).to_have_text("You did not share any more")
    expect(page.locator("main")).to_contain_text("Your public videos")
    page.click("text=Back to where you were")
    assert page.url == gateway.url + "/videos/mine"
    expect(page.locator("h1")).to_have_text("One more permission")

    # and later, after all
    page.click("text=Continue with TikTok")
    page.click("#allow")
    expect(page.locator("table")).to_contain_text("video.list")


def test_a_script_is_told_and_finds_the_way(page: Page, gateway: Running) -> None:
    told = page.evaluate(FETCH, "/videos/list.json")
    assert told["status"] == 403
    assert told["told"]["code"] == "insufficient_scope"
    assert told["told"]["missing_scopes"] == ["video.list"]
    page.goto(told["told"]["sign_in_url"])
    expect(page).to_have_title("TikTok simulator")
    page.click("#allow")
    assert page.url == gateway.url + "/videos/list.json"
    page.goto(gateway.url + "/")
    assert page.evaluate(FETCH, "/videos/list.json")["status"] == 200


def test_the_session_changes_and_other_devices_gain_by_it(page: Page, gateway: Running, chromium: Browser) -> None:
    context = chromium.new_context()
    phone = context.new_page()
    phone.goto(gateway.url + "/")
    phone.click("#allow")
    expect(phone.locator("h1")).to_contain_text("Hello")
    before = {cookie["name"]: cookie["value"] for cookie in page.context.cookies() if "value" in cookie}
    page.goto(gateway.url + "/videos/mine")
    page.click("text=Continue with TikTok")
    page.click("#allow")
    expect(page.locator("table")).to_contain_text("video.list")
    after = {cookie["name"]: cookie["value"] for cookie in page.context.cookies() if "value" in cookie}
    assert before["gateway"] != after["gateway"]
    assert phone.evaluate(FETCH, "/videos/list.json")["status"] == 200
    context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits(page: Page, gateway: Running, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(gateway.url + "/videos/mine")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
