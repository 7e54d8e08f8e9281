"""What a route asks of a person besides being signed in: scopes, being on an allow-list, facts about a creator.

A scope that is missing can be asked for; a person cannot help not being on a list, or not being verified. So the list
and the known facts come first: nobody is asked to share something for a route that stays closed to them.

Facts are attributes (ABAC): what TikTok last told, up to a day ago. A fact needs the scope under which TikTok tells it;
with that scope, and still unknown, it counts as not so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.core.identity import Identity

SCOPE_OF_FACT: Final[Mapping[str, str]] = {
    "is_verified": "user.info.profile",
    "follower_count": "user.info.stats",
    "following_count": "user.info.stats",
    "likes_count": "user.info.stats",
    "video_count": "user.info.stats",
}
"""Facts of `/v2/user/info/`, and the scope under which TikTok tells each."""


class Names(msgspec.Struct, frozen=True):
    """Lists of people."""

    open_ids: frozenset[str] = frozenset()
    union_ids: frozenset[str] = frozenset()
    usernames: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.open_ids or self.union_ids or self.usernames)

    def hold(self, who: Identity) -> bool:
        """Whether the person is on one of them. Ids are compared as they are: they have upper and lower case."""
        return who.open_id in self.open_ids or who.union_id in self.union_ids or who.username in self.usernames


class AllowList:
    """Who may in: what the settings name, and what a file does, which may change."""

    def __init__(self, named: Names, from_file: Names | None = None) -> None:
        self.named = named
        self.from_file = from_file  # None: there is no file

    def holds(self, who: Identity) -> bool:
        """Whether the person is on it."""
        return self.named.hold(who) or (self.from_file is not None and self.from_file.hold(who))


class Obstacle(msgspec.Struct, frozen=True):
    """What keeps a person out whatever they grant."""

    reason: str  # for the log
    fact: str = ""  # which fact about a creator it is, if it is one


class Range(msgspec.Struct, frozen=True):
    """From, and up to and including; None: no limit."""

    least: int | None = None
    most: int | None = None

    def has(self, number: int) -> bool:
        """Whether a number lies within."""
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


class Requirement(msgspec.Struct, frozen=True):
    """What must be so of a person."""

    scopes: frozenset[str] = frozenset()
    allow: AllowList | None = None
    is_verified: bool | None = None
    counts: tuple[tuple[str, Range], ...] = ()  # by the name of the fact

    @property
    def all_scopes(self) -> frozenset[str]:
        """The scopes needed, those of the facts among them."""
        facts = [name for name, _ in self.counts] + (["is_verified"] if self.is_verified is not None else [])
        return self.scopes | {SCOPE_OF_FACT[name] for name in facts}

    def find_missing(self, who: Identity) -> tuple[str, ...]:
        """Return the scopes that the person has not granted, sorted."""
        return tuple(sorted(self.all_scopes.difference(who.scopes)))

    def find_obstacle(self, who: Identity) -> Obstacle | None:
        """Return why the person may not in whatever they grant; None when nothing is known against it."""
        if self.allow is not None and not self.allow.holds(who):
            return Obstacle("the person is on no list")
        facts = who.facts
        wanted, told = self.is_verified, SCOPE_OF_FACT["is_verified"] in who.scopes
        if wanted is not None and told and facts.is_verified is not wanted:
            return Obstacle("is_verified is not as asked for", fact="is_verified")
        for name, allowed in self.counts:
            if SCOPE_OF_FACT[name] in who.scopes:
                number: int | None = getattr(facts, name)
                if number is None or not allowed.has(number):
                    return Obstacle(f"{name} is not as asked for", fact=name)
        return None

    def admits(self, who: Identity) -> bool:
        """Whether everything is as it must be."""
        return self.find_obstacle(who) is None and not self.find_missing(who)
