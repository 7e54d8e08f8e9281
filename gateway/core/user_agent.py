"""Browsers and systems, as their owners call them, told by the user agents that they send.

Nothing depends on it but how a person tells one of their devices from another.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.in_app import APPS

_BROWSERS: Final = (
    *APPS,
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS: Final = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("ChromeOS", r"CrOS"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("Linux", r"Linux|X11"),
)


class UserAgent(msgspec.Struct, frozen=True):
    """A browser and the system that it runs on; "" for what cannot be told."""

    browser: str = ""
    system: str = ""

    def __str__(self) -> str:
        """Name it in English, e.g. "Chrome on Windows"."""
        if self.browser and self.system:
            return f"{self.browser} on {self.system}"
        return self.browser or self.system or "Unknown device"


def read_user_agent(text: str) -> UserAgent:
    """Return what a user agent says of itself."""
    return UserAgent(_find(_BROWSERS, text), _find(_SYSTEMS, text))


def describe_user_agent(text: str) -> str:
    """Name a browser in English, e.g. "Chrome on Windows"; "Unknown device" when it cannot be told."""
    return str(read_user_agent(text))


def _find(marks: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, mark in marks if re.search(mark, text)), "")
