"""The pages in every language: nothing is missing, nothing is left over, and nothing is said in English only."""

from __future__ import annotations

import re
import string
from collections.abc import Generator
from datetime import UTC, datetime
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from babel.messages.catalog import Catalog

from gateway.core.challenge import Viewer
from gateway.simulator import RunningSimulator
from gateway.web.answers.brand import Brand
from gateway.web.answers.catalogue import Message
from gateway.web.answers.error_pages import ErrorPages
from gateway.web.answers.languages import Texts, read_catalogue
from gateway.web.answers.pages import Pages
from gateway.web.answers.samples import SAMPLES
from gateway.web.answers.site import Site
from gateway.web.answers.trial import find_faults
from tests.harness import NAVIGATION, SAME_ORIGIN, Browser, Running, serve_gateway
from tests.web.test_cors import every_error
from tests.web.texts import FOR_PROGRAMS, LANGUAGES, TEMPLATES, find_messages

PAGES = Pages(prefix="/oauth2", site="app.example")
TAGS = [path.stem for path in sorted(LANGUAGES.glob("*.po"))]
MESSAGES = find_messages()
FILLED_IN = re.compile(r"%\(\w+\)s")


def catalogue(tag: str) -> Catalog:
    return read_catalogue(tag, (LANGUAGES / f"{tag}.po").read_bytes())


def said(tag: str) -> dict[Message, tuple[str, ...]]:
    """Return what a language says for each text: every form."""
    found: dict[Message, tuple[str, ...]] = {}
    for each in catalogue(tag):
        if each.id:
            key = (each.id[0], each.id[1]) if isinstance(each.id, (list, tuple)) else each.id
            forms = each.string if isinstance(each.string, (list, tuple)) else (each.string,)
            found[key] = tuple(form or "" for form in forms)
            assert not each.fuzzy, each.id
    return found


def test_there_are_several() -> None:
    assert PAGES.languages == ("en", "ar", "de", "es", "ja", "pt-BR")


@pytest.mark.parametrize("tag", TAGS)
def test_every_text_is_said_and_none_that_no_page_has(tag: str) -> None:
    """If this fails, run `python -m tests.web.texts` with the language's tag, and fill in what is empty."""
    texts = said(tag)
    assert set(texts) == set(MESSAGES)
    for message, forms in texts.items():
        assert all(form and form.strip() == form for form in forms), message
        assert len(forms) == (catalogue(tag).num_plurals if isinstance(message, tuple) else 1)


@pytest.mark.parametrize("tag", TAGS)
def test_what_is_filled_in_is_filled_in_in_every_language(tag: str) -> None:
    for message, forms in said(tag).items():
        english = message[1] if isinstance(message, tuple) else message
        for form in forms:
            assert sorted(FILLED_IN.findall(form)) == sorted(FILLED_IN.findall(english)), form
            assert "%" not in FILLED_IN.sub("", form)
            assert not set("<>&") & set(form)  # a text is no HTML


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_says_something_of_its_own(tag: str) -> None:
    same = [message for message, forms in said(tag).items() if forms[0] == message]
    assert len(same) <= 3, same  # "Code" is one in German, too


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_has_a_bare_text(path: Path) -> None:
    text = re.sub(
        r"{%-? trans.*?endtrans -?%}|{% block width.*?endblock %}|{%.*?%}|{{.*?}}|<!.*?>",
        "",
        path.read_text(),
        flags=re.DOTALL,
    )
    assert not re.search(r'(?:alt|title|aria-label|placeholder)="[^"]', text)
    assert not re.search(r"\w", re.sub(r"<[^>]*>", "", text))


class Marked(NullTranslations):
    """A language in which every text is between brackets: what is not is said in English only."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid2}⟧"


class Bare(HTMLParser):
    """Collects the words of a page that are in no brackets."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self._text = ""
        self.feed(html.decode())
        self.words = set(re.findall(r"[^\W\d_]{2,}", re.sub(r"⟦[^⟦⟧]*⟧", " ", self._text)))

    def handle_data(self, data: str) -> None:
        self._text += f" {data} "


def marked() -> Pages:
    pages = Pages(prefix="/oauth2", site="app.example", brand=Brand(languages=("en",), footer="", terms_url="/terms"))
    pages._languages["en"] = pages.texts = Texts("en", Marked())
    return pages


@pytest.mark.parametrize("kind", [kind for kind in every_error() if not issubclass(kind, FOR_PROGRAMS)])
def test_every_word_of_an_error_is_said_in_the_readers_language(kind: type[Exception]) -> None:
    site = Site(public_url="https://app.example", prefix="/oauth2", allowed_hosts=frozenset(), shared=False)
    error = kind("secret words")
    assert hasattr(error, "code")
    answer = ErrorPages(marked(), site).answer(
        error,  # type: ignore[arg-type]
        Viewer.WINDOW,
        "1",
        here="https://app.example/x",
        brings_session=True,
        within="Threads",
    )
    assert Bare(answer.body).words <= {"app", "example", "Threads", *re.findall("[a-z]+", error.code)}


OF_SAMPLES = """app example Ada Plain ada plain Chrome Windows Linux iPhone Safari research data 李小星 TikTok
We show your videos here name note password file For members only"""


@pytest.mark.parametrize("name", SAMPLES)
def test_every_word_of_a_page_is_said_in_the_readers_language(name: str) -> None:
    known = set(re.findall(r"[^\W\d_]{2,}", OF_SAMPLES))
    bare = Bare(re.sub(rb"<time.*?</time>|<code>.*?</code>", b"", SAMPLES[name](marked()).body)).words
    assert bare <= known


@pytest.mark.parametrize("tag", PAGES.languages)
def test_a_moment_is_to_the_minute_in_utc(tag: str) -> None:
    moment = PAGES.in_language(tag).texts.moment(datetime(2026, 11, 24, 3, 5, 59, tzinfo=UTC))
    assert re.search(r"2026.*\b0?3:05\b.* UTC$", moment), moment


def test_forms_go_with_numbers() -> None:
    def more(tag: str, number: int) -> str:
        return PAGES.in_language(tag).texts.count("and %(count)s more.", "and %(count)s more.", number)

    assert [more("de", number) for number in (1, 2)] == ["und %(count)s weiteres.", "und %(count)s weitere."]
    assert len({more("ar", number) for number in (1, 2, 3, 11)}) == 4


# Over the wire


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_gateway(simulator, upstream) as running:
        yield running


@pytest.mark.parametrize(
    ("asked", "tag", "direction", "words"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de", "ltr", "Mit deinem TikTok-Konto geht es weiter zu"),
        ("ar", "ar", "rtl", "استخدم حسابك على TikTok"),
        ("pt-PT", "pt-BR", "ltr", "Use sua conta do TikTok"),
        ("zh-CN", "en", "ltr", "Use your TikTok account"),
        (None, "en", "ltr", "Use your TikTok account"),
    ],
)
def test_a_page_is_in_the_language_that_is_asked_for(
    gateway: Running, asked: str | None, tag: str, direction: str, words: str
) -> None:
    headers = NAVIGATION | ({"accept-language": asked} if asked is not None else {})
    answer = httpx.get(gateway.url + "/oauth2/sign_in", headers=headers, trust_env=False)
    assert f'<html lang="{tag}" dir="{direction}">' in answer.text
    assert (answer.headers["content-language"], answer.headers["vary"]) == (tag, "accept-language")
    assert words in answer.text


GERMAN = {"accept-language": "de"}


def test_every_page_is(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        pages = [
            browser.navigate("/oauth2/callback?state=x", headers=GERMAN),  # an error
            browser.navigate("/oauth2/signed_nowhere", headers=GERMAN),
            browser.navigate("/a%2fb", headers=GERMAN),  # one whose head cannot be read
            browser.navigate("/private/x", method="POST", headers=GERMAN),  # the button
        ]
        browser.sign_in("/private/x")
        pages += [
            browser.navigate("/oauth2/" + page, headers=GERMAN)
            for page in ("account", "sign_out", "disconnect", "sign_in")
        ]
        assert {page.headers["content-language"] for page in pages} == {"de"}
        assert all('<html lang="de"' in page.text for page in pages)


def test_a_problem_is_in_english(gateway: Running) -> None:
    answer = httpx.get(gateway.url + "/private/x", headers=SAME_ORIGIN | GERMAN, trust_env=False)
    assert answer.json()["title"] == "Sign in first"
    assert "content-language" not in answer.headers


@pytest.mark.parametrize(("languages", "tag"), [("[de, en]", "de"), ("[ja]", "ja")])
def test_the_operator_says_which_there_are_and_which_is_for_everybody_else(
    simulator: RunningSimulator, upstream: str, languages: str, tag: str
) -> None:
    with serve_gateway(simulator, upstream, brand__languages=languages) as running:
        answer = httpx.get(
            running.url + "/oauth2/sign_in", headers=NAVIGATION | {"accept-language": "es"}, trust_env=False
        )
        assert answer.headers["content-language"] == tag


def test_a_language_of_the_operators_and_other_words_for_ours(tmp_path: Path) -> None:
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (tmp_path / "nl.po").write_text(head + 'msgid "Sign out?"\nmsgstr "Afmelden?"\n')
    (tmp_path / "de.po").write_text(head + 'msgid "Sign out?"\nmsgstr "Tschüss?"\n')
    texts = {path.stem: path.read_bytes() for path in tmp_path.glob("*.po")}
    pages = Pages(prefix="/oauth2", site="app.example", brand=Brand(templates=str(tmp_path), texts=texts))
    assert list(find_faults(pages, str(tmp_path))) == []
    assert "nl" in pages.languages
    dutch, german = (SAMPLES["sign_out"](pages.in_language(tag)).body.decode() for tag in ("nl", "de"))
    assert "<h1>Afmelden?</h1>" in dutch
    assert "Cancel" in dutch  # what a file lacks is said in English
    assert "<h1>Tschüss?</h1>" in german
    assert "Abbrechen" in german


def test_tags_are_written_as_browsers_send_them() -> None:
    assert set("".join(TAGS)) <= set(string.ascii_letters + "-")
