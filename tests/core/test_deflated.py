"""Texts written short are read as they were, and nothing else is."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.deflated import LONGEST, deflate_text, inflate_text

AVATAR = (
    "https://p16-common-sign.tiktokcdn-us.com/tos-useast5-avt-0068-tx/7310c2a5e1f3b4d6a8e9~tplv-tiktokx-cropcenter:168:168"
    ".jpeg?dr=9640&refresh_token=2b1f9c3d&x-expires=1795720800&x-signature=Zm9vYmFyYmF6cXV4cXV1eA%3D&t=4d5b0474"
    "&ps=13740610&shp=a5d48078&shcp=8aecc5ac&idc=useast5&sc=avatar&biz_tag=tt_user.login_kit"
)
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/151.0.0.0 Safari/537.36"
)  # fmt: skip


@given(st.text())
def test_any_text_is_read_as_it_was(text: str) -> None:
    assert inflate_text(deflate_text(text)) == text


@pytest.mark.parametrize(("text", "most"), [(AVATAR, 110), (CHROME, 20), ("", 3)])
def test_what_is_known_beforehand_takes_next_to_nothing(text: str, most: int) -> None:
    assert len(deflate_text(text)) <= most


WRITTEN = deflate_text(AVATAR)


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\xff" + WRITTEN[1:], WRITTEN[:-1], WRITTEN + b"x", b"\x00\xff\xff\xff", b"\x00" + zlib.compress(b"x")],
    ids=["nothing", "another dictionary", "cut off", "more", "garbage", "of another make"],
)
def test_what_was_not_written_so_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="text"):
        inflate_text(damaged)


def test_there_is_a_bound_to_what_it_becomes() -> None:
    assert inflate_text(deflate_text("x" * LONGEST)) == "x" * LONGEST
    with pytest.raises(ValueError, match="whole"):
        inflate_text(deflate_text("x" * (LONGEST + 1)))
