"""Whose site this is, as its pages show it (branding, white label): values, read from the operator's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class Picture(msgspec.Struct, frozen=True):
    """A logo or an icon; `ending` says what it is, e.g. "png"."""

    ending: str
    body: bytes


class Brand(msgspec.Struct, frozen=True):
    """What the operator's pages have of their own; all of it may be missing."""

    name: str = ""
    logo: Picture | None = None
    icon: Picture | None = None
    accent: str = ""  # "#rrggbb"
    terms_url: str = ""
    privacy_url: str = ""
    support_url: str = ""
    footer: str = ""
    templates: str = ""  # a folder with templates that stand in for ours
    stylesheet: bytes = b""  # rules after ours
    languages: tuple[str, ...] = ()  # the default first; none for all there are
    texts: Mapping[str, bytes] = {}  # by language: catalogues (.po) that add to ours, or stand in for them


PLAIN: Final = Brand()
"""A site that has nothing of its own but its address."""
