"""Cookies, byte for byte: find ours, take ours out, leave the app's exactly as they were.

A cookie line is split at `;` and nowhere else, as browsers and servers do (RFC 6265 §5.4); whatever stands between is
never judged. `http.cookies` loses all cookies when one of them is odd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway.core.request import Headers


class CookieSpec(msgspec.Struct, frozen=True):
    """A cookie of the gateway: one description for setting and for deleting, so that deleting really deletes."""

    name: str
    secure: bool
    domain: str | None = None
    same_site: str = "Lax"
    partitioned: bool = False  # one for each site whose pages frame ours (CHIPS)

    def set(self, value: str, max_age: int) -> bytes:
        """Return the value of a `Set-Cookie` field that keeps `value` for `max_age` seconds."""
        return self._build(value, f"Max-Age={max_age}")

    def delete(self) -> bytes:
        """Return the value of a `Set-Cookie` field that deletes the cookie."""
        return self._build("", "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")

    def _build(self, value: str, lifetime: str) -> bytes:
        domain = f"; Domain={self.domain}" if self.domain else ""
        secure = "; Secure" if self.secure else ""
        partitioned = "; Partitioned" if self.partitioned else ""
        same_site = f"SameSite={self.same_site}"
        return f"{self.name}={value}; {lifetime}; Path=/{domain}; HttpOnly; {same_site}{secure}{partitioned}".encode()


def read(headers: Headers, name: bytes) -> tuple[bytes, ...]:
    """Return the values of every cookie called `name`, over all `Cookie` lines, in order."""
    found: list[bytes] = []
    for header, line in headers:
        if header == b"cookie" and name in line:
            for pair in line.split(b";"):
                key, separator, value = pair.partition(b"=")
                if separator and key.strip() == name:
                    found.append(value.strip())
    return tuple(found)


def strip(line: bytes, names: frozenset[bytes]) -> bytes:
    """Return a cookie line without the cookies called `names`; the others stay byte-identical."""
    pairs = line.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    if len(kept) == len(pairs):
        return line
    return b";".join(kept).lstrip(b" ")
