"""What the app is told of a person, as headers.

Values are visible ASCII, always: a display name is free text, so it is percent-encoded UTF-8 wherever it is used, and so
is any other value that has a character beyond visible ASCII. A missing field means no header, never an empty one.

The names of all presets are reserved, whether they are in use or not: what is not used today may be trusted by an app
tomorrow. `Authorization` alone is reserved only while the `bearer` preset is on, since otherwise it is the app's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import msgspec

from gateway.core.headers import normalised
from gateway.core.request import Headers

MAX_NAME: Final = 256
"""Longest display name handed on, in characters, before encoding."""
MAX_VALUE: Final = 2048
"""Longest other free text handed on, in characters."""

_PLAIN: Final = re.compile(r"[\x21-\x7e]*")
_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


class Identity(msgspec.Struct, frozen=True):
    """What is known of a person who is signed in."""

    open_id: str
    union_id: str | None
    username: str | None
    display_name: str | None
    avatar_url: str | None
    scopes: tuple[str, ...]
    access_token: str
    token_expires_at: datetime
    session_id: str  # a public name of the session; not the cookie
    signed_in_at: datetime

    def __repr__(self) -> str:
        """Name no token: this object may end in a traceback of the app."""
        return f"Identity(open_id={self.open_id!r}, scopes={self.scopes!r})"


PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    "tiktok": {
        "X-TikTok-Open-Id": "{open_id}",
        "X-TikTok-Union-Id": "{union_id}",
        "X-TikTok-Username": "{username}",
        "X-TikTok-Display-Name": "{display_name}",
        "X-TikTok-Avatar-Url": "{avatar_url}",
        "X-TikTok-Scopes": "{scopes}",
        "X-TikTok-Access-Token": "{access_token}",
        "X-TikTok-Token-Expires-At": "{token_expires_at}",
    },
    "oauth2-proxy": {
        "X-Forwarded-User": "{open_id}",
        "X-Forwarded-Preferred-Username": "{username}",
        "X-Forwarded-Access-Token": "{access_token}",
    },
    "remote-user": {"Remote-User": "{open_id}", "Remote-Name": "{display_name}"},
    "grafana": {"X-WEBAUTH-USER": "{open_id}", "X-WEBAUTH-NAME": "{display_name}"},
    "bearer": {"Authorization": "Bearer {access_token}"},
}
"""Header templates by preset."""

FORWARD_AUTH: Final[Mapping[str, Mapping[str, str]]] = {
    "oauth2-proxy": {
        "X-Auth-Request-User": "{open_id}",
        "X-Auth-Request-Preferred-Username": "{username}",
        "X-Auth-Request-Access-Token": "{access_token}",
    },
}
"""Presets that use other names in the forward-auth answer."""

_ALSO_RESERVED: Final = (
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Auth-Request-Redirect",
    "Remote-Email",
    "Remote-Groups",
    "X-WEBAUTH-EMAIL",
    "X-WEBAUTH-GROUPS",
    "X-WEBAUTH-ROLE",
    "X-Remote-User",
    "X-Gateway-Assertion",
)
"""Names that apps read as identity though no preset sets them."""


def _plain(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text[:MAX_VALUE], safe="!#$&'()*+,/:;=?@[]~%")


def _optional(text: str | None, build: Callable[[str], str]) -> str | None:
    return build(text) if text else None


def _name(text: str) -> str:
    # safe="": a name is data, and must decode to itself
    return quote(text[:MAX_NAME].encode("utf-8", "replace"), safe="")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FIELDS: Final[Mapping[str, Callable[[Identity], str | None]]] = {
    "open_id": lambda who: _plain(who.open_id),
    "union_id": lambda who: _optional(who.union_id, _plain),
    "username": lambda who: _optional(who.username, _plain),
    "display_name": lambda who: _optional(who.display_name, _name),
    "avatar_url": lambda who: _optional(who.avatar_url, _plain),
    "scopes": lambda who: ",".join(_plain(scope) for scope in who.scopes) or None,
    "access_token": lambda who: _plain(who.access_token),
    "token_expires_at": lambda who: _moment(who.token_expires_at),
    "session_id": lambda who: who.session_id,
    "signed_in_at": lambda who: _moment(who.signed_in_at),
}
"""The fields a header template may use, each as it stands in a header."""


class IdentityHeaders:
    """The headers of the chosen presets and of the operator's own templates, compiled once."""

    def __init__(self, presets: Sequence[str], custom: Mapping[str, str]) -> None:
        proxied: dict[str, str] = {}
        answered: dict[str, str] = {}
        for preset in presets:
            proxied |= PRESETS[preset]
            answered |= FORWARD_AUTH.get(preset, PRESETS[preset])
        self._proxied = _compile(proxied | dict(custom))
        self._answered = _compile(answered | dict(custom))
        self.reserved = _reserved(presets, custom)

    def build(self, identity: Identity) -> Headers:
        """Return the headers for the app; a template that uses a missing field gives none."""
        return _fill(self._proxied, identity)

    def build_forward_auth(self, identity: Identity) -> Headers:
        """Return the headers for the forward-auth answer."""
        return _fill(self._answered, identity)


Template = tuple[bytes, str, tuple[str, ...]]  # name, format, fields


def _compile(templates: Mapping[str, str]) -> tuple[Template, ...]:
    return tuple(
        (name.lower().encode("ascii"), template, tuple(_FIELD.findall(template)))
        for name, template in templates.items()
    )


def _fill(templates: tuple[Template, ...], identity: Identity) -> Headers:
    filled: list[tuple[bytes, bytes]] = []
    for name, template, fields in templates:
        values = {field: FIELDS[field](identity) for field in fields}
        if None not in values.values():
            text = template.format_map(values)
            filled.append((name, text.encode("ascii")))
    return tuple(filled)


def _reserved(presets: Sequence[str], custom: Mapping[str, str]) -> frozenset[bytes]:
    names = {name for table in (*PRESETS.values(), *FORWARD_AUTH.values()) for name in table}
    if "bearer" not in presets:
        names.discard("Authorization")
    return frozenset(normalised(name.encode("ascii")) for name in (*names, *_ALSO_RESERVED, *custom))
