"""Videos of a person, invented: as many as `video_count` says, the same every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.simulator.people import Person

FIELDS: Final = {
    "video.list": (
        "id",
        "create_time",
        "cover_image_url",
        "share_url",
        "video_description",
        "duration",
        "height",
        "width",
        "title",
        "embed_html",
        "embed_link",
        "like_count",
        "comment_count",
        "share_count",
        "view_count",
    ),
}
"""By the scope that they need ("Video Object")."""
MOST_AT_ONCE: Final = 20
MOST_VIDEOS: Final = 1000
"""Most that somebody can have."""
_NEWEST: Final = 1_795_600_000  # seconds since the epoch
_APART: Final = 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    numbers: Sequence[int]
    """Of videos; 0 is the newest."""
    cursor: int
    """Where the next page begins: a time in milliseconds, before which its videos were made."""
    has_more: bool


def list_videos(person: Person, cursor: int, count: int) -> Page:
    """Return a page of at most `count` videos that were made before `cursor`; 0 begins with the newest."""
    older = [number for number in range(person.video_count) if not cursor or _find_time(number) * 1000 < cursor]
    numbers = older[:count]
    return Page(numbers, _find_time(numbers[-1]) * 1000 if numbers else cursor, len(older) > len(numbers))


def build_video(person: Person, number: int, fields: Sequence[str]) -> dict[str, Any]:
    """Return some fields of a video."""
    seed = int.from_bytes(hashlib.sha256(f"{person.open_id} {number}".encode()).digest()[:6])
    video_id = str(7_000_000_000_000_000_000 + seed)  # too large for a number of JavaScript's
    link = f"https://www.tiktok.example/@{person.username}/video/{video_id}"
    facts = {
        "id": video_id,
        "create_time": _find_time(number),
        "cover_image_url": f"https://p16.tiktokcdn.example/{video_id}.jpeg?x-expires=1795600000",
        "share_url": link,
        "video_description": f"Video {person.video_count - number} of {person.display_name} #invented",
        "duration": 10 + seed % 50,
        "height": 1024,
        "width": 576,
        "title": f"Video {person.video_count - number}",
        "embed_html": f'<blockquote class="tiktok-embed" cite="{link}" data-video-id="{video_id}"></blockquote>',
        "embed_link": f"https://www.tiktok.example/player/v1/{video_id}",
        "like_count": seed % 1000,
        "comment_count": seed % 100,
        "share_count": seed % 10,
        "view_count": seed % 100_000,
    }
    return {field: facts[field] for field in fields}


def _find_time(number: int) -> int:
    return _NEWEST - number * _APART
