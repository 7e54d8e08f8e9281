"""Where each value of the settings comes from: a place in the file, a variable of the environment, or the default.

Nothing that is shown is a secret: a key whose type says that it is one shows that it is set, and the references that it
is taken from, without what stands round them or after `:-`. Of a secret URL, scheme, host and path are no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from gateway.printable import escape_controls
from gateway.settings.interpolate import find_references
from gateway.settings.keys import SHORT, secret_in
from gateway.settings.model import Settings
from gateway.settings.origin import Origin
from gateway.settings.refusal import show_path
from gateway.settings.scalars import write_duration
from gateway.settings.yaml_file import KeyPath

DEFAULT: Final = "default"
ELSEWHERE: Final = "the program"
"""Of settings that were not loaded from a file, but made by whoever embeds the gateway."""
HIDDEN: Final = "•••"
_SHORT: Final = frozenset({SHORT, "address"})
"""Keys of sections that a lone text stands for."""
_KEYS: Final = ("admin", "keys")
_USER: Final = re.compile(r"://[^/@\s]*@")


class Line(NamedTuple):
    """One value in force."""

    key: str
    value: str
    source: str
    """`file:line:column`, the name of a variable, or `default`."""
    written: str
    """How it is written there, when it is taken from elsewhere: `${NAME}`, `${file:PATH}`. Else empty."""

    @property
    def is_alone(self) -> bool:
        """Whether it is in no section."""
        return "." not in self.key

    @property
    def section(self) -> str:
        """The key's first part."""
        return re.split(r"[.\[]", self.key, maxsplit=1)[0]


def describe(settings: Settings) -> list[Line]:
    """Return every value in force, in the order of the model."""
    return [_read(path, value, default, settings.origin) for path, value, default in _walk(settings, (), ())]


def _walk(value: Any, path: KeyPath, default: Any) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Yield each value with its path, and what it would be by default; an empty tuple where there is no default."""
    match value:
        case BaseModel():
            for name, field in type(value).model_fields.items():
                usual = getattr(default, name, ()) if default is not None and default != () else _default(field)
                yield from _walk(getattr(value, name), (*path, name), usual)
        case dict() if value:
            for name, item in value.items():
                yield from _walk(item, (*path, name), ())
        case tuple() if any(isinstance(item, BaseModel | SecretStr) for item in value):
            same = value == default
            for number, item in enumerate(value):
                yield from _walk(item, (*path, number), item if same else ())
        case _:
            yield path, value, default


def _default(field: Any) -> Any:
    return () if field.is_required() else field.get_default(call_default_factory=True)


def _read(path: KeyPath, value: Any, default: Any, origin: Origin) -> Line:
    secret = secret_in(path) is not None or isinstance(value, SecretStr)
    is_name = isinstance(value, str) and path[:2] == _KEYS and path[-1] == "name"  # for the audit trail to show
    shown = _show_secret(path, value) if secret and not is_name else _show(value)
    within_secret = path[len(secret_in(path) or path) :]  # keys of the model: nobody has written a secret for one
    key = show_path(path) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in within_secret)
    found = _find(path, origin)
    if found is not None:
        known, written = found
        return Line(key, shown, origin.locate(known)[0], _show_written(written, secret=secret))
    if value == default:
        return Line(key, shown, DEFAULT, "")
    within = any(path[:end] in origin.values for end in range(1, len(path)))  # what this value follows from
    return Line(key, shown, origin.locate(path)[0] if within else ELSEWHERE, "")


def _find(path: KeyPath, origin: Origin) -> tuple[KeyPath, str] | None:
    """Return the key that this very value is written under, and as what; in the short form, that of its section."""
    if path in origin.values:
        return path, origin.values[path]
    below = next((known for known in origin.values if known[: len(path)] == path), None)
    if below is not None:
        return below, ""
    while path and (path[-1] in _SHORT or isinstance(path[-1], int)):
        path = path[:-1]
        if path in origin.values:
            return path, origin.values[path]
    return None


def _show(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case timedelta():
            return write_duration(value) if value else "0s"
        case tuple() | frozenset() | dict():
            return ", ".join(map(_show, value)) or "none"
        case _:
            return _USER.sub(f"://{HIDDEN}@", escape_controls(str(value)))


def _show_secret(path: KeyPath, value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, SecretStr) and path[-1] == SHORT and "://" in (text := value.get_secret_value()):
        parts = urlsplit(text)
        user = f"{HIDDEN}@" if "@" in parts.netloc else ""
        return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}"
    return HIDDEN


def _show_written(text: str, *, secret: bool) -> str:
    return " ".join(find_references(text)) if secret else escape_controls(text)
