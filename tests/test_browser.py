"""A person with a real browser: from the first click to the app, and out again."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.simulator import RunningSimulator
from tests.harness import Running, serve_gateway

ROUTES = "[{path: /headers, access: optional}, {path: /**}]"


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with run_sample_app() as upstream, serve_gateway(simulator, upstream, routes=ROUTES) as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(15_000)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    # a page that breaks its own Content-Security-Policy says so on the console
    assert [problem for problem in problems if "Content Security Policy" in problem] == []


def sign_in(page: Page, gateway: Running, target: str = "/", person: str = "emoji") -> None:
    page.goto(gateway.url + target)
    expect(page).to_have_title("TikTok simulator")
    page.check(f'input[value="{person}"]')
    page.click("#allow")


def test_in_and_out(page: Page, gateway: Running) -> None:
    sign_in(page, gateway, "/?deep=link#part")
    assert page.url == gateway.url + "/?deep=link#part"
    expect(page.locator("h1")).to_contain_text("李小龙 🦊")
    expect(page.locator("table")).to_contain_text("act.")

    page.click("text=Account")
    expect(page.locator("h1")).to_contain_text("李小龙 🦊")
    expect(page.get_by_text("Chrome on Linux")).to_be_visible()
    expect(page.get_by_text("this one")).to_be_visible()
    assert page.evaluate("document.cookie") == ""

    page.goto(gateway.url)
    page.click("text=Sign out")
    expect(page.locator("h1")).to_have_text("Sign out?")
    page.click("button")
    expect(page.locator("h1")).to_have_text("You are signed out")

    page.go_back()
    page.go_back()
    expect(page.locator("body")).not_to_contain_text("act.")
    page.goto(gateway.url)
    expect(page).to_have_title("TikTok simulator")


def test_a_refusal_can_be_thought_over(page: Page, gateway: Running) -> None:
    page.goto(gateway.url)
    page.click("#deny")
    expect(page.locator("h1")).to_have_text("You did not allow the sign-in")
    page.click("main a")
    expect(page).to_have_title("TikTok simulator")


def test_a_person_may_untick_a_scope(page: Page, gateway: Running) -> None:
    page.goto(gateway.url)
    page.uncheck('input[value="user.info.profile"]')
    page.click("#allow")
    expect(page.locator("table")).to_contain_text("user.info.basic")
    expect(page.locator("table")).not_to_contain_text("user.info.profile")


def test_a_reloaded_callback_finds_its_way(page: Page, gateway: Running) -> None:
    callbacks: list[str] = []
    page.on("request", lambda request: callbacks.append(request.url) if "/callback?" in request.url else None)
    sign_in(page, gateway)
    expect(page.locator("h1")).to_contain_text("Hello")
    redemptions = gateway.simulator.redemptions
    page.goto(callbacks[0])
    expect(page.locator("h1")).to_contain_text("Hello")
    assert gateway.simulator.redemptions == redemptions


@pytest.mark.parametrize("query", ["?code=c0de&state=st4te", "?error=access_denied&state=st4te"])
def test_a_callback_that_fails_leaves_nothing_in_the_address_bar(page: Page, gateway: Running, query: str) -> None:
    page.goto(gateway.url + "/headers")
    answer = page.goto(gateway.url + "/oauth2/callback" + query)
    assert answer is not None
    assert answer.status == 400
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_url(gateway.url + "/oauth2/callback")
    page.go_back()
    page.go_forward()
    assert page.url == gateway.url + "/oauth2/callback"
    # an app's own page keeps its query, whatever it is called
    page.goto(gateway.url + "/oauth2/nothing-here?code=c0de")
    expect(page.locator("h1")).to_be_visible()
    assert page.url.endswith("?code=c0de")


def test_everything_works_by_keyboard(page: Page, gateway: Running) -> None:
    sign_in(page, gateway)
    page.goto(gateway.url + "/oauth2/account")
    reached = set()
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Sign out", "Sign out everywhere", "Disconnect TikTok"} <= reached
    page.focus("text=Sign out everywhere")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are signed out")


def test_disconnecting(page: Page, gateway: Running) -> None:
    sign_in(page, gateway, person="dash")
    page.goto(gateway.url + "/oauth2/account")
    page.click("text=Disconnect TikTok")
    expect(page.locator("h1")).to_have_text("Disconnect TikTok?")
    assert gateway.simulator.simulator.calls["revoke"] == 0
    page.click("button")
    expect(page.locator("h1")).to_have_text("TikTok is disconnected")
    assert gateway.simulator.simulator.calls["revoke"] >= 1


def test_another_sites_form_cannot_sign_out(page: Page, gateway: Running) -> None:
    sign_in(page, gateway)
    expect(page.locator("h1")).to_contain_text("Hello")
    # the same host on another port is another origin, though the same site
    page.goto(gateway.simulator.url + "/simulator/people")
    page.set_content(f'<form method="post" action="{gateway.url}/oauth2/sign_out"><button>go</button></form>')
    page.click("button")
    expect(page.locator("h1")).to_have_text("This request came from another site")
    page.goto(gateway.url)
    expect(page.locator("h1")).to_contain_text("Hello")


@pytest.mark.parametrize("path", ["sign_in", "sign_out", "account", "callback?state=x", "nothing"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit(page: Page, gateway: Running, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, gateway, person="crlf")
    page.goto(f"{gateway.url}/oauth2/{path}")
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.lang") == "en"
    # the stylesheet was let in by the policy and applied
    assert page.evaluate("getComputedStyle(document.querySelector('main')).borderTopLeftRadius") == "16px"
