"""Who may go where, and which app gets it."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from gateway.settings.headers import check_headers
from gateway.settings.problem import KeyFault, quote
from gateway.settings.scalars import ExistingFile, OptionalSize, Origin
from gateway.settings.section import OneOrMore, Section, Strings

SCOPE: Final = re.compile(r"[a-z0-9._]+")
_HOST: Final = re.compile(r"(?:(?:\*\.)?[^\s/*:?#@\[\]]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class RouteLimitsSettings(Section):
    """What is too much on one route."""

    body: OptionalSize = None
    """Largest request body; none for no limit."""


class AllowSettings(Section):
    """Who may in; whoever is on one of the lists may."""

    open_ids: Strings = ()
    """open_ids of people in this app, with upper and lower case as TikTok gives them."""
    union_ids: Strings = ()
    """union_ids: the same people across a developer's apps."""
    usernames: Strings = ()
    """TikTok usernames; people can change theirs, and then somebody else can take it."""
    file: ExistingFile | None = None
    """YAML file with the same three lists, read again when it changes."""

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if not (self.open_ids or self.union_ids or self.usernames or self.file):
            raise ValueError("names nobody: list open_ids, union_ids or usernames, or name a file; or use access: deny")
        return self


class RangeSettings(Section):
    """From one number to another, both included."""

    min: int | None = Field(default=None, ge=0)
    """Least number; none for no limit."""
    max: int | None = Field(default=None, ge=0)
    """Greatest number; none for no limit."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min or max, like {min: 1000}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise KeyFault(("min",), f"is {self.min}, above max {self.max}: nobody is both")
        return self


class CreatorSettings(Section):
    """What must be so of a person on TikTok, as TikTok last told."""

    is_verified: bool | None = None
    """Whether the account is verified; needs the scope user.info.profile."""
    follower_count: RangeSettings | None = None
    """Followers; like the others, this needs the scope user.info.stats."""
    following_count: RangeSettings | None = None
    """Accounts followed."""
    likes_count: RangeSettings | None = None
    """Likes of all videos."""
    video_count: RangeSettings | None = None
    """Public videos."""


class RouteSettings(Section):
    """One rule; the first that matches decides."""

    path: str
    """Glob on the canonical path (* within a segment, ** across), or regex:… for the whole path."""
    host: str | None = None
    """Narrow the rule to a host; *.example.com for its sub-domains."""
    methods: Strings | None = None
    """Narrow the rule to methods; GET includes HEAD."""
    access: Literal["public", "optional", "signed_in", "deny"] = "signed_in"
    """public, optional, signed_in or deny."""
    on_unauthenticated: Literal["auto", "redirect", "unauthorized"] = "auto"
    """auto redirects navigations and answers 401 to programs; unauthorized never redirects; redirect is for browsers
    that do not say what they do."""
    upstream: str = "default"
    """Name of the upstream that gets the request, one of `upstreams`."""
    scopes: Strings = ()
    """Scopes a person must have granted; who has not is asked for them."""
    reason: str = Field(default="", max_length=500)
    """Why the scopes are needed, shown to the person."""
    allow: AllowSettings | None = None
    """Who of those who are signed in may in; default everybody."""
    creator: CreatorSettings | None = None
    """What must be so of them on TikTok."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Identity headers of this route, besides those of all: name to template."""
    keep_post: bool = False
    """Keep small forms that arrive without a live session, and offer to send them after the sign-in."""
    preflight: Literal["refuse", "pass", "answer"] = "refuse"
    """CORS preflights, which never carry a cookie: pass hands them to the app, anonymously; answer says yes to
    cors.allowed_origins; refuse treats them like any request."""
    encoded_slashes: Literal["refuse", "keep"] = "refuse"
    """Paths with %2F: refuse them, or keep them for an app that knows an encoded slash from a slash."""
    merge_slashes: bool = True
    """Ask the app for /a/b where the path has /a//b; false keeps the slashes, for an app whose paths hold URLs."""
    allowed_origins: Annotated[tuple[Origin, ...], OneOrMore()] = ()
    """Other origins whose pages may open WebSockets here; who is signed in does so in their own name."""
    limits: RouteLimitsSettings | None = None
    """Limits of this route, in place of the general ones."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path.startswith("regex:"):
            try:
                re.compile(path.removeprefix("regex:"))
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"is no regular expression: {error}") from None
        elif not path.startswith("/"):
            raise ValueError(f"must begin with / (did you mean {quote('/' + path)}?) or with regex:")
        elif "?" in path or "#" in path:
            raise ValueError("must be a path only: rules never see the query")
        elif "***" in path:
            raise ValueError("has more than two stars in a row: * stays within a segment, ** goes across")
        return path

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str | None) -> str | None:
        if host is not None and not _HOST.fullmatch(host):
            raise ValueError(f"is no host: {quote(host)}: write it like app.example.com, *.example.com or [::1]:8080")
        return host

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers)

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"has {quote(scope)}, which is no scope: one list item each, like video.list")
        return scopes

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        asks = [name for name in ("scopes", "allow", "creator", "reason") if getattr(self, name)]
        if asks and self.access != "signed_in":
            raise KeyFault((asks[0],), f"needs somebody who is signed in, and the route has access: {self.access}")
        if self.reason and not (self.scopes or self.creator):
            raise KeyFault(("reason",), "has no `scopes` beside it that it could be for")
        if self.headers and self.access in {"public", "deny"}:
            raise KeyFault(("headers",), f"name nobody on a route with access: {self.access}")
        return self

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for method in methods or ():
            if not method.isalpha() or not method.isupper():
                raise ValueError(f"has {quote(method)}: methods are written like GET, POST")
        if methods == ():
            raise ValueError("is empty: leave it out for all methods")
        return methods
