"""What the app is told of a person, as headers (identity headers).

Values are visible ASCII, always. A display name is free text: percent-encoded UTF-8 wherever it is used, so that
decoding gives it back. Other values stand as they are, and percent-encoded only where they have a space, a
control or a character beyond ASCII. A missing field means no header, never an empty one.

The names of all presets are reserved, in use or not: what no gateway sets, an app behind it may still trust.
`Authorization` alone is reserved only while the `bearer` preset is on: otherwise it is the app's own credential,
by which its programs sign in to it, and none of the gateway's business.

`build` depends on nothing but the identity, so what it returns may be kept as long as that is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import msgspec

from gateway.core.fields import Headers, is_token, normalised
from gateway.core.headers import HOP_BY_HOP
from gateway.errors import SettingsError

MAX_NAME: Final = 256
"""Longest name handed on, in characters, before encoding."""
MAX_URL: Final = 4096
"""Longest avatar address handed on, in characters; half an address would be none."""

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_URL_CHARACTERS: Final = "!#$&'()*+,/:;=?@[]~%"
_NEVER_SET: Final = HOP_BY_HOP | {b"host", b"content-length", b"cookie", b"expect"}
"""Fields that say where a request goes or ends, or whose it is."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What TikTok tells of a creator; None where it has not."""

    is_verified: bool | None = None
    follower_count: int | None = None
    following_count: int | None = None
    likes_count: int | None = None
    video_count: int | None = None


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What is known of a person who is signed in. Both moments are aware."""

    open_id: str
    union_id: str | None
    username: str | None
    display_name: str | None
    avatar_url: str | None
    scopes: tuple[str, ...]
    access_token: str
    token_expires_at: datetime
    session_id: str  # public name of the session; not what the cookie holds
    signed_in_at: datetime
    facts: Facts = Facts()

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
    "X-Gateway-Event",
    "X-Gateway-Event-Id",
    "X-Gateway-Check",
)
"""Names that apps read as identity though no preset sets them, and one that no app is to read."""


Field = Callable[[Identity], str | None]


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _encode(text: str, safe: str = "") -> str:
    # lone surrogates, which JSON lets in, have no UTF-8
    return quote(text.encode("utf-8", "replace"), safe=safe)


def encode_opaque(text: str | None) -> str | None:
    """An id or token: as it is, byte for byte."""
    return text if not text or _is_plain(text) else _encode(text)


def _username(text: str | None) -> str | None:
    # a literal % is encoded, lest one name be written as another's encoding
    return text if not text or (_is_plain(text) and "%" not in text) else _encode(text[:MAX_NAME])


@lru_cache(maxsize=1024)
def _display_name(text: str | None) -> str | None:
    return _encode(text[:MAX_NAME]) if text else None


def _url(text: str | None) -> str | None:
    if not text or len(text) > MAX_URL:
        return None
    return text if _is_plain(text) else _encode(text, _URL_CHARACTERS)


def _scopes(scopes: tuple[str, ...]) -> str:
    joined = ",".join(scopes)
    return joined if _is_plain(joined) else _encode(joined, ",")


def _moment(moment: datetime) -> str:
    """RFC 3339 §5.6, whole seconds in UTC."""
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat()[:19] + "Z"


FIELDS: Final[Mapping[str, Field]] = {
    "open_id": lambda who: encode_opaque(who.open_id),
    "union_id": lambda who: encode_opaque(who.union_id),
    "username": lambda who: _username(who.username),
    "display_name": lambda who: _display_name(who.display_name),
    "avatar_url": lambda who: _url(who.avatar_url),
    "scopes": lambda who: _scopes(who.scopes),
    "access_token": lambda who: encode_opaque(who.access_token),
    "token_expires_at": lambda who: _moment(who.token_expires_at),
    "session_id": lambda who: encode_opaque(who.session_id),
    "signed_in_at": lambda who: _moment(who.signed_in_at),
}
"""The fields a template may use, each as it stands in a header; None or "" where there is none."""


class IdentityHeaders:
    """The headers of the chosen presets and of the operator's own templates, compiled once.

    An own template replaces a preset's of the same name. Raises `SettingsError` for a name or template that cannot be
    sent.
    """

    def __init__(self, presets: Sequence[str], custom: Mapping[str, str], *, also_reserved: Iterable[str] = ()) -> None:
        unknown = [preset for preset in presets if preset not in PRESETS]
        if unknown:
            raise SettingsError(f"identity.presets: {unknown[0]!r} is none of {', '.join(PRESETS)}")
        self._proxied = _compile([PRESETS[preset] for preset in presets], custom)
        self._answered = _compile([FORWARD_AUTH.get(preset, PRESETS[preset]) for preset in presets], custom)
        names = _reserved_names(presets, [*custom, *also_reserved])
        self.reserved: Final = frozenset(normalised(name) for name in names)
        self._names: Final = names

    def build(self, identity: Identity) -> Headers:
        """Return the headers for the app; a template that uses a missing field gives none."""
        return _fill(self._proxied, identity)

    def build_forward_auth(self, identity: Identity) -> Headers:
        """Return the headers for the forward-auth answer."""
        return _fill(self._answered, identity)

    @property
    def names(self) -> frozenset[bytes]:
        """All reserved names in lower case, each as it is usually spelled."""
        return self._names

    def is_look_alike(self, name: bytes) -> bool:
        """Whether a field (lower case) poses as a reserved one by another spelling, which overwrites no such field."""
        return name not in self._names and normalised(name) in self.reserved


Templates = tuple[tuple[bytes, Field], ...]  # name in lower case, and what makes the value


def _compile(presets: Sequence[Mapping[str, str]], custom: Mapping[str, str]) -> Templates:
    compiled: dict[bytes, tuple[bytes, Field]] = {}
    for name, template in custom.items():
        _check_custom(name, template)
    for table in (*presets, custom):
        for name, template in table.items():
            lower = name.lower().encode("ascii")
            compiled[normalised(lower)] = lower, _compile_template(template)
    return tuple(compiled.values())


def _check_custom(name: str, template: str) -> None:
    where = f"identity.headers.{name}"
    if not is_token(name.encode("utf-8", "replace")):
        raise SettingsError(f"{where}: is no header name; use letters, digits and hyphens, e.g. X-User")
    if normalised(name.lower().encode("ascii")) in _NEVER_SET:
        raise SettingsError(f"{where}: the gateway needs this header itself; choose another name, e.g. X-User")
    unknown = [field for field in _FIELD.findall(template) if field not in FIELDS]
    if unknown:
        raise SettingsError(f"{where}: {{{unknown[0]}}} is no field; there are {', '.join(FIELDS)}")
    if not (template.isascii() and template.isprintable() and template == template.strip() and template):
        raise SettingsError(f"{where}: a header value is visible ASCII, without spaces at its ends")


def _compile_template(template: str) -> Field:
    literals, names = _FIELD.split(template)[::2], _FIELD.findall(template)
    if literals == ["", ""]:
        return FIELDS[names[0]]
    fields = tuple(FIELDS[name] for name in names)
    return lambda who: _join(literals, [field(who) for field in fields])


def _join(literals: Sequence[str], values: Sequence[str | None]) -> str | None:
    text = literals[0]
    for value, literal in zip(values, literals[1:], strict=True):
        if not value:
            return None
        text += value + literal
    return text


def _fill(templates: Templates, identity: Identity) -> Headers:
    filled: list[tuple[bytes, bytes]] = []
    for name, field in templates:
        value = field(identity)
        if value:
            filled.append((name, value.encode("ascii")))
    return tuple(filled)


def _reserved_names(presets: Sequence[str], custom: Iterable[str]) -> frozenset[bytes]:
    """Return the reserved names in lower case, each as it is usually spelled."""
    names = {name for table in (*PRESETS.values(), *FORWARD_AUTH.values()) for name in table}
    if "bearer" not in presets:
        names.discard("Authorization")
    return frozenset(name.lower().encode("ascii") for name in (*names, *_ALSO_RESERVED, *custom))
