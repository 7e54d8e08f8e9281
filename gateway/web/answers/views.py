"""What pages show, as plain values; whatever is foreign text among it is made fit for one line here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.core.identity import Identity
from gateway.core.kept_post import FormField
from gateway.core.tiktok import Profile
from gateway.core.user_agent import UserAgent

MAX_NAME: Final = 80
MAX_VALUE: Final = 200
"""Longest display name, and longest value of a form's field, shown, in characters."""

_SECRET: Final = re.compile(r"(?i)passw|passphrase|pwd|secret|token|csrf|xsrf|cvv|cvc|\bpin\b")
_HOST: Final = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?")


class Link(msgspec.Struct, frozen=True):
    """Where to go next."""

    url: str
    text: str


class PersonName(msgspec.Struct, frozen=True):
    """Who is signed in, as people call them; `picture` is an address at TikTok, or ""."""

    name: str
    username: str | None
    picture: str = ""

    @classmethod
    def of(cls, who: Identity | Profile) -> PersonName:
        """Return how somebody is called: an id where nothing else is known."""
        name = who.display_name or who.username or who.open_id
        username = shorten(who.username) if who.username and who.username != name else None
        return cls(shorten(name), username, read_picture(who.avatar_url))

    @property
    def initial(self) -> str:
        """What stands for a picture."""
        return next((char.upper() for char in self.name if char.isalnum()), "•")


class ErrorView(msgspec.Struct, frozen=True):
    """What an error page shows; all words are in the reader's language."""

    code: str
    title: str
    advice: str
    request_id: str
    log_id: str = ""  # TikTok's reference
    links: tuple[Link, ...] = ()  # the likeliest way on first
    refused: tuple[str, ...] = ()  # what was not shared
    person: PersonName | None = None  # to whom it is denied
    words: str = ""  # the operator's
    fact: str = ""  # what it depends on, about a creator
    within: str | None = None  # app whose browser this is
    still: bool = False  # whoever sees it is signed in all the same
    reloads: bool = False  # by itself, in a few seconds


class Shown(msgspec.Struct, frozen=True):
    """A field of a form that was kept, as its sender is shown it; `value` is None for a file."""

    name: str
    value: str | None


class Device(msgspec.Struct, frozen=True):
    """One of the browsers a person is signed in with; `handle` is the public id of its session."""

    handle: str
    agent: UserAgent
    signed_in_at: datetime
    last_seen_at: datetime
    current: bool
    bound: bool = False  # to the device


class AccountView(msgspec.Struct, frozen=True):
    """What the account page shows; `return_to` is the way back to the app."""

    person: PersonName
    open_id: str
    scopes: Sequence[str]
    session_ends_at: datetime
    devices: Sequence[Device]
    return_to: str = "/"


def shorten(name: str, most: int = MAX_NAME) -> str:
    """Return a display name fit for one line: no control characters, no direction overrides, not too long."""
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+", " ", name).strip()
    return visible if len(visible) <= most else visible[: most - 1] + "…"


def show_field(field: FormField) -> Shown:
    """Return a field as it may be shown on a screen: short, and no secret."""
    if field.value is None:
        return Shown(shorten(field.name), None)
    value = "•••" if _SECRET.search(field.name) else shorten(field.value, MAX_VALUE)
    return Shown(shorten(field.name), value)


def read_picture(address: str | None) -> str:
    """Return the address of a picture, if a page may show it: https, and of a plain host, which its policy names."""
    if address is None or len(address) > 2048 or not address.isascii() or not address.isprintable():
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    plain = parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None and " " not in address
    return address if plain else ""


def origin_of(picture: str) -> str:
    """Return where a picture comes from, as a Content-Security-Policy names it (CSP 3 §2.3.1); "" for none."""
    return f"https://{urlsplit(picture).netloc}" if picture else ""
