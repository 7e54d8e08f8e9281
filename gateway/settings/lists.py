"""Reads a YAML file of lists of words: an allow-list's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings.yaml_file import load_yaml


def load_lists(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the lists of a file by their names; one that is missing is empty.

    Raises `SettingsError` when the file cannot be read, or has anything else.
    """
    found, _ = load_yaml(path)
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise SettingsError(f"{path}: has `{unknown[0]}`; there are {', '.join(names)}")
    lists: dict[str, list[str]] = {}
    for name in names:
        words = found.get(name) or []
        if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
            raise SettingsError(f"{path}: `{name}` must be a list of words; put those in quotes that are no words")
        lists[name] = [str(word) for word in words]
    return lists
