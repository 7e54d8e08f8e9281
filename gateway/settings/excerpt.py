"""A line of a settings file as a message may have it: what it says of a secret is not shown.

What a broken file means is not known, so a value is shown only beside a key that is never a secret, and has no such key
below it; where a line has no key that there is, nothing of it is shown.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from gateway.settings.keys import every_key

LONGEST: Final = 60
_HIDDEN: Final = "…"
_LINE: Final = re.compile(r"(?P<before>[ \t]*(?:- +)*)(?P<key>[A-Za-z_]+)(?P<colon>\s*:[ \t]*)(?P<value>.*)")
_USER: Final = re.compile(r"://[^/\s]*@")


def excerpt(line: str) -> str:
    """Return the line, shortened, or ""."""
    found = _LINE.fullmatch(line.rstrip())
    if found is None or found["key"] not in {key[-1] for key in every_key()}:
        return ""
    value = found["value"]
    if value and (found["key"] not in _plain_names() or _names_secret(value) or _USER.search(value)):
        value = _HIDDEN
    shown = f"{found['before']}{found['key']}{found['colon']}{value}".replace("\t", "→")
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}{_HIDDEN}"


@cache
def _plain_names() -> frozenset[str]:
    """Return the names of keys that hold a value, and nowhere a secret or anything below them."""
    keys = every_key()
    sections = {key[end - 1] for key in keys for end in range(1, len(key)) if key[end] != "*" or len(key) > end + 1}
    secrets = {part for key, secret in keys.items() if secret for part in key}
    return frozenset(key[-1] for key in keys) - sections - secrets - {"*"}


def _names_secret(value: str) -> bool:
    """Whether a value may be a mapping in one line, with a secret in it."""
    secrets = {key[-1] for key, secret in every_key().items() if secret}
    return any(word in secrets for word in re.findall(r"[A-Za-z_]+", value)) or "{" in value
