"""Cookies, byte for byte: find ours, take ours out, leave the app's exactly as they were.

A cookie line is split at `;` and nowhere else, as browsers and servers do (RFC 6265 §5.4); whatever stands between is
never judged. `http.cookies` loses all cookies when one of them is odd.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import msgspec

from gateway.core.request import Headers


class CookieSpec(msgspec.Struct, frozen=True):
    """A cookie of the gateway: one description for setting and for deleting, so that deleting really deletes."""

    name: str
    secure: bool
    domain: str | None = None

    def set(self, value: str, max_age: int) -> bytes:
        """Return the value of a `Set-Cookie` field that keeps `value` for `max_age` seconds."""
        return self._build(value, f"Max-Age={max_age}")

    def delete(self) -> bytes:
        """Return the value of a `Set-Cookie` field that deletes the cookie."""
        return self._build("", "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")

    def marked(self, mark: str) -> CookieSpec:
        """Return the cookie whose name ends in `-` and a mark."""
        return msgspec.structs.replace(self, name=f"{self.name}-{mark}")

    def _build(self, value: str, lifetime: str) -> bytes:
        domain = f"; Domain={self.domain}" if self.domain else ""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={value}; {lifetime}; Path=/{domain}; HttpOnly; SameSite=Lax{secure}".encode()


class OwnCookies(frozenset[bytes]):
    """The names of the gateway's own cookies: some as they are, and others that end in a mark."""

    _lead: bytes

    def __new__(cls, *, session: CookieSpec, binding: CookieSpec) -> Self:
        """Binding cookies are marked, the session cookie is not."""
        made = super().__new__(cls, (session.name.encode(), binding.name.encode()))
        made._lead = binding.name.encode() + b"-"
        return made

    def __contains__(self, name: object) -> bool:
        """Whether a cookie of this name is ours."""
        return super().__contains__(name) or (isinstance(name, bytes) and name.startswith(self._lead))


def read(headers: Headers, name: bytes) -> tuple[bytes, ...]:
    """Return the values of every cookie called `name`, over all `Cookie` lines, in order."""
    return tuple(value for mark, value in _read_beginning(headers, name) if not mark)


def read_marked(headers: Headers, name: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return marks and values of every cookie whose name is `name`, `-` and a mark; in order."""
    return tuple(_read_beginning(headers, name + b"-"))


def _read_beginning(headers: Headers, lead: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what follows `lead` in the names that begin with it, and the values."""
    for header, line in headers:
        if header == b"cookie" and lead in line:
            for pair in line.split(b";"):
                key, separator, value = pair.partition(b"=")
                key = key.strip()
                if separator and key.startswith(lead):
                    yield key[len(lead) :], value.strip()


def strip(line: bytes, names: frozenset[bytes]) -> bytes:
    """Return a cookie line without the cookies called `names`; the others stay byte-identical."""
    pairs = line.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    if len(kept) == len(pairs):
        return line
    return b";".join(kept).lstrip(b" ")
