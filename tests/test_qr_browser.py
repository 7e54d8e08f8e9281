"""A television and a phone, each a real browser: the code is shown on one and confirmed on the other."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.simulator import RunningSimulator
from tests.harness import Running, serve_gateway
from tests.qr import read_qr

SHOTS = os.environ.get("GATEWAY_TESTS_SHOTS")
"""A folder for pictures of the pages, for whoever wants to look at them."""


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with (
        run_sample_app() as upstream,
        serve_gateway(simulator, upstream, qr_sign_in="true", sign_in="page", routes="[{path: /**}]") as running,
    ):
        yield running


def open_page(chromium: Browser, problems: list[str], **options: object) -> Page:
    page = chromium.new_context(**options).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(30_000)
    page.on("console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return page


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_a_television_signs_in_with_a_phone(chromium: Browser, gateway: Running, scripts: bool) -> None:
    problems: list[str] = []
    scheme = "dark" if scripts else "light"
    tv = open_page(
        chromium,
        problems,
        viewport={"width": 1280, "height": 720},
        java_script_enabled=scripts,
        color_scheme=scheme,
    )
    phone = open_page(chromium, problems, viewport={"width": 390, "height": 844})
    tv.goto(gateway.url + "/?deep=link")
    tv.click("text=Sign in with your phone")
    expect(tv.locator("h1")).to_have_text("Sign in with your phone")
    expect(tv.get_by_text("Only scan codes on a device that you are using yourself.")).to_be_visible()
    code = tv.locator("svg.qr").bounding_box()
    assert code is not None
    assert code["y"] + code["height"] <= 720  # all of it can be seen, and is large enough for a camera
    assert code["width"] >= 200
    shoot(tv, f"tv-code-{scheme}")

    phone.goto(read_qr(tv.content()))
    expect(tv.locator("h1")).to_have_text("Now confirm on your phone")
    shoot(tv, f"tv-scanned-{scheme}")
    shoot(phone, "phone")
    phone.check('input[value="emoji"]')
    phone.click("#allow")
    expect(phone.locator("h1")).to_have_text("Confirmed")

    expect(tv.locator("h1")).to_contain_text("李小龙 🦊")
    assert tv.url == gateway.url + "/?deep=link"
    assert problems == []
    phone.goto(gateway.url)
    expect(phone).to_have_title("Sign in · " + gateway.url.partition("//")[2])  # the phone itself is not signed in
    tv.context.close()
    phone.context.close()


def test_a_code_that_expires_while_it_is_shown_says_so(chromium: Browser, gateway: Running) -> None:
    problems: list[str] = []
    tv = open_page(chromium, problems)
    gateway.simulator.troubles.qr_lifetime = 3
    try:
        tv.goto(gateway.url + "/oauth2/qr?rd=/x")
        expect(tv.locator("svg.qr")).to_be_visible()
        expect(tv.locator("h1")).to_have_text("This code has expired")
        shoot(tv, "tv-expired")
    finally:
        gateway.simulator.troubles.reset()
    tv.click("text=Show a new code")
    expect(tv.locator("svg.qr")).to_be_visible()
    assert problems == []
    tv.context.close()
