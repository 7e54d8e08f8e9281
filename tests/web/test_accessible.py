"""Every page in a real browser: axe finds nothing, the console is quiet, nothing comes from elsewhere, and it fits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

from gateway.web.answers.samples import PICTURED, SAMPLES
from tests.web.gallery import SCHEMES, SIZES, fulfil, serve_gallery

AXE = Axe()
NARROWEST = 320
"""CSS pixels at which nothing may need sideways scrolling (WCAG 2.2 §1.4.10)."""
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""The rules of axe's that a dark scheme, which changes colours alone, can break where a light one does not."""


@pytest.fixture(scope="module")
def gallery() -> Generator[str]:
    with serve_gallery() as url:
        yield url


class Watched:
    """A page, and what it has said and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        self._events: dict[Any, Callable[[Any], None]] = {
            "console": lambda message: self.said.append(message.text),
            "pageerror": lambda error: self.said.append(str(error)),
            "request": lambda request: self.asked.append(request.url),
        }
        for event, note in self._events.items():
            page.on(event, note)
        page.route(PICTURED.picture, fulfil)

    def find_violations(self, rules: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return what axe finds on the page as it is shown now, by these of its rules or by all."""
        page = self.page
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE.axe_script)
        options = {"resultTypes": ["violations"]} | ({"runOnly": {"type": "rule", "values": rules}} if rules else {})
        violations: list[dict[str, Any]] = page.evaluate("options => axe.run(options).then(r => r.violations)", options)
        return violations

    def leave(self) -> None:
        """Leave the tab empty, to whoever watches it next."""
        self.page.goto("about:blank")
        for event, note in self._events.items():
            self.page.remove_listener(event, note)
        self.page.unroute_all()
        self.page.context.clear_cookies()


@pytest.fixture(scope="module")
def tab(chromium: Browser) -> Generator[Page]:
    """One tab for all: a browser takes longer to open another than to show a page, and axe is compiled for each."""
    context = chromium.new_context(reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def watched(tab: Page) -> Generator[Watched]:
    """The tab as if it were new, and watched anew."""
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    watched = Watched(tab)
    yield watched
    watched.leave()


@pytest.mark.parametrize(("brand", "language"), [("plain", "en"), ("full", "ar"), ("full", "ja")])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_is_for_everybody(gallery: str, watched: Watched, name: str, brand: str, language: str) -> None:
    page = watched.page
    page.goto(f"{gallery}/{brand}/{language}/{name}")
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            of_this = OF_COLOURS if scheme == "dark" else ()
            assert watched.find_violations(of_this) == [], (width, scheme)
    page.set_viewport_size({"width": NARROWEST, "height": 600})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST
    assert watched.said == []
    assert [url for url in watched.asked if not url.startswith(gallery + "/") and url != PICTURED.picture] == []


def test_axe_would_find_something(gallery: str, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{gallery}/plain/en/sign_in")
    page.evaluate("document.querySelector('h1').style.color = '#ccc'; document.documentElement.lang = ''")
    found = {each["id"] for each in watched.find_violations()}
    assert {"color-contrast", "html-has-lang"} <= found
    assert {each["id"] for each in watched.find_violations(OF_COLOURS)} == {"color-contrast"}


def test_moments_become_the_readers_own(gallery: str, chromium: Browser) -> None:
    for scripts, shown in ((True, "November 24, 2026 at 1:05"), (False, "November 24, 2026, 12:05")):
        context = chromium.new_context(timezone_id="Europe/Berlin", locale="en-US", java_script_enabled=scripts)
        page = context.new_page()
        page.goto(f"{gallery}/plain/en/account")
        assert page.locator("time").first.inner_text().startswith(shown)
        context.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_letter_stands_where_there_is_no_picture(gallery: str, watched: Watched, there: bool) -> None:
    page = watched.page
    if not there:
        page.unroute(PICTURED.picture)
        page.route(PICTURED.picture, lambda route: route.fulfill(status=403))
    page.goto(f"{gallery}/plain/en/account_bare")
    box = page.locator(".portrait").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    drawn = page.evaluate("document.querySelector('.portrait img').naturalWidth")
    assert (drawn > 0) is there
    assert page.locator(".portrait span").inner_text() == "李"
    top = page.evaluate("([x, y]) => document.elementFromPoint(x, y).tagName", middle)
    assert top == "IMG"  # which, without a picture, draws nothing over the letter


def test_arabic_is_written_from_the_right(gallery: str, watched: Watched) -> None:
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 900})
    places = {}
    for language in ("en", "ar"):
        page.goto(f"{gallery}/plain/{language}/account")
        portrait, name = page.locator(".portrait").bounding_box(), page.locator("h1 bdi").bounding_box()
        assert portrait is not None
        assert name is not None
        places[language] = portrait["x"] < name["x"]
    assert places == {"en": True, "ar": False}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("picture", ["refused", "gone", "no picture", "never asked for"])
def test_a_picture_that_cannot_be_shown_leaves_the_letter_alone(
    gallery: str, watched: Watched, picture: str, large: bool
) -> None:
    """Chromium would draw its mark of a broken picture, which a reader takes for the gateway's fault."""
    page = watched.page
    page.unroute(PICTURED.picture)
    answers: dict[str, Callable[[Route], None]] = {
        "refused": lambda route: route.fulfill(status=403),
        "gone": lambda route: route.abort(),
        "no picture": lambda route: route.fulfill(content_type="text/html", body="<p>no"),
    }
    page.route(PICTURED.picture, answers.get(picture, fulfil))
    page.goto(f"{gallery}/plain/en/signed_in_pictured")
    if picture == "never asked for":  # as by a policy of a proxy, or an extension
        page.evaluate("document.querySelector('.portrait img').src = 'https://elsewhere.example/x.png'")
    if large:
        page.evaluate("document.querySelector('.portrait').parentElement.classList.add('large')")
    portrait = page.locator(".portrait")
    page.wait_for_function("document.querySelector('.portrait img').complete")
    broken = portrait.screenshot()
    page.evaluate("document.querySelector('.portrait img').remove()")
    assert broken == portrait.screenshot()


def test_a_picture_fills_its_circle(gallery: str, watched: Watched) -> None:
    page = watched.page
    page.goto(f"{gallery}/plain/en/signed_in_pictured")
    whole, picture = page.locator(".portrait").bounding_box(), page.locator(".portrait img").bounding_box()
    assert whole == picture
