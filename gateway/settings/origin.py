"""Where each key of the settings was written: a place in the file, a variable of the environment, a keyword."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.settings.interpolate import find_references, has_reference
from gateway.settings.yaml_file import KeyPath, Places


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and what was laid over it. Where a key stands makes no settings differ, so any two are equal."""

    path: Path | None = field(default=None, compare=False)
    places: Places = field(default_factory=dict, compare=False)
    variables: Mapping[KeyPath, str] = field(default_factory=dict, compare=False)
    """Names of what is not in the file: of variables, or of a program's keywords."""
    values: Mapping[KeyPath, str] = field(default_factory=dict, compare=False)
    """Every value that is written anywhere: as what, if by reference, else ""."""
    nowhere: str = field(default="", compare=False)
    """What is said of a key that is written nowhere, where there is no file."""

    @property
    def from_environment(self) -> tuple[KeyPath, ...]:
        """Keys whose value is that of a variable, or has one in it."""
        found: dict[KeyPath, None] = {}
        for path, text in self.values.items():
            laid = next((path[:end] for end in range(1, len(path) + 1) if path[:end] in self.variables), None)
            if laid is not None:
                found[laid] = None
            elif any(not reference.startswith("${file:") for reference in find_references(text)):
                found[path] = None
        return tuple(found)

    def has(self, path: KeyPath) -> bool:
        """Whether a key was written anywhere."""
        return path in self.places or path in self.variables

    def locate(self, path: KeyPath) -> tuple[str, tuple[int, int]]:
        """Return `file:line:column` or a variable's name, of a key or of the nearest one above it; and its order."""
        for length in range(len(path), 0, -1):
            known = path[:length]
            if known in self.variables:
                return self.variables[known], (0, 0)
            if known in self.places:
                line, column = self.places[known]
                return f"{self.path}:{line}:{column}", (line, column)
        return (f"{self.path}:1:1", (1, 1)) if self.path is not None else (self.nowhere, (0, 0))


def read_values(tree: Mapping[str, Any]) -> dict[KeyPath, str]:
    """Return `Origin.values` of a tree whose references are not resolved yet."""
    return {path: value if isinstance(value, str) and has_reference(value) else "" for path, value in _leaves(tree, ())}


def _leaves(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    if not items:
        yield path, node
    for key, value in items:
        yield from _leaves(value, (*path, key))
