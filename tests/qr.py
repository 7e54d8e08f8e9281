"""Reads the QR code of a page, by a decoder that is not the library which drew it; and a phone that scans it."""

from __future__ import annotations

import html as entities
import re

import httpx
import zxingcpp

SCALE = 4


def read_qr(page: str) -> str:
    """Return what the code within a page says; asserts that there is one."""
    found = re.search(r'<svg viewBox="0 0 (\d+) \d+".*?stroke="#000" d="([^"]+)"', page)
    assert found is not None, page
    side = int(found[1]) * SCALE
    pixels = bytearray(b"\xff" * side * side)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([0-9. -]+)", found[2]):
        values = [float(each) for each in re.findall(r"-?[0-9.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            for row in range(int(y - 0.5) * SCALE, int(y + 0.5) * SCALE):
                start = row * side + int(x) * SCALE
                pixels[start : start + int(values[0]) * SCALE] = b"\0" * (int(values[0]) * SCALE)
            x += values[0]
    (code,) = zxingcpp.read_barcodes(
        memoryview(pixels).cast("B", (side, side)), formats=zxingcpp.barcode_formats_from_str("QRCode")
    )
    return entities.unescape(code.text)


def scan(address: str) -> None:
    """Scan a code, as a phone does."""
    assert httpx.get(address, trust_env=False).status_code == 200


def confirm(address: str, *, person: str = "plain", allow: bool = True) -> None:
    """Scan it, and say yes or no there."""
    scan(address)
    form = {"person": person, "scope": ["user.info.profile"], "allow" if allow else "deny": "1"}
    assert httpx.post(address, data=form, trust_env=False).status_code == 200
