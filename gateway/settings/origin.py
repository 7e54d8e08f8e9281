"""Where each key of the settings was written: a place in the file, or a variable of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.settings.yaml_file import KeyPath, Places


@dataclass(frozen=True, slots=True)
class Origin:
    """A file and the variables laid over it. Where a key stands makes no settings differ, so any two are equal."""

    path: Path | None = field(default=None, compare=False)
    places: Places = field(default_factory=dict, compare=False)
    variables: Mapping[KeyPath, str] = field(default_factory=dict, compare=False)

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
        return (f"{self.path}:1:1", (1, 1)) if self.path is not None else ("environment", (0, 0))
