"""The operator's pages in a real browser: without script, at any width, by keyboard, light and dark."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from gateway.simulator import RunningSimulator
from gateway.simulator.webhook import send_webhook
from tests.harness import Browser
from tests.operator import KEY, Overseen, serve_overseen

PATHS = ("", "/sessions", "/grants", "/activity", "/settings", "/person", "/nowhere")


@pytest.fixture(scope="module")
def overseen(simulator: RunningSimulator, upstream: str) -> Generator[Overseen]:
    with serve_overseen(simulator, upstream, tiktok__webhook__enabled="true") as overseen:
        for person in ("dash", "emoji", "crlf"):
            with Browser(overseen.url) as browser:
                browser.client.headers["user-agent"] = "Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1"
                browser.sign_in(person=person)
        settings = simulator.settings
        send_webhook(
            overseen.url + "/oauth2/webhook",
            "video.publish.completed",
            simulator.people["dash"].open_id,
            client_key=settings.client_key,
            secret=settings.client_secret,
        )
        yield overseen


def sign_in(page: Page, overseen: Overseen) -> None:
    page.goto(overseen.admin)
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Overview")


@pytest.fixture
def context(chromium: Chromium) -> Generator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "light"), (1280, "dark")])
def test_every_page_fits_is_accessible_and_quiet(
    chromium: Chromium, overseen: Overseen, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(15_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(overseen.admin)
    found = {"sign_in": Axe().run(page)}
    sign_in(page, overseen)
    for path in PATHS:
        person = f"?open_id={overseen.simulator.people['dash'].open_id}" if path == "/person" else ""
        page.goto(f"{overseen.admin}/admin{path}{person}")
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        for link in page.locator("nav a").all():  # none that has to be found by scrolling
            place = link.bounding_box()
            assert place is not None
            assert place["x"] + place["width"] <= width, path
        for box in page.locator("button, input:not([type=hidden])").all():
            size = box.bounding_box()
            assert size is not None
            assert size["height"] >= (44 if width < 700 else 36), path
        found[path] = Axe().run(page)
    context.close()
    violations = {path: result.generate_report() for path, result in found.items() if result.violations_count}
    assert violations == {}
    # Chromium tells of the page that is not there, and of nothing else
    assert [line for line in said if "404" not in line] == []


def test_all_works_without_script(chromium: Chromium, overseen: Overseen) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(15_000)
    sign_in(page, overseen)
    page.click("nav >> text=Sessions")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3)
    page.click("text=@dash")
    expect(page.locator("h1")).to_have_text("Dash O'Hare")
    page.click("text=End the grant")
    expect(page.locator("h1")).to_have_text("End the grant?")
    page.click("text=Leave it")
    expect(page.locator("h1")).to_have_text("Dash O'Hare")
    page.click("text=End all sessions")
    page.click("button.danger")
    expect(page.get_by_role("status")).to_have_text("All sessions of this person have ended.")
    page.click("nav >> text=Sessions")
    expect(rows).to_have_count(2)
    page.locator("tbody button").first.click()
    expect(page.get_by_role("status")).to_have_text("The session has ended.")
    expect(rows).to_have_count(1)
    page.click("text=Sign out")
    expect(page.locator("h1")).to_have_text("Operator's sign-in")
    page.go_back()
    expect(page.locator("tbody")).to_have_count(0)
    context.close()


def test_a_wrong_key_is_told_and_the_way_is_kept(context: BrowserContext, overseen: Overseen) -> None:
    page = context.new_page()
    page.goto(f"{overseen.admin}/admin/grants")
    page.fill("#key", "x" * 40)
    page.click("text=Sign in >> nth=-1")
    expect(page.get_by_role("alert")).to_have_text("That is none of the keys.")
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Grants")
    assert page.evaluate("document.cookie") == ""


def test_another_origins_form_changes_nothing(context: BrowserContext, overseen: Overseen) -> None:
    """The same host on another port is the same site: the cookie goes with it, and the form is refused all the same."""
    page = context.new_page()
    sign_in(page, overseen)
    page.goto(overseen.simulator.url + "/simulator/people")
    page.set_content(
        f'<form method="post" action="{overseen.admin}/admin/erase"><input name="open_id" value="x">'
        '<input name="sure" value="1"><button>go</button></form>'
    )
    page.click("button")
    expect(page.locator("h1")).to_have_text("This request came from another site")
    assert overseen.simulator.simulator.calls["revoke"] == 0
