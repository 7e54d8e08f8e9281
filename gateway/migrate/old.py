"""What oauth2-proxy was told: config file, then variables, then flags, each over those before it.

Values end as text with our own references (`${NAME}`), so a literal `${` of theirs is written as ours is. Nothing here
quotes a value: it may be a secret.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from gateway.errors import SettingsError
from gateway.migrate.keys import KEYS

VARIABLE: Final = "OAUTH2_PROXY_"
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"0", "f", "false", ""})
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Value = str | bool | tuple[str, ...]


class Upstream(msgspec.Struct, frozen=True):
    """An app, as oauth2-proxy knows it. `path`: which requests it gets, all below where it ends with `/`."""

    uri: str
    path: str
    static: bool = False
    rewrite: str = ""
    pass_host: bool = True
    websockets: bool = True
    verify: bool = True
    timeout: str = ""


class Header(msgspec.Struct, frozen=True):
    """A header that names a person: `claim` says by what; "" for one whose value comes from elsewhere."""

    name: str
    claim: str
    prefix: str = ""


class Old(msgspec.Struct, frozen=True):
    """All that oauth2-proxy was told, by the keys of its config file."""

    values: Mapping[str, Value]
    unknown: tuple[str, ...] = ()
    """Keys that are none of its."""
    upstreams: tuple[Upstream, ...] = ()
    """Of the structured configuration."""
    headers: tuple[Header, ...] | None = None
    """Of the structured configuration; None where the flags decide."""

    def has(self, key: str) -> bool:
        """Whether a key is given, and with more than nothing."""
        return self.values.get(key) not in {None, "", ()}

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self.values.get(key)
        return value if isinstance(value, str) and value else default

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self.values.get(key)
        return value if isinstance(value, bool) else default

    def items(self, key: str) -> tuple[str, ...]:
        """Return a list."""
        value = self.values.get(key)
        return value if isinstance(value, tuple) else ()


def read_config(text: str) -> dict[str, Value]:
    """Return the keys of a config file. Raises `SettingsError`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at [^)]*\)", str(error))  # its other words may quote the file
        raise SettingsError(f"the config file is not TOML {where[0] if where else ''}".rstrip()) from None
    return dict(_read_all(tree.items(), "config file"))


def read_variables(environ: Mapping[str, str]) -> dict[str, Value]:
    """Return the keys that variables of the environment set."""
    named = [(name[len(VARIABLE) :].lower(), value) for name, value in environ.items() if name.startswith(VARIABLE)]
    return dict(_read_all(sorted(named), "environment"))


def read_flags(words: Sequence[str]) -> dict[str, Value]:
    """Return the keys that flags set. Raises `SettingsError` for what is no flag, or has no value."""
    found: dict[str, Value] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or not name:
            raise SettingsError("the flags of oauth2-proxy cannot be read: one of the words belongs to no flag")
        key = find_key(name.replace("-", "_"))
        known = KEYS.get(key)
        if not equals and (known is None or known.kind != "flag"):
            if not rest:
                raise SettingsError(f"the flags of oauth2-proxy cannot be read: --{name} has no value")
            value = rest.pop(0)
        read = read_value(key, value if equals or known is None or known.kind != "flag" else True, "flags")
        before = found.get(key)
        found[key] = (*before, *read) if isinstance(before, tuple) and isinstance(read, tuple) else read
    return found


def find_key(name: str) -> str:
    """Return the key that a flag sets; those of lists have an s at the end."""
    return f"{name}s" if name not in KEYS and f"{name}s" in KEYS else name


def read_value(key: str, value: Any, where: str) -> Value:
    """Return a value as its key takes it. Raises `SettingsError`, which quotes none of it."""
    kind = KEYS[key].kind if key in KEYS else "text"
    if isinstance(value, list) and kind != "list":
        value = value[-1] if value else ""
    if kind == "flag":
        return _read_flag(key, value, where)
    if kind == "list":
        values = value if isinstance(value, list) else str(value).split(",")
        return tuple(escape(str(each).strip()) for each in values if str(each).strip())
    return escape(str(value).strip())


def read_seconds(text: str) -> float | None:
    """Return the seconds of a duration like 168h0m0s; None for none, and for what is no duration."""
    parts = _SPAN.findall(text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) or None


def split_address(text: str) -> SplitResult:
    """Return the parts of an address. Raises `SettingsError`, which quotes none of it."""
    try:
        return urlsplit(text)
    except ValueError:
        raise SettingsError("an address of oauth2-proxy's configuration cannot be read: its [ ] have no IPv6") from None


def escape(text: str) -> str:
    """Return a text as it stands in our settings, where `${` begins a reference."""
    return text.replace("${", "$${")


def _read_all(pairs: Any, where: str) -> Iterator[tuple[str, Value]]:
    for name, value in pairs:
        yield find_key(name), read_value(find_key(name), value, where)


def _read_flag(key: str, value: Any, where: str) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise SettingsError(f"{where}: {key} is neither true nor false")
    return word in _TRUE
