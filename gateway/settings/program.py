"""What a program says itself, by keyword arguments, as the plain values that a file has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def find_leaves(name: str, value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what mappings within each other end in, each with the keys that lead to it."""
    yield from _find((name,), value)


def _find(keys: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _find((*keys, str(key)), below)
    else:
        yield keys, _read_plain(value)


def _read_plain(value: Any) -> Any:
    """Read a program's value as one of a file."""
    if isinstance(value, Mapping):
        return {str(key): _read_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_read_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
