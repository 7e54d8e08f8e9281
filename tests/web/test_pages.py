"""Pages: well-formed, escaped, readable, and without anything their own policy would forbid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import gateway.web.answers.pages
from gateway.core.kept_post import FormField, KeptPost
from gateway.web.answers.pages import (
    MOST_SHOWN,
    AccountView,
    Device,
    ErrorView,
    Link,
    Pages,
    PersonName,
    describe_user_agent,
    shorten,
)
from gateway.web.answers.qr_drawing import draw

PAGES = Pages(prefix="/oauth2", site="app.example")
QR_PAGES = Pages(prefix="/oauth2", site="app.example", offers_qr=True)
LINKS = {"ask_url": "/oauth2/qr/status?id=x", "again_url": "/oauth2/qr?rd=/", "sign_in_url": "/oauth2/sign_in?rd=/"}
NOW = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
CSS = (Path(gateway.web.answers.pages.__file__).parent / "static" / "gateway.css").read_text()
SCRIPTS = {"qr": "qr.js", "qr_scanned": "qr.js"}
VOID = {"meta", "link", "input", "br", "hr", "img"}


def account(name: str = "Ada", open_id: str = "-o") -> bytes:
    devices = (Device("Chrome on Linux", NOW, NOW, True), Device(name, NOW, NOW, False))
    return PAGES.account(AccountView(name, name, open_id, ("user.info.basic", name), NOW, devices))


def error(text: str = "x") -> bytes:
    links = (Link("/", text), Link(f"/x?{text}", text))
    person = PersonName(text, text)
    view = ErrorView("c", "A title", "Advice", text, text, links, refused=(text,), person=person, words=text)
    return PAGES.error(view)


def kept(*fields: FormField, person: PersonName | None = None) -> bytes:
    post = KeptPost(binding=b"", target="/x", encoding="multipart/form-data", fields=fields)
    return PAGES.kept_post("/x", post, person or PersonName("Ada", "ada"))


ALL = {
    "sign_in": PAGES.sign_in("/oauth2/start?rd=/", None),
    "session_ended": PAGES.sign_in("/oauth2/start?rd=/", "session_ended"),
    "sign_out": PAGES.sign_out_question(),
    "signed_out": PAGES.signed_out("/oauth2/sign_in"),
    "disconnected": PAGES.disconnected("/oauth2/sign_in"),
    "signed_in": PAGES.sign_in("/oauth2/start?switch=1&rd=/", None, PersonName("Ada", "ada"), "/x"),
    "qr": QR_PAGES.qr("new", drawing=draw("https://x.example/?a=b"), **LINKS),
    "qr_scanned": QR_PAGES.qr("scanned", drawing=Markup(), **LINKS),
    "qr_expired": QR_PAGES.qr("expired", drawing=Markup(), **LINKS),
    "qr_offered": QR_PAGES.sign_in("/oauth2/start?rd=/", None, return_to="/x?y=1&z"),
    "frame": PAGES.sign_in("/oauth2/start?rd=/", "frame"),
    "consent": PAGES.consent("/oauth2/start?rd=/", ["video.list"], "because"),
    "kept_post": kept(FormField("a", "1"), FormField("file", None)),
    "error": error(),
    "account": account(),
}


class Reader(HTMLParser):
    """Checks nesting, and collects what was opened."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", ALL)
def test_every_page_is_sound(name: str) -> None:
    page = Reader(ALL[name])
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert dict(page.tags)["html"]["lang"] == "en"
    assert not {"style", "iframe", "img"} & set(names)
    scripts = [attributes.get("src") or "inline" for tag, attributes in page.tags if tag == "script"]
    assert [source.partition("?")[0] for source in scripts] in ([], [f"/oauth2/static/{SCRIPTS.get(name, 'carry.js')}"])
    for _, attributes in page.tags:
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
    assert len(ALL[name]) + len(CSS) < 10_000


@pytest.mark.parametrize("name", ALL)
def test_addresses_stay_on_this_site(name: str) -> None:
    for _, attributes in Reader(ALL[name]).tags:
        for key in ("href", "action", "src"):
            assert (attributes.get(key) or "/").startswith("/")


@pytest.mark.parametrize("name", ["sign_out", "account"])
def test_what_acts_is_a_form_that_posts(name: str) -> None:
    forms = [attributes for tag, attributes in Reader(ALL[name]).tags if tag == "form"]
    assert forms
    assert {form["method"] for form in forms} == {"post"}


@given(st.text())
def test_foreign_text_is_text(text: str) -> None:
    for html in (account(text, text), error(text), kept(FormField(text, text))):
        page = Reader(html)
        plain = Reader(error())
        allowed = {"html", "head", "meta", "title", "link", "body", "main", "p", "h1", "h2", "ul", "li", "div", "span"}
        allowed |= {"section", "form", "button", "input", "dl", "dt", "dd", "code", "strong", "time", "br", "a", "bdi"}
        assert {tag for tag, _ in page.tags} <= allowed | {tag for tag, _ in plain.tags}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada", "Ada"),
        ("李小龙 🦊👩‍👩‍👧", "李小龙 🦊👩‍👩‍👧"),
        ("a\r\nb\x00c", "a b c"),
        ("safe\u202eevil", "safe evil"),
        ("x" * 9000, "x" * 79 + "…"),
        ("\ud800", ""),
    ],
)
def test_names_fit_one_line(name: str, shown: str) -> None:
    assert shorten(name) == shown


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) musical_ly_2024 BytedanceWebview/d8a21c6", "TikTok on Android"),
        ("curl/8.9", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_browsers_are_named(agent: str, name: str) -> None:
    assert describe_user_agent(agent) == name


def palettes() -> Iterator[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    first = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    yield first
    yield first | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("palette", list(palettes()), ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"), [("text", "card"), ("note", "card"), ("danger", "card"), ("on-main", "main")]
)
def test_text_can_be_read(palette: dict[str, str], text: str, ground: str) -> None:
    lighter, darker = sorted((luminance(palette[text]), luminance(palette[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_static_files_are_only_ours() -> None:
    for name in ("gateway.css", "carry.js"):
        assert PAGES.static_file(name) is not None
    for name in ("../pages.py", "nothing.css", "", "/etc/passwd"):
        assert PAGES.static_file(name) is None


def test_a_kept_form_is_shown_as_it_would_be_sent_but_for_secrets_and_length() -> None:
    fields = [
        FormField("name", "李 <b>"),
        FormField("text", "x" * 500),
        FormField("new_password", "hunter2"),
        FormField("file", None),
    ]
    page = Reader(kept(*fields, person=PersonName("Ada Plain", "ada.plain")))
    assert "you send it as\nAda Plain (@ada.plain)" in page.text
    assert "李 <b>" in page.text
    assert "x" * 199 + "…" in page.text
    assert "hunter2" not in page.text
    assert "no file" in page.text
    sent = {each.get("name"): each.get("value") for tag, each in page.tags if tag == "input"}
    assert sent == {"name": "李 <b>", "text": "x" * 500, "new_password": "hunter2", "file": None}


def test_of_many_fields_only_the_first_are_shown() -> None:
    page = Reader(kept(*(FormField(f"f{number}", "v") for number in range(MOST_SHOWN + 12))))
    assert "and 12 more." in page.text
    assert len([tag for tag, _ in page.tags if tag == "dd"]) == MOST_SHOWN
    assert len([tag for tag, _ in page.tags if tag == "input"]) == MOST_SHOWN + 12


@pytest.mark.parametrize(
    "html",
    [
        PAGES.sign_in("/oauth2/start?rd=/", "frame"),
        PAGES.consent("/oauth2/start?rd=/", ["video.list"], "", framed=True),
        PAGES.error(ErrorView("c", "t", "a", "r", links=(Link("/", "x"), Link("/y", "y"))), framed=True),
    ],
)
def test_every_link_of_a_page_in_a_frame_leads_out_of_it(html: bytes) -> None:
    links = [attributes for tag, attributes in Reader(html).tags if tag == "a"]
    assert links
    assert {link["target"] for link in links} == {"_top"}
    assert not {"form", "button"} & {tag for tag, _ in Reader(html).tags}
