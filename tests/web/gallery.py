"""Every page with made-up values, served as the gateway serves pages, to be looked at.

`python -m tests.web.gallery FOLDER` takes a picture of each, in several languages and sizes, light and dark;
`python -m tests.web.gallery docs/pictures` renews those of the documentation.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from playwright.sync_api import Browser, Route, sync_playwright

from gateway.web.answers.answer import Answer, json_answer, page, send_answer, text_answer
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
LANGUAGES: Final = ("en", "ar", "de", "ja")
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
        if pages is not None and path.endswith("/qr/status"):
            return json_answer(200, {"status": ""})  # which is as it was
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


class Shot(NamedTuple):
    """One picture: of which page, in what language, where and how."""

    name: str
    language: str
    size: str = "phone"
    scheme: Literal["light", "dark"] = "light"

    def take(self, browser: Browser, url: str, into: Path, *, brand: str, whole: bool) -> None:
        """Take it; `whole` is all of the page, not only what fits the window."""
        width, height = SIZES[self.size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=self.scheme,
            locale=self.language,
            timezone_id="Europe/Berlin",
        )
        shown = context.new_page()
        shown.route(PICTURED.picture, fulfil)
        shown.goto(f"{url}/{brand}/{self.language}/{self.name}")
        shown.screenshot(path=into, full_page=whole)
        context.close()


def choose_shots(folder: Path) -> dict[str, Shot]:
    """Return what to take for a folder, by the name of the file."""
    if folder.name == "pictures":
        return {f"{name}.png": Shot(name, language) for name, language in IN_DOCS.items()}
    every = itertools.starmap(Shot, itertools.product(SAMPLES, LANGUAGES, SIZES, SCHEMES))
    return {f"{'-'.join(shot)}.png": shot for shot in every}


def main(folder: Path) -> None:
    """Take pictures into a folder."""
    in_docs = folder.name == "pictures"
    with serve_gallery() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        for name, shot in choose_shots(folder).items():
            shot.take(browser, url, folder / name, brand="full" if in_docs else "plain", whole=not in_docs)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
