"""Draws a QR code (ISO/IEC 18004) as an image within a page; the only module that knows segno, which is an extra."""

from __future__ import annotations

import io

import segno
from markupsafe import Markup


def draw(address: str) -> Markup:
    """Return an SVG element. It is black on white in dark mode too: many phones read no other."""
    written = io.BytesIO()
    segno.make_qr(address, error="m").save(
        written,
        kind="svg",
        xmldecl=False,
        svgns=False,
        border=4,  # the quiet zone, §6.3.8
        dark="#000",
        light="#fff",
        svgclass="qr",
        lineclass=None,
        omitsize=True,
        nl=False,
    )
    return Markup(written.getvalue().decode("ascii"))  # noqa: S704 -- squares only: nothing of the address is text in it
