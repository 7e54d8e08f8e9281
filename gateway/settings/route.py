"""Who may go where, and which app gets it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator

from gateway.settings.part import Part, Strings
from gateway.settings.parts import OptionalSize


class RouteLimitsSettings(Part):
    """What is too much on one route."""

    body: OptionalSize = None
    """Largest request body; none for no limit."""


class RouteSettings(Part):
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
    keep_post: bool = False
    """Keep small forms that arrive without a live session, and offer to send them after the sign-in."""
    preflight: Literal["refuse", "pass", "answer"] = "refuse"
    """CORS preflights, which never carry a cookie: pass hands them to the app, anonymously; answer says yes to
    cors.allowed_origins; refuse treats them like any request."""
    limits: RouteLimitsSettings | None = None
    """Limits of this route, in place of the general ones."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path.startswith("regex:"):
            try:
                re.compile(path.removeprefix("regex:"))
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from None
        elif not path.startswith("/"):
            raise ValueError(f"must begin with / (did you mean /{path}?) or with regex:")
        elif "?" in path or "#" in path:
            raise ValueError("must be a path only: rules never see the query")
        return path

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for method in methods or ():
            if not method.isalpha() or not method.isupper():
                raise ValueError(f"has `{method}`: methods are written like GET, POST")
        if methods == ():
            raise ValueError("is empty: leave it out for all methods")
        return methods
