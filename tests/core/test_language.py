"""Which language somebody reads, by `Accept-Language` (RFC 9110 §12.5.4, RFC 4647 §3.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.language import MOST_PREFERENCES, choose_language, read_preferences

OFFERED = ("en", "ar", "de", "es", "ja", "pt-BR")


def choose(*fields: str, offered: tuple[str, ...] = OFFERED) -> str:
    return choose_language(read_preferences([(b"accept-language", each.encode()) for each in fields]), offered)


@pytest.mark.parametrize(
    ("field", "language"),
    [
        ("de", "de"),
        ("DE-at", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, ja;q=0.9", "ja"),
        ("ja ; q=0.2 , es ; q=0.7", "es"),
        ("pt-BR", "pt-BR"),
        ("pt-PT", "pt-BR"),  # another country's, rather than another language
        ("pt", "pt-BR"),
        ("zh-Hant-TW, zh;q=0.9", "en"),
        ("zh, de;q=0.1", "de"),
        ("fr-CA, fr;q=0.9, ar-EG;q=0.8, en;q=0.7", "ar"),
        ("de;q=0, ja", "ja"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("*;q=0.1, es;q=0.2", "es"),
        ("", "en"),
        ("de;q=2, ja;q=0.1", "ja"),
        ("de;q=x, ja;q=0.1", "ja"),
        ("../../etc/passwd", "en"),
        ("de_AT", "en"),
        ("ja,de", "ja"),  # the same weight: as they are named
    ],
)
def test_the_one_that_fits_best(field: str, language: str) -> None:
    assert choose(field) == language


def test_a_field_that_comes_twice_is_one_list() -> None:
    assert choose("fr", "de") == "de"


def test_where_none_fits_it_is_the_first_that_is_offered() -> None:
    assert choose("fr", offered=("de", "en")) == "de"
    assert choose("*", offered=("de", "en")) == "de"
    assert choose_language(read_preferences([]), ("de", "en")) == "de"


def test_a_tag_longer_than_any_language_has_is_left_out() -> None:
    """What is looked up costs with each of its parts."""
    assert read_preferences([(b"accept-language", b"a" + b"-b" * 15_800 + b",de")]) == ("de",)
    assert read_preferences([(b"accept-language", b"zh-" + b"-".join([b"a"] * 8))]) == ()
    assert read_preferences([(b"accept-language", b"zh-" + b"-".join([b"a"] * 7))]) == ("zh-a-a-a-a-a-a-a",)


def test_no_more_are_looked_at_than_browsers_send() -> None:
    assert len(read_preferences([(b"accept-language", b"de," * 10_000)])) == MOST_PREFERENCES


@given(st.binary(max_size=200))
def test_whatever_is_sent_some_language_is_spoken(field: bytes) -> None:
    assert choose_language(read_preferences([(b"accept-language", field)]), OFFERED) in OFFERED
