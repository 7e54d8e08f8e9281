"""Every page with made-up values, served as the gateway serves pages, to be looked at.

`python -m tests.web.gallery FOLDER` takes a picture of each, in several languages and sizes, light and dark;
`python -m tests.web.gallery docs/pictures` renews those of the documentation.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, Route, sync_playwright

from gateway.web.answers.answer import Answer, page, send_answer, text_answer
from gateway.web.answers.brand import Brand, Picture
from gateway.web.answers.pages import Pages
from gateway.web.answers.samples import PICTURED, SAMPLES
from tests.harness import listener, serve_app, url_of
from tests.programs import need

LOGO: Final = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" rx="12"
fill="#5b4bd6"/><path d="M12 25l8-13 8 13z" fill="#fff"/></svg>"""
BRAND: Final = Brand(
    name="Ada's Workshop",
    logo=Picture("svg", LOGO),
    accent="#5b4bd6",
    terms_url="/terms",
    privacy_url="/privacy",
    support_url="mailto:help@example.com",
    footer="Made with care in Bremen.",
)
SIZES: Final = {"phone": (360, 780), "desktop": (1280, 900)}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
IN_DOCS: Final = {"sign_in": "en", "account": "en", "consent": "en", "signed_in_pictured": "ar"}
PORTRAIT: Final = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="#e8a"/>
<circle cx="4" cy="3" r="1.6" fill="#fff"/><path d="M1 8a3 3 0 0 1 6 0" fill="#fff"/></svg>"""


class Gallery:
    """An ASGI app: `/BRAND/LANGUAGE/PAGE`, of the brands `plain` and `full`."""

    def __init__(self, site: str) -> None:
        self._pages = {
            "plain": Pages(prefix="/plain", site=site),
            "full": Pages(prefix="/full", site=site, brand=BRAND),
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send_answer(self._answer(scope["path"]), send)

    def _answer(self, path: str) -> Answer:
        _, brand, language, name = (*path.split("/"), "", "", "")[:4]
        pages = self._pages.get(brand)
        if pages is not None and language == "static":
            return pages.static.answer(name) or text_answer(404, "no such file")
        if pages is None or name not in SAMPLES:
            return text_answer(404, "no such page")
        return page(200, SAMPLES[name](pages.in_language(language)), framed="framed" in name)


@contextlib.contextmanager
def serve_gallery() -> Generator[str]:
    """Serve it; yields its address."""
    with listener() as bound:
        url = url_of(bound)
        with serve_app(Gallery(url.removeprefix("http://")), bound):
            yield url


def fulfil(route: Route) -> None:
    """Answer for TikTok, where a person's picture is."""
    route.fulfill(status=200, content_type="image/svg+xml", body=PORTRAIT)


def take(
    browser: Browser, url: str, into: Path, *, brand: str, language: str, name: str, size: str, dark: bool
) -> None:
    """Take one picture."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale=language,
        timezone_id="Europe/Berlin",
    )
    shown = context.new_page()
    shown.route(PICTURED.picture, fulfil)
    shown.goto(f"{url}/{brand}/{language}/{name}")
    shown.screenshot(path=into, full_page=True)
    context.close()


def main(folder: Path) -> None:
    """Take pictures into a folder."""
    for_docs = folder.name == "pictures"
    every = [
        (name, tag, size, dark)
        for name in SAMPLES
        for tag in ("en", "ar", "de", "ja")
        for size in SIZES
        for dark in (False, True)
    ]
    chosen = [(name, tag, "phone", False) for name, tag in IN_DOCS.items()] if for_docs else every
    with serve_gallery() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        for name, tag, size, dark in chosen:
            kind = "" if for_docs else f"-{tag}-{size}-{'dark' if dark else 'light'}"
            brand = "full" if for_docs or name in {"sign_in", "account", "error_full"} else "plain"
            into = folder / f"{name}{kind}.png"
            take(browser, url, into, brand=brand, language=tag, name=name, size=size, dark=dark)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
