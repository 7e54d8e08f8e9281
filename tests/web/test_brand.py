"""Whose site it is, on every page of ours: name, logo, icon, colour, links, templates and texts of the operator's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SettingsError
from gateway.runtime.build import build
from gateway.settings import load
from gateway.simulator import RunningSimulator
from gateway.web.answers.brand import Brand, Picture
from gateway.web.answers.catalogue import Fault
from gateway.web.answers.colour import DARK_CARD, LIGHT_CARD, SHAPE, TEXT, build_accent, choose_ink, contrast, fit
from gateway.web.answers.pages import Pages
from gateway.web.answers.samples import SAMPLES
from gateway.web.answers.trial import find_faults
from gateway.web.answers.views import AccountView, Device, ErrorView, Link, PersonName
from tests.commands import Told, invoke
from tests.harness import NAVIGATION, serve_gateway
from tests.settings.test_brand import PNG, SVG
from tests.settings.test_load import ENVIRON, MINIMAL

FULL = Brand(
    name="Ada & Co",
    logo=Picture("svg", SVG),
    icon=Picture("png", PNG),
    accent="#0a7d55",
    terms_url="https://example.com/terms",
    privacy_url="/privacy",
    support_url="mailto:help@example.com",
    footer="Ada & Co, 1 Main Street",
)


def open_pages(folder: Path | None = None, **changes: object) -> Pages:
    templates = str(folder) if folder is not None else ""
    texts = {each.stem: each.read_bytes() for each in folder.glob("*.po")} if folder is not None else {}
    return Pages(prefix="/oauth2", site="app.example", brand=Brand(templates=templates, texts=texts, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_page_is_the_sites(name: str) -> None:
    html = SAMPLES[name](Pages(prefix="/oauth2", site="app.example", brand=FULL)).body.decode()
    assert "app.example" not in html
    assert re.search(r"<title>[^<]+ · Ada &amp; Co</title>", html)
    assert '<p class="site"><img class="logo" src="/oauth2/static/logo-' in html
    assert re.search(r'<link rel="icon" href="/oauth2/static/own_icon-[0-9a-f]{16}\.png">', html)
    out = ' target="_top"' if "framed" in name else ""
    for address, words in (
        ("https://example.com/terms", "Terms"),
        ("/privacy", "Privacy"),
        ("mailto:help@example.com", "Help"),
    ):
        assert f'<a href="{address}"{out}>{words}</a>' in html
    assert '<p dir="auto">Ada &amp; Co, 1 Main Street</p>' in html


@pytest.mark.parametrize("name", SAMPLES)
def test_without_a_brand_a_page_has_our_mark_and_no_empty_footer(name: str) -> None:
    html = SAMPLES[name](open_pages()).body.decode()
    assert '<link rel="icon" href="/oauth2/static/icon-' in html
    assert "<footer>" not in html
    assert "app.example" in html


def test_a_picture_that_is_opened_by_itself_runs_nothing() -> None:
    static = Pages(prefix="/oauth2", site="app.example", brand=FULL).static
    answer = static.answer(static.address("logo.svg").rpartition("/")[2])
    assert answer is not None
    said = dict(answer.headers)
    assert (answer.body, said[b"content-type"], said[b"x-content-type-options"]) == (SVG, b"image/svg+xml", b"nosniff")
    assert said[b"content-security-policy"].startswith(b"default-src 'none'; ")
    assert said[b"content-security-policy"].endswith(b"sandbox")


colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(colours, st.sampled_from([LIGHT_CARD, DARK_CARD]))
def test_any_colour_can_be_seen_and_read(colour: str, card: str) -> None:
    """WCAG 2.2 §1.4.3 and §1.4.11."""
    ground = fit(colour, card, SHAPE)
    assert contrast(ground, card) >= SHAPE
    assert contrast(choose_ink(ground), ground) >= TEXT
    if contrast(colour, card) >= SHAPE:
        assert ground == colour  # it is the operator's, as long as it can be seen


def test_the_cards_are_those_of_the_stylesheet() -> None:
    css = open_pages().static.read("gateway.css").decode()
    assert re.findall(r"--card: (#[0-9a-f]{6})", css) == [LIGHT_CARD, DARK_CARD]


def test_colour_and_rules_of_the_operator_come_after_ours() -> None:
    static = open_pages(accent="#0a7d55", stylesheet=b"h1 { color: red }").static
    css = static.read("gateway.css").decode()
    assert css.endswith(build_accent("#0a7d55") + "\nh1 { color: red }")
    assert css.index("--main: #17171c") < css.index("--main: #0a7d55")
    assert static.address("gateway.css") != open_pages().static.address("gateway.css")


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_a_template_stands_in_for_ours_and_may_extend_it(tmp_path: Path) -> None:
    write(tmp_path, "signed_out.html", '{% extends "gateway/signed_out.html" %}{% block title %}Bye{% endblock %}')
    pages = open_pages(tmp_path)
    assert list(find_faults(pages, str(tmp_path))) == []
    html = SAMPLES["signed_out"](pages).body.decode()
    assert "<title>Bye · app.example</title>" in html
    assert "You are signed out" in html
    assert SAMPLES["sign_out"](pages) == SAMPLES["sign_out"](open_pages())


def test_a_base_of_ones_own_is_that_of_every_page(tmp_path: Path) -> None:
    write(tmp_path, "parts.html", "<nav>Menu</nav>")
    write(
        tmp_path,
        "base.html",
        '<!doctype html><html lang="{{ texts.tag }}"><title>{% block title %}{% endblock %}</title>'
        '<body>{% include "parts.html" %}{% block body %}{% endblock %}</body></html>',
    )
    pages = open_pages(tmp_path)
    assert list(find_faults(pages, str(tmp_path))) == []
    for show in SAMPLES.values():
        assert b"<nav>Menu</nav>" in show(pages).body


EXTENDED = '{% extends "gateway/signed_out.html" %}\n{% block body %}<p>{% block more %}x{% endblock %}{% endblock %}'
PO = 'msgid ""\nmsgstr ""\n\n'
FAULTS = [
    ("sign_in.html", "a\n{% if x %}", "sign_in.html:2", "Unexpected end of template"),
    ("sign_out.html", "a\n\n{{ nothing }}", "sign_out.html:3", "'nothing' is undefined"),
    ("account.html", "{{ view.nothing }}", "account.html:1", "has no attribute 'nothing'"),
    ("error.html", "{{ ''.__class__.__mro__ }}", "error.html:1", "unsafe"),
    ("sing_in.html", "x", "sing_in.html", "no page is called so"),
    ("signed_out.html", '{% extends "gone.html" %}', "signed_out.html:1", "gone.html"),
    ("signed_out.html", EXTENDED.replace("body", "bdoy"), "signed_out.html:2", "block `bdoy` is in nothing that this"),
    ("signed_out.html", EXTENDED.replace("body", "bdoy"), "signed_out.html:2", "did you mean `body`?"),
    ("de.po", PO + 'msgid "Sign out?"\nmsgstr "%(nobody)s?"\n', "de.po:4", "has %(nobody)s, which the page does not"),
    ("nl.po", PO + 'msgid "Go on to %(site)s"\nmsgstr "Naar %(sites)s"\n', "nl.po:4", "here; it has %(site)s"),
    (
        "nl.po",
        PO + 'msgid "Go on to %(site)s"\nmsgstr "100% naar %(site)s"\n',
        "nl.po:4",
        'msgid "Go on to %(site)s": ',
    ),
    ("nl.po", PO + 'msgid "Sign out?"\nmsgstr "100%?"\n', "nl.po:4", "write %% for the sign itself"),
]


@pytest.mark.parametrize(("name", "text", "where", "message"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, name: str, text: str, where: str, message: str) -> None:
    write(tmp_path, name, text)
    faults = list(find_faults(open_pages(tmp_path), str(tmp_path)))
    assert Fault(str(tmp_path / where), "") in [Fault(fault.where, "") for fault in faults]
    assert message in faults[0].message


def check(folder: Path, brand: str) -> Told:
    (folder / "gateway.yaml").write_text(f"{MINIMAL}brand: {brand}\n")
    return invoke("check", "-c", str(folder / "gateway.yaml"), environ=ENVIRON)


def test_check_tells_of_it_and_a_gateway_with_it_does_not_start(tmp_path: Path) -> None:
    write(tmp_path / "pages", "sign_out.html", "\n{{ nothing }}")
    told = check(tmp_path, "{templates: pages}")
    assert told.returncode == 1
    assert told.stderr.startswith(f"{tmp_path}/pages/sign_out.html:2: brand.templates: 'nothing' is undefined")
    with pytest.raises(SettingsError, match=r"pages/sign_out\.html:2: brand\.templates"):
        build(load(tmp_path / "gateway.yaml", ENVIRON))


@pytest.mark.parametrize(
    ("files", "brand", "message"),
    [
        ({}, "{languages: [tlh]}", "there is no language tlh; there are "),
        ({"messages.po": 'msgid ""\nmsgstr ""\n'}, "{templates: pages}", "messages.po is no catalogue of texts"),
        ({"fr.po": "nonsense"}, "{templates: pages}", "fr.po:1: brand.templates: nonsense is no keyword"),
        (
            {"nl.po": PO + 'msgid "a"\nmsgstr "b\n'},
            "{templates: pages}",
            "nl.po:5: brand.templates: the text",
        ),
        (
            {"nl.po": PO + 'msgid "a"\nmsgstr b\n'},
            "{templates: pages}",
            "nl.po:5: brand.templates: the text",
        ),
        ({"nl.po": PO + 'msgid "a"\nmsgstr ""\n"a"b"\n'}, "{templates: pages}", "nl.po:6: brand.templates: the text"),
    ],
)
def test_languages_that_cannot_be_spoken(tmp_path: Path, files: dict[str, str], brand: str, message: str) -> None:
    for name, text in files.items():
        write(tmp_path / "pages", name, text)
    told = check(tmp_path, brand)
    assert (told.returncode, message in told.stderr) == (1, True)


def test_a_block_within_one_that_is_shown_is_shown(tmp_path: Path) -> None:
    write(tmp_path, "signed_out.html", EXTENDED)
    assert list(find_faults(open_pages(tmp_path), str(tmp_path))) == []


def test_a_catalogue_to_fill_in_comes_with_the_package(tmp_path: Path) -> None:
    """From nothing to a language, by the commands alone."""
    (tmp_path / "pages").mkdir()
    write(tmp_path / "pages", "signed_out.html", EXTENDED.replace("}x{", "}{% trans %}What is new{% endtrans %}{"))
    file = tmp_path / "pages" / "nl.po"
    printed = invoke("texts", "nl", environ={}).stdout
    assert printed.count("\nmsgid ") > 50
    assert "What is new" not in printed
    assert invoke("texts", "nl", "--output", str(file), environ={}).stdout == f"{file}\n"
    assert 'msgid "What is new"\nmsgstr ""' in file.read_text()
    total = file.read_text().count("\nmsgid ") - 1  # the head
    told = check(tmp_path, "{templates: pages}")
    assert told.returncode == 0
    assert (
        f"warning: {file}: brand.templates: {total} of {total} texts are said in English still; fill in their msgstr\n"
        in told.stderr
    )
    said = file.read_text().replace('msgid "Sign out?"\nmsgstr ""', 'msgid "Sign out?"\nmsgstr "Afmelden?"')
    file.write_text(said + '\nmsgid "Sing out?"\nmsgstr "Zingen?"\n')
    told = check(tmp_path, "{templates: pages}")
    assert f"{total - 1} of {total} texts" in told.stderr
    assert 'msgid "Sing out?": no page says that' in told.stderr
    invoke("texts", "nl", "--output", str(file), environ={})
    assert file.read_text() == said
    assert b"Afmelden?" in SAMPLES["sign_out"](open_pages(tmp_path / "pages").in_language("nl")).body


def test_other_words_in_a_language_of_ours_are_all_that_a_file_needs(tmp_path: Path) -> None:
    write(tmp_path / "pages", "de.po", PO + 'msgid "Sign out?"\nmsgstr "Raus?"\n')
    told = check(tmp_path, "{templates: pages}")
    assert (told.returncode, "de.po" in told.stderr) == (0, False)
    invoke("texts", "de", "-o", str(tmp_path / "pages" / "de.po"), environ={})
    assert 'msgstr "Raus?"' in (tmp_path / "pages" / "de.po").read_text()
    assert 'msgstr ""\n\n' not in (tmp_path / "pages" / "de.po").read_text()


def test_the_folder_of_a_catalogue_is_made_and_one_that_is_written_wrongly_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "new" / "pages" / "nl.po"
    assert invoke("texts", "nl", "-o", str(file), environ={}).returncode == 0
    wrong = file.read_text().replace('msgid "Sign out?"\nmsgstr ""', 'msgid "Sign out?"\nmsgstr "Afmelden?')
    file.write_text(wrong)
    told = invoke("texts", "nl", "-o", str(file), environ={})
    line = wrong[: wrong.index("Afmelden")].count("\n") + 1
    assert (told.returncode, f"{file}:{line}: the text must stand" in told.stderr) == (1, True)
    assert file.read_text() == wrong


def test_only_what_a_catalogue_has_not_is_to_be_added(tmp_path: Path) -> None:
    write(tmp_path / "pages", "nl.po", PO + 'msgid "Sign out?"\nmsgstr ""\n')
    told = check(tmp_path, "{templates: pages}").stderr
    total = int(told.partition(" texts are said in English still")[0].rpartition(" ")[2])
    assert f"fill in their msgstr; `gateway texts nl --output {tmp_path}/pages/nl.po` adds the {total - 1} that" in told


def test_what_is_no_language_has_no_catalogue(tmp_path: Path) -> None:
    assert "is no language: write it like nl, or pt-BR" in invoke("texts", "dutch_", environ={}).stderr


def test_a_template_that_fails_all_the_same_gives_way_to_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "signed_out.html", "{{ 1 // (sign_in_url | length - 1) }}")  # the samples do not show it
    pages = open_pages(tmp_path)
    assert list(find_faults(pages, str(tmp_path))) == []
    assert b"You are signed out" in pages.signed_out("/").body
    assert "template_failed" in caplog.text
    assert "signed_out.html" in caplog.text


def served(html: str) -> Iterator[str]:
    yield from re.findall(r'(?:href|src)="(/oauth2/static/[^"]+)"', html)


def test_over_the_wire_every_file_that_a_page_names_is_there(
    simulator: RunningSimulator, upstream: str, tmp_path: Path
) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    changes = {"brand__name": "Ada", "brand__logo": str(tmp_path / "logo.svg"), "brand__accent": "#0a7d55"}
    with serve_gateway(simulator, upstream, **changes) as running, httpx.Client(trust_env=False) as client:
        page = client.get(running.url + "/oauth2/sign_in", headers=NAVIGATION)
        named = list(served(page.text))
        assert len(named) == 4  # icon, stylesheet, script, logo
        for address in named:
            answer = client.get(running.url + address)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert (
                client.get(running.url + address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
            )


DOCS = (Path(__file__).parents[2] / "docs" / "pages.md").read_text()


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"```jinja\n(.*?)```", DOCS, re.DOTALL)
    write(tmp_path, "signed_out.html", example)
    pages = open_pages(tmp_path)
    assert list(find_faults(pages, str(tmp_path))) == []
    html = SAMPLES["signed_out"](pages).body.decode()
    assert '<a href="/news">What is new</a>' in html
    assert "Sign in again" in html  # what ours has, by super()


def test_the_brand_of_the_documentation_is_taken(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(brand:.*?)```", DOCS, re.DOTALL)
    (tmp_path / "logo.svg").write_bytes(SVG)
    (tmp_path / "icon.png").write_bytes(PNG)
    (tmp_path / "gateway.yaml").write_text(MINIMAL + example)
    told = invoke("check", "-c", str(tmp_path / "gateway.yaml"), environ=ENVIRON)
    assert (told.returncode, "settings are fine" in told.stdout) == (0, True), told.stderr


def test_every_template_and_every_value_of_a_page_is_documented() -> None:
    ours = {name.removeprefix("gateway/") for name in open_pages().environment.list_templates()}
    assert {name for name in ours if f"`{name}`" in DOCS} == ours - {"named.html"}
    for view in (ErrorView, AccountView, Device, Link, PersonName):
        for field in view.__struct_fields__:
            assert re.search(rf"`(?:\w+\.)*{field}\b", DOCS), f"{view.__name__}.{field}"
