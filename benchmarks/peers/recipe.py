"""The files that users copy, for a peer: with addresses and the like replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "config"
"""Where they are."""


def read_recipe(path: Path, changes: Mapping[str, str]) -> str:
    """Return the text of a file with `changes` made. Raises `ValueError` for one that it has no place for."""
    text = path.read_text()
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"{path.name} no longer has `{old}`")
        text = text.replace(old, new)
    return text
