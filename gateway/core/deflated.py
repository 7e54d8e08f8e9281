"""Texts of which most is always the same, written short: deflate (RFC 1951) with a preset dictionary (RFC 1950 §2.2).

An avatar's address and a browser's name are more than half of what is kept of a person, and nearly all of both is known
beforehand. Tokens are not among them: there is nothing in them to shorten, and what is secret is kept from anything
whose length depends on what stands beside it (CRIME).

What is written with a dictionary can be read with that one only: a better one is added under a number of its own.
"""

from __future__ import annotations

import zlib
from typing import Final

LONGEST: Final = 64 * 1024
"""Most bytes that a text may have."""

_WINDOW: Final = -11
"""2 KiB, which the dictionary has to fit in, without header and checksum: records are sealed as it is."""
# The likeliest at the end, where it is found by the shortest way back.
_DICTIONARIES: Final = (
    b"https://p77-sign-va.tiktokcdn.com/tos-maliva-avt-0068/https://p16-sign-sg.tiktokcdn.com/tos-alisg-avt-0068/"
    b"https://p19-common-sign.tiktokcdn-us.com/tos-useast2a-avt-0068-giso/https://p16-common-sign.tiktokcdn-eu.com/"
    b"tos-no1a-avt-0068c001-no/https://p16-common-sign.tiktokcdn-us.com/tos-useast5-avt-0068-tx/"
    b"~tplv-tiktokx-cropcenter:1080:1080.webp~tplv-tiktokx-cropcenter:100:100.jpeg~tplv-tiktokx-cropcenter:168:168.jpeg"
    b"?dr=9640&refresh_token=&x-expires=17&x-signature=%2F%2B%3D&t=4d5b0474&ps=13740610&shp=a5d48078&shcp=8aecc5ac"
    b"&idc=useast5&idc=no1a&idc=my2&idc=maliva&sc=avatar&biz_tag=tt_user.login_kit"
    b"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"
    b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (Linux; Android 10; K) Chrome/142.0.0.0 Mobile Safari/537.36"
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) "
    b"AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1 "
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
)
_NEWEST: Final = len(_DICTIONARIES) - 1


def deflate_text(text: str) -> bytes:
    """Write a text short: the number of its dictionary (1 byte), and the deflated text."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 9, zdict=_DICTIONARIES[_NEWEST])
    return bytes((_NEWEST,)) + packer.compress(text.encode()) + packer.flush()


def inflate_text(deflated: bytes) -> str:
    """Return the text. Raises `ValueError` for what `deflate_text` has not written."""
    if not deflated or deflated[0] > _NEWEST:
        raise ValueError("a text of another version")
    opener = zlib.decompressobj(_WINDOW, zdict=_DICTIONARIES[deflated[0]])
    try:
        text = opener.decompress(deflated[1:], LONGEST)
    except zlib.error:
        raise ValueError("not a deflated text") from None
    if not opener.eof or opener.unused_data:
        raise ValueError("not a whole deflated text")
    return text.decode()
