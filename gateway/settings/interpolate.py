"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in any string; within PATH and the default they work again.

Environment variables, and files of secrets. Only `${` is special: a password may have any `$` in it. `$${` stands for a
literal `${`. What is taken from a variable or a file is not read again. Errors quote names and paths as they stand in
the settings, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LARGEST_FILE: Final = 1024 * 1024
"""Most bytes of a file that a value is taken from."""
_DEEPEST: Final = 8
_MARK: Final = re.compile(r"\$\$\{|\$\{")
_BRACE: Final = re.compile(r"\$\$\{|[{}]")
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_EDGES: Final = re.compile(r"\A[\s\ufeff]+|[\s\ufeff]+\Z")
"""White space and byte order marks at both ends of a file: editors and `echo` leave them there."""


class VariableMissing(ValueError):
    """A variable of the environment is needed, and not set."""

    def __init__(self, name: str) -> None:
        super().__init__(f"needs the environment variable {name}, which is not set")
        self.name = name


def interpolate(text: str, environ: Mapping[str, str], named: set[Path] | None = None) -> str:
    """Return `text` with its references resolved; `named` is given the files among them.

    Raises `ValueError` that says what is missing.
    """
    named = set() if named is None else named
    pieces: list[str] = []
    at = 0
    while found := _MARK.search(text, at):
        pieces.append(text[at : found.start()])
        at = found.end()
        if found[0] == "$${":
            pieces.append("${")
        else:
            end = _find_end(text, at)
            pieces.append(_resolve(text[at:end], environ, named))
            at = end + 1
    return "".join(pieces) + text[at:]


def has_reference(text: str) -> bool:
    """Whether `text` takes a value from elsewhere."""
    return any(found[0] == "${" for found in _MARK.finditer(text))


def find_references(text: str) -> list[str]:
    """Return the references in a text that was resolved, as they are written; without defaults, which may be secret."""
    found: list[str] = []
    at = 0
    while mark := _MARK.search(text, at):
        at = mark.end()
        if mark[0] == "${":
            end = _find_end(text, at)
            inside = text[at:end]
            found.append("${%s}" % (inside if inside.startswith("file:") else inside.partition(":-")[0]))
            at = end + 1
    return found


def _find_end(text: str, at: int) -> int:
    """Return where the brace is that ends the reference whose inside begins `at`."""
    depth = 1
    for brace in _BRACE.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
        if depth > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} references within each other")
    raise ValueError("has `${` without `}`; write `$${` for a literal `${`")


def _resolve(reference: str, environ: Mapping[str, str], named: set[Path]) -> str:
    if reference.startswith("file:"):
        written = reference.removeprefix("file:")
        path = interpolate(written, environ, named)
        named.add(Path(path))
        return _read_file(path, written)
    name = _NAME.fullmatch(reference)
    if name is None:
        raise ValueError("has a `${…}` which is neither ${NAME}, ${NAME:-default} nor ${file:PATH}")
    value = environ.get(name[1])
    if value is not None:
        return value
    if name[2] is None:
        raise VariableMissing(name[1])
    return interpolate(name[2], environ, named)


def _read_file(path: str, written: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ValueError(f"cannot take the file {written}: it has more than {LARGEST_FILE >> 10} KiB")
        return _EDGES.sub("", data.decode())
    except OSError as error:
        raise ValueError(f"cannot read the file {written}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read the file {written}: not UTF-8") from None
