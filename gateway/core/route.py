"""Routes: the operator's rules of access as values. Which of them decides is `policy`'s affair."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from gateway.core.path import CanonicalPath
from gateway.core.requirement import Requirement

OnUnauthenticated = Literal["auto", "redirect", "unauthorized"]
OnPreflight = Literal["refuse", "pass", "answer"]


class Access(StrEnum):
    """What a route asks of the visitor."""

    PUBLIC = "public"  # nothing; the session is not even looked at
    OPTIONAL = "optional"  # nothing, but whoever is signed in is named to the app
    SIGNED_IN = "signed_in"
    DENY = "deny"


class Route(msgspec.Struct, frozen=True):
    """One rule, as written in the settings."""

    path: str
    access: Access = Access.SIGNED_IN
    host: str | None = None
    methods: frozenset[str] | None = None  # None: all; GET implies HEAD
    on_unauthenticated: OnUnauthenticated = "auto"
    upstream: str = "default"
    body_limit: int | None = None  # bytes
    requirement: Requirement | None = None  # of who is signed in
    reason: str = ""  # why the scopes are asked for, in the operator's words
    headers: tuple[tuple[str, str], ...] = ()  # identity headers besides those of every route
    keep_post: bool = False  # forms sent without a session are kept for after the sign-in
    preflight: OnPreflight = "refuse"  # what becomes of one that the route does not let in anyway
    encoded_slashes: bool = False  # `%2F` is let in, and forwarded as it is
    merge_slashes: bool = True  # `//` is forwarded as `/`
    allowed_origins: frozenset[str] = frozenset()  # whose pages may open WebSockets, besides ours
    strip_prefix: str = ""  # what the app does not see of the path

    @property
    def opens(self) -> bool:
        """Whether the route lets the anonymous in."""
        return self.access in {Access.PUBLIC, Access.OPTIONAL}

    @property
    def needs_body_to_answer(self) -> bool:
        """Whether a refusal by this route may read the request's body. Of other routes nobody gets to read it."""
        return self.keep_post

    def form_of(self, path: CanonicalPath) -> CanonicalPath:
        """Return a path of the route's as the app is asked for it."""
        return path if self.merge_slashes or not path.unmerged else path.keep_slashes()


class Match(msgspec.Struct, frozen=True):
    """The route that decides, and its place in the list (from 0)."""

    route: Route
    index: int


class Step(msgspec.Struct, frozen=True):
    """One route that was tried, and what came of it; for people to read."""

    index: int | None  # None: no route
    path: str
    outcome: str

    def __str__(self) -> str:
        return f"route {self.index} ({self.path}): {self.outcome}" if self.index is not None else self.outcome
