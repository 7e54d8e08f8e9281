"""The fenced blocks of the documentation."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A block of a page, without its indentation."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def find_snippets(*languages: str, pages: Sequence[Path] = PAGES) -> list[Snippet]:
    """Return all blocks in one of these languages, in order."""
    return [
        Snippet(
            page=str(page.relative_to(ROOT)),
            line=page.read_text()[: found.start()].count("\n") + 2,
            language=found["language"],
            text=textwrap.dedent(found["text"]),
        )
        for page in pages
        for found in _FENCE.finditer(page.read_text())
        if found["language"] in languages
    ]
