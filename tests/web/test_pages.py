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

import gateway.web.answers.pages
from gateway.core.kept_post import FormField, KeptPost
from gateway.core.user_agent import UserAgent, read_user_agent
from gateway.web.answers.pages import MOST_SHOWN, Pages
from gateway.web.answers.qr_drawing import draw
from gateway.web.answers.samples import SAMPLES
from gateway.web.answers.views import AccountView, Device, ErrorView, Link, PersonName, read_picture, shorten

PAGES = Pages(prefix="/oauth2", site="app.example")
LINKS = {"ask_url": "/oauth2/qr/status?id=x", "again_url": "/oauth2/qr?rd=/", "sign_in_url": "/oauth2/sign_in?rd=/"}
NOW = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
CSS = (Path(gateway.web.answers.pages.__file__).parent / "static" / "gateway.css").read_text()
VOID = {"meta", "link", "input", "br", "hr", "img"}


def account(name: str = "Ada", open_id: str = "-o") -> bytes:
    devices = (
        Device("0" * 20, UserAgent("Chrome", "Linux"), NOW, NOW, True),
        Device(name, UserAgent(name, name), NOW, NOW, False),
    )
    view = AccountView(PersonName(name, name), open_id, ("user.info.basic", name), NOW, devices)
    return PAGES.account(view).body


def error(text: str = "x") -> bytes:
    links = (Link("/", text), Link(f"/x?{text}", text))
    person = PersonName(text, text)
    view = ErrorView("c", "A title", "Advice", text, text, links, refused=(text,), person=person, words=text)
    return PAGES.error(view).body


def kept(*fields: FormField, person: PersonName | None = None) -> bytes:
    post = KeptPost(binding=b"", target="/x", encoding="multipart/form-data", fields=fields)
    return PAGES.kept_post("/x", post, person or PersonName("Ada", "ada")).body


ALL = {name: show(PAGES).body for name, show in SAMPLES.items()}


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


def test_a_real_code_makes_the_page_no_larger_than_others() -> None:
    drawn = PAGES.qr("new", drawing=draw(f"https://www.tiktok.com/?ticket={'x' * 200}"), **LINKS).body
    assert len(drawn) + len(CSS) < 14_000


@pytest.mark.parametrize("name", ALL)
def test_every_page_is_sound(name: str) -> None:
    page = Reader(ALL[name])
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert dict(page.tags)["html"]["lang"] == "en"
    assert not {"style", "iframe"} & set(names)
    scripts = [attributes.get("src") or "inline" for tag, attributes in page.tags if tag == "script"]
    assert all(source.startswith("/oauth2/static/") for source in scripts)
    named = [source.removeprefix("app.example") for source in SAMPLES[name](PAGES).scripts]
    assert scripts == named  # what the page's policy lets run, and nothing else
    for _, attributes in page.tags:
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
    assert len(ALL[name]) + len(CSS) < 14_000


@pytest.mark.parametrize("name", ALL)
def test_addresses_stay_on_this_site(name: str) -> None:
    for tag, attributes in Reader(ALL[name]).tags:
        for key in ("href", "action", "src"):
            address = attributes.get(key) or "/"
            if tag == "img" and address.startswith("https:"):  # a person's own picture
                assert attributes["referrerpolicy"] == "no-referrer"
                assert address.startswith(SAMPLES[name](PAGES).pictures[0] + "/")
            else:
                assert address.startswith("/")


@pytest.mark.parametrize("name", ["sign_out", "account", "disconnect"])
def test_what_acts_is_a_form_that_posts(name: str) -> None:
    forms = [attributes for tag, attributes in Reader(ALL[name]).tags if tag == "form"]
    assert forms
    assert {form["method"] for form in forms} == {"post"}


@given(st.text())
def test_foreign_text_is_text(text: str) -> None:
    for html in (account(text, text), error(text), kept(FormField(text, text))):
        page = Reader(html)
        plain = Reader(error())
        allowed = {
            "html",
            "head",
            "meta",
            "title",
            "link",
            "body",
            "header",
            "main",
            "p",
            "h1",
            "h2",
            "ul",
            "li",
            "div",
            "span",
        }
        allowed |= {
            "section",
            "form",
            "button",
            "input",
            "dl",
            "dt",
            "dd",
            "code",
            "strong",
            "time",
            "br",
            "a",
            "bdi",
            "script",
        }
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
    assert str(read_user_agent(agent)) == name


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
    for name in ("gateway.css", "carry.js", "times.js", "forget.js", "icon.svg"):
        assert PAGES.static.answer(name) is not None
    for name in ("../pages.py", "nothing.css", "", "/etc/passwd", "gateway-x.css", "gateway.css.css"):
        assert PAGES.static.answer(name) is None


def test_a_file_with_its_hash_is_kept_for_good_and_any_other_is_asked_for_again() -> None:
    kept_for, etag = {}, ""
    right = PAGES.static.address("gateway.css").rpartition("/")[2]
    for name in (right, "gateway.css", "gateway-0123456789abcdef.css"):
        answer = PAGES.static.answer(name)
        assert answer is not None
        assert answer.body == CSS.encode()
        kept_for[name] = dict(answer.headers)[b"cache-control"]
        etag = dict(answer.headers)[b"etag"].decode()
    assert list(kept_for.values()) == [b"public, max-age=31536000, immutable", b"public, max-age=86400", b"no-cache"]
    again = PAGES.static.answer(right, etag)
    assert again is not None
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://p16-sign-va.tiktokcdn.com/a~c5.jpeg?x-expires=1&x-signature=a%2Bb%3D", True),
        ("http://p16.tiktokcdn.com/a.jpeg", False),
        ("javascript:alert(1)", False),
        ("data:image/png;base64,AA", False),
        ("https://p16.tiktokcdn.com;script-src *", False),  # would be more than a source of the policy
        ("https://user@p16.tiktokcdn.com/a", False),
        ("https://*/a", False),
        ("https://p16.tiktokcdn.com/a b", False),
        ("https://[::1/a", False),
        ("https://p16.tiktokcdn.com/" + "a" * 2048, False),
        (None, False),
    ],
)
def test_only_a_plain_address_is_a_picture(address: str | None, shown: bool) -> None:
    assert read_picture(address) == (address if shown else "")


def test_a_kept_form_is_shown_as_it_would_be_sent_but_for_secrets_and_length() -> None:
    fields = [
        FormField("name", "李 <b>"),
        FormField("text", "x" * 500),
        FormField("new_password", "hunter2"),
        FormField("file", None),
    ]
    page = Reader(kept(*fields, person=PersonName("Ada Plain", "ada.plain")))
    assert "you send it as Ada Plain (@ada.plain)" in page.text
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


@pytest.mark.parametrize("name", [name for name in SAMPLES if "framed" in name])
def test_every_link_of_a_page_in_a_frame_leads_out_of_it(name: str) -> None:
    tags = Reader(ALL[name]).tags
    links = [attributes for tag, attributes in tags if tag == "a"]
    assert links
    assert {link["target"] for link in links} == {"_top"}
    assert not {"form", "button"} & {tag for tag, _ in tags}
