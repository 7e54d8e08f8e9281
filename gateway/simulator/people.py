"""The people of the simulator: one for each awkwardness that real accounts have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a TikTok account."""

    open_id: str
    display_name: str
    username: str
    union_id: str | None = None
    avatar_url: str = "https://p16.tiktokcdn.example/avatar.jpeg?refresh_token=93c030&x-expires=1795600000"
    bio_description: str = ""
    is_verified: bool = False
    follower_count: int = 12
    following_count: int = 34
    likes_count: int = 56
    video_count: int = 7


def _id(start: str, filler: str) -> str:
    return (start + filler * 40)[:36]


PEOPLE: Final[Mapping[str, Person]] = {
    "plain": Person(_id("_000plain", "0Pq"), "Ada Plain", "ada.plain", _id("union", "Ada9")),
    "emoji": Person(_id("_000emoji", "7Xz"), "李小龙 🦊👩‍👩‍👧", "fox_lee", _id("union", "Lee7"), is_verified=True),
    "no_union_id": Person(_id("_000alone", "aB3"), "Uma Alone", "uma", None),
    "dash": Person(_id("-000dash", "test0"), "Dash O'Hare", "dash", _id("-union", "D4s")),
    "crlf": Person(_id("_000crlf", "Zz1"), "Mal\r\nSet-Cookie: a=1\x00\u202e", "mallory", _id("union", "Mal2")),
}
"""By the name under which a form or a test chooses them."""
