"""TikTok's scopes, in words for people ("Scopes Overview")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

IN_WORDS: Final[Mapping[str, str]] = {
    "user.info.basic": "Your name and profile picture",
    "user.info.profile": "Your username, bio and whether you are verified",
    "user.info.stats": "Your follower, like and video counts",
    "video.list": "Your public videos",
    "video.upload": "Upload videos as drafts",
    "video.publish": "Publish videos",
}
KNOWN_PREFIXES: Final = ("portability.", "research.")
"""Families of scopes of which there are too many to list."""


def describe_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return what scopes allow, in words; one that has none stands for itself."""
    return tuple(IN_WORDS.get(scope, scope) for scope in scopes)


def is_known(scope: str) -> bool:
    """Whether TikTok is known to have such a scope."""
    return scope in IN_WORDS or scope.startswith(KNOWN_PREFIXES)
