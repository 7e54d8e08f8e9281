"""The section `identity`: what the app is told of a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from gateway.settings.headers import check_headers
from gateway.settings.scalars import Duration
from gateway.settings.section import OneOrMore, Section


class AssertionSettings(Section):
    """A signed statement of who somebody is, for apps that do not trust their network."""

    header: str = "X-Gateway-Assertion"
    """Name of the header that carries it."""
    audience: str | None = None
    """Whom it is for; default public_url. A named upstream has its own: its `audience`, or its name."""
    lifetime: Duration = timedelta(minutes=5)
    """How long it is good; one that is handed on has half of that left at least."""

    @field_validator("header")
    @classmethod
    def _check_header(cls, header: str) -> str:
        try:
            check_headers({header: "{open_id}"})
        except ValueError as error:
            raise ValueError(str(error)) from None  # the key is this one
        return header

    @field_validator("lifetime")
    @classmethod
    def _check_lifetime(cls, lifetime: timedelta) -> timedelta:
        if not timedelta(seconds=30) <= lifetime <= timedelta(hours=1):
            raise ValueError("must be from 30s to 1h: long enough to arrive, short enough to be stolen in vain")
        return lifetime


def _read_assertion(value: Any) -> Any:
    """Read true and false, or `on` and `off`, which YAML 1.2 and the environment take for words."""
    words: dict[Any, Any] = {True: {}, "true": {}, "on": {}, False: None, "false": None, "off": None}
    return words.get(value, value) if isinstance(value, bool | str) else value


class IdentitySettings(Section):
    """What the app is told of a person."""

    presets: Annotated[
        tuple[Literal["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"], ...],
        OneOrMore(),
    ] = ("tiktok",)
    """Sets of headers: tiktok, oauth2-proxy, remote-user, grafana, bearer."""
    assertion: Annotated[AssertionSettings | None, BeforeValidator(_read_assertion)] = None
    """A signed JWT beside the headers: a mapping, or true for the usual one; off unless given."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of your own: name to template, like X-User: "{open_id}"."""

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers)
