"""Settings in the making: keys with values, a comment for each that must be looked at, and what has no counterpart.

What is written is YAML that the settings' own reader takes. A text stands in quotes unless it is a plain word, and
whatever an old file says stays within its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.printable import escape_controls

_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH: Final = 110
TO_FILL_IN: Final = "FILL IN"
"""Mark of a comment that asks for something."""


class Plan:
    """Collects settings. Keys are dotted paths; sections come in the order of their first key."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}
        self._notes: dict[str, list[str]] = {}
        self._left: dict[str, list[str]] = {}  # keys by why

    def set(self, key: str, value: Any, *notes: str) -> None:
        """Give a key its value, and say what there is to say."""
        *path, name = key.split(".")
        node = self._tree
        for part in path:
            node = node.setdefault(part, {})
        node[name] = value
        self.note(key, *notes)

    def note(self, key: str, *notes: str) -> None:
        """Say something before a key."""
        self._notes.setdefault(key, []).extend(notes)

    def leave(self, old: str, why: str) -> None:
        """Say why an old key has no counterpart."""
        self._left.setdefault(why, []).append(old)

    def write(self) -> str:
        """Return the file."""
        return "\n".join([*self._write_section(self._tree, ""), *self._write_left()]) + "\n"

    def _write_section(self, tree: Mapping[str, Any], above: str) -> Iterator[str]:
        indent = "  " * (above.count(".") + 1) if above else ""
        for name, value in tree.items():
            key = f"{above}.{name}" if above else name
            for note in self._notes.get(key, ()):
                yield from _comment(note, indent)
            if isinstance(value, Mapping) and value:
                yield f"{indent}{write_value(name)}:"
                yield from self._write_section(value, key)
            elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
                yield f"{indent}{name}:"
                yield from (f"{indent}  - {write_value(each)}" for each in value)
            else:
                yield f"{indent}{write_value(name)}: {write_value(value)}"

    def _write_left(self) -> Iterator[str]:
        if self._left:
            yield ""
            yield "# What oauth2-proxy was told besides, and what has no counterpart:"
        for why, keys in self._left.items():
            yield from _comment(f"- {', '.join(keys)}: {why}", "")


def write_value(value: Any) -> str:
    """Return a value in YAML's flow style."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{write_value(name)}: {write_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(write_value, value)) + "]"
    return json.dumps(value)


def _comment(text: str, indent: str) -> Iterator[str]:
    line = ""
    for word in escape_controls(text).split():
        if line and len(indent) + len(line) + len(word) > _WIDTH:
            yield f"{indent}# {line}"
            line = "  "
        line += f"{' ' if line.strip() else ''}{word}"
    yield f"{indent}# {line}"
