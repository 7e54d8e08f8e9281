"""What would act on a terminal is written as an escape; all else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.printable import escape_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a\x1b[31mRED", r"/a\x1b[31mRED"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("user\u202egnp.exe\u2066", r"user\u202egnp.exe\u2066"),
        ("\u2028\ufeff\u200b\xa0", r"\u2028\ufeff\u200b\xa0"),
        ("\ud800", r"\ud800"),
        ("李 🦊 é", "李 🦊 é"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


@given(st.text())
def test_what_is_shown_is_printable(text: str) -> None:
    assert escape_controls(text).isprintable()
    assert escape_controls(text, keep="\n").replace("\n", "").isprintable()
