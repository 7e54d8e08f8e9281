"""The names by which apps are told who somebody is, and every way to spell them."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from tests.talk import Fields

# interface.md §4: the names of all presets, and of the assertion, in use or not
RESERVED = (
    "X-TikTok-Open-Id",
    "X-TikTok-Union-Id",
    "X-TikTok-Username",
    "X-TikTok-Display-Name",
    "X-TikTok-Avatar-Url",
    "X-TikTok-Scopes",
    "X-TikTok-Access-Token",
    "X-TikTok-Token-Expires-At",
    "X-Forwarded-User",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Preferred-Username",
    "X-Auth-Request-Access-Token",
    "Remote-User",
    "Remote-Name",
    "X-WEBAUTH-USER",
    "X-WEBAUTH-NAME",
    "X-Gateway-Assertion",
    "X-Gateway-Check",  # and how a front proves itself, which no app is to read
)
_NORMAL = frozenset(name.lower() for name in RESERVED)


def reads_as_identity(name: bytes) -> bool:
    """Whether a careless app could take this name for one of them: CGI and its children know no case and one dash."""
    return re.sub("[^a-z0-9]", "-", name.decode("latin-1").lower()) in _NORMAL


def identity_of(fields: Fields) -> Fields:
    """Return the fields that could be taken for identity."""
    return tuple(field for field in fields if reads_as_identity(field[0]))


@st.composite
def spellings(draw: st.DrawFn, names: tuple[str, ...] = RESERVED) -> bytes:
    """Return a name in some spelling."""
    name = draw(st.sampled_from(names))
    choices = draw(st.lists(st.integers(0, 5), min_size=len(name), max_size=len(name)))
    return "".join(_spell(letter, choice) for letter, choice in zip(name, choices, strict=True)).encode()


def _spell(letter: str, choice: int) -> str:
    if letter == "-":
        return "-_.!~+"[choice]
    return letter.upper() if choice % 2 else letter.lower()
