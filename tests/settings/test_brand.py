"""The section `brand`: pictures by what they are, colours, links, and languages that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.brand import LARGEST_PICTURE, find_picture_kind
from tests.settings.test_load import MINIMAL, problems, read

SVG = b'<?xml version="1.0"?>\n<!-- a mark -->\n<svg xmlns="http://www.w3.org/2000/svg"></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"\0\0\1\0\1\0", "ico"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (SVG, "svg"),
        (b"\xef\xbb\xbf<svg>", "svg"),
        (b"<!doctype html><svg>", None),  # a page that would be shown as one
        (b"<html><svg>", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_a_picture_is_what_its_bytes_say(body: bytes, kind: str | None) -> None:
    assert find_picture_kind(body) == kind


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("accent: #0a7d55", "YAML takes # for the beginning of a comment"),
        ("accent: green", "is no colour"),
        ('accent: "#0a7d5"', "is no colour"),
        ('accent: "#0a7d55;}"', "is no colour"),
        ("terms_url: javascript:alert(1)", "is no link"),
        ("terms_url: //evil.example/terms", "is no link"),
        ("terms_url: /\\evil.example", "is no link"),
        ("privacy_url: app.example.com/privacy", "is no link"),
        ("support_url: mailto:nobody", "is no link"),
        ('name: "a\\nb"', "must be one line"),
        ('footer: "a\\u202eb"', "must be one line"),
        ("languages: [german]", "which is no language"),
        ("logo: nothing.svg", "is no file"),
        ("logo: page.html", "is no SVG, PNG, WebP, JPEG or ICO"),
        ("logo: large.png", "is larger than 256 KiB"),
        ("templates: logo.svg", "is no folder"),
        ("colour: red", "is not a key"),
    ],
)
def test_what_is_refused(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "large.png").write_bytes(PNG + b"\0" * LARGEST_PICTURE)
    (problem,) = problems(tmp_path, f"{MINIMAL}brand:\n  {line}\n")
    assert told in problem
    assert "brand" in problem


def test_files_are_looked_for_beside_the_settings_and_named_for_whoever_watches_them(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    (tmp_path / "pages").mkdir()
    text = MINIMAL + 'brand: {logo: logo.svg, templates: pages, accent: "#0A7D55", terms_url: /terms, languages: de}\n'
    brand = read(tmp_path, text).brand
    assert brand.files == (tmp_path / "logo.svg", tmp_path / "pages")
    assert (brand.accent, brand.terms_url, brand.languages) == ("#0a7d55", "/terms", ("de",))
