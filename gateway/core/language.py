"""Which language somebody reads (content negotiation): `Accept-Language`, RFC 9110 §12.5.4.

A language is offered by its tag (RFC 5646): `de`, `pt-BR`. Who asks for `de-AT` gets `de` (lookup, RFC 4647 §3.4), and
who asks for `pt-PT` gets `pt-BR`: of the same language, another country's is better than another language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.core.fields import Headers

MOST_PREFERENCES: Final = 16
"""Most languages of a request that are looked at: browsers send at most a dozen."""
_PREFERENCE: Final = re.compile(  # of subtags, as many as a tag of 35 characters may need (RFC 5646 §4.4.1)
    r"[\t ]*+([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7}+|\*)[\t ]*+(?:;[\t ]*+[qQ]=([01](?:\.[0-9]{0,3})?)[\t ]*+)?"
)


def read_preferences(headers: Iterable[tuple[bytes, bytes]] | Headers) -> tuple[str, ...]:
    """Return the languages that a request asks for, in lower case, the dearest first; what is malformed is left out."""
    field = b",".join(value for name, value in headers if name == b"accept-language")
    found: list[tuple[float, str]] = []
    for item in field.decode("latin-1").split(",", MOST_PREFERENCES)[:MOST_PREFERENCES]:
        match = _PREFERENCE.fullmatch(item)
        weight = float(match[2] or 1) if match is not None else 0.0
        if match is not None and 0 < weight <= 1:
            found.append((weight, match[1].lower()))
    return tuple(tag for _, tag in sorted(found, key=lambda pair: -pair[0]))


def choose_language(preferences: Iterable[str], offered: Sequence[str]) -> str:
    """Return the one of the languages offered that fits best; the first of them where none does."""
    for tag in preferences:
        found = offered[0] if tag == "*" else _look_up(tag, offered)
        if found is not None:
            return found
    return offered[0]


def _look_up(tag: str, offered: Sequence[str]) -> str | None:
    parts = tag.split("-")
    for length in range(len(parts), 0, -1):
        shorter = "-".join(parts[:length])
        for each in offered:
            if each.lower() == shorter:
                return each
    return next((each for each in offered if each.lower().partition("-")[0] == parts[0]), None)
