"""What is wrong with the settings, said so that it can be mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import SettingsError
from gateway.printable import escape_controls

_LONGEST: Final = 100


def quote(value: object) -> str:
    """Return a value as a message may have it: short, and without what stands before an `@`, as a URL's password."""
    text = str(value)
    before, at, after = text.rpartition("@")
    text = f"…@{after}" if at and before else text
    return f"`{text[:_LONGEST]}…`" if len(text) > _LONGEST else f"`{text}`"


class KeyFault(ValueError):
    """What is wrong with one key below that which is looked at; `path` leads there."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        self.path = path
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where it stands (`file:line:column`, or a variable), which key, and what would be right."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return escape_controls(": ".join(part for part in (self.where, self.key, self.message) if part))


class SettingsProblems(SettingsError):
    """The settings cannot be used; all problems are told at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("the settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
