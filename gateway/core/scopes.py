"""TikTok's scopes ("Scopes Overview"), and the facts it tells of a creator, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IN_WORDS: Final[Mapping[str, str]] = {
    "user.info.basic": "Your name and profile picture",
    "user.info.profile": "Your username, bio and whether you are verified",
    "user.info.stats": "Your follower, like and video counts",
    "video.list": "Your public videos",
    "video.upload": "Upload videos as drafts",
    "video.publish": "Publish videos",
}
FACTS_IN_WORDS: Final[Mapping[str, str]] = {
    "is_verified": "It depends on whether TikTok has verified the account.",
    "follower_count": "It depends on how many followers the account has.",
    "following_count": "It depends on how many accounts it follows.",
    "likes_count": "It depends on how many likes its videos have.",
    "video_count": "It depends on how many videos it has.",
}
"""What a route may ask of a creator (`gateway.core.requirement: SCOPE_OF_FACT`)."""
KNOWN_PREFIXES: Final = ("portability.", "research.")
"""Families of scopes of which there are too many to list."""


def is_known(scope: str) -> bool:
    """Whether TikTok is known to have such a scope."""
    return scope in IN_WORDS or scope.startswith(KNOWN_PREFIXES)
