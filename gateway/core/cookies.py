"""Cookies, byte for byte: find ours, take ours out, leave the app's exactly as they were.

A cookie line is split at `;` and nowhere else, as browsers and servers do (RFC 6265 §5.4); whatever stands between is
never judged. `http.cookies` loses all cookies when one of them is odd.
"""

from __future__ import annotations

import re
from typing import Final, Self

import msgspec

from gateway.core.fields import Headers

_OURS: Final = rb"[A-Za-z0-9_-]{43}(?:\.[0-9]{1,3}\.[0-9]{1,12})?"  # the value of a session's or a binding's cookie
_SEPARATOR: Final = re.compile(rb"[;,][ \t]*")


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

    def marked(self, mark: str) -> CookieSpec:
        """Return the cookie whose name ends in `-` and a mark."""
        return msgspec.structs.replace(self, name=f"{self.name}-{mark}")

    @property
    def attributes(self) -> str:
        """What is set with it, but for how long it lasts."""
        domain = f"; Domain={self.domain}" if self.domain else ""
        secure = "; Secure" if self.secure else ""
        partitioned = "; Partitioned" if self.partitioned else ""
        same_site = f"SameSite={self.same_site}"
        return f"Path=/{domain}; HttpOnly; {same_site}{secure}{partitioned}"

    def _build(self, value: str, lifetime: str) -> bytes:
        return f"{self.name}={value}; {lifetime}; {self.attributes}".encode()


class OwnCookies(frozenset[bytes]):
    """The names of the gateway's own cookies: some as they are, and others that end in a mark."""

    _plain: frozenset[bytes]
    _leads: tuple[bytes, ...]

    def __new__(
        cls, *, session: CookieSpec, binding: CookieSpec, device: CookieSpec | None = None, others: tuple[str, ...] = ()
    ) -> Self:
        """Binding cookies and proofs of a device are marked, the session cookie and `others` are not."""
        plain = frozenset({session.name.encode(), binding.name.encode(), *map(str.encode, others)})
        made = super().__new__(cls, plain)
        made._plain, made._leads = plain, tuple(each.name.encode() + b"-" for each in (binding, device) if each)
        return made

    def __contains__(self, name: object) -> bool:
        """Whether a cookie of this name is ours."""
        return name in self._plain or (isinstance(name, bytes) and name.startswith(self._leads))

    def within(self, line: bytes) -> frozenset[bytes]:
        """Return the names that count in a line: where no marked cookie can be, those that are quickly compared."""
        return self if any(lead in line for lead in self._leads) else self._plain

    @property
    def pattern(self) -> bytes:
        """A regular expression for the names."""
        plain = b"|".join(re.escape(each) for each in sorted(self._plain, key=len, reverse=True))
        leads = b"|".join(map(re.escape, self._leads))
        return b"(?:(?:" + leads + b")[A-Za-z0-9_-]+|" + plain + b")"


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


def read_marked(headers: Headers, name: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return marks and values of every cookie whose name is `name`, `-` and a mark; in order."""
    lead = name + b"-"
    pairs = [pair.partition(b"=") for field, line in headers if field == b"cookie" for pair in line.split(b";")]
    named = [(key.strip(), value.strip()) for key, separator, value in pairs if separator]
    return tuple((key[len(lead) :], value) for key, value in named if key.startswith(lead))


def strip(line: bytes, names: frozenset[bytes]) -> bytes:
    """Return a cookie line without the cookies called `names`; the others stay byte-identical."""
    if isinstance(names, OwnCookies):
        names = names.within(line)
    pairs = line.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    if len(kept) == len(pairs):
        return line
    return b";".join(kept).lstrip(b" ")


class JoinedCookies:
    """Tells our cookies from the app's where a server has joined several `Cookie` fields, as WSGI servers do.

    They join with a comma, with or without a space, or with nothing at all. A comma may be part of an app's value too,
    so one counts only beside a cookie of ours, in whose value there is none; where nothing is between, ours is known by
    the shape of its value. In doubt, something of the app's is taken for ours: ours are never shown.
    """

    def __init__(self, names: OwnCookies) -> None:
        name = names.pattern + rb"[ \t]*="
        apart = name + b"(?:" + _OURS + b"(?=[^;,= ]+=)|[^;,]*)"
        self._ours = re.compile(rb"(?:^|[;,])[ \t]*(?P<apart>" + apart + b")|(?P<glued>" + name + _OURS + b")")

    def split(self, line: bytes) -> tuple[bytes, ...]:
        """Return the line as it is; or, where there are cookies of ours in it, the app's and ours."""
        ours: list[bytes] = []
        others: list[bytes] = []
        end = 0
        for found in self._ours.finditer(line):
            before = line[end : found.start()]
            if found["glued"] and (before or not ours) and b"=" not in before.rpartition(b";")[2]:
                continue  # the end of an app's cookie's name
            ours.append(found["apart"] or found["glued"])
            others.append(before)
            end = found.end()
        if not ours:
            return (line,)
        others.append(line[end:])
        # what separated them from ours goes with ours
        rest = [others[0], *(_SEPARATOR.sub(b"", each, count=1) if each[:1] in b";," else each for each in others[1:])]
        return b"; ".join(each for each in rest if each), b"; ".join(ours)
