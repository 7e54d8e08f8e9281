r"""oauth2-proxy's patterns (Go's RE2, found anywhere in a path) → patterns of routes, which are for the whole path.

What RE2 and Python's `re` take for different things is not carried over: such a rule is told, and what it opened stays
closed. What they understand alike but for letters beyond ASCII (`\d`, `\w`) is kept to ASCII, as RE2 has it. A folder
(`^/static/`) becomes a glob, which has the folder's own name without a slash too.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Final

_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9_/~,:@!=&%' -]|\\[./~-])*")
_OF_RE2: Final = re.compile(r"\[\[|\\[QEzZCpPx]|\\[0-9]|\(\?(?!:|P<)|\{,")
_CLASSES: Final = re.compile(r"\\[dDwWsSbB]")
_PIECE: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)


class Pattern:
    """An old pattern. Raises `ValueError` for one that cannot be carried over."""

    def __init__(self, text: str) -> None:
        bare = text.removeprefix("(?i)")
        _check(bare)
        self._branches = tuple(map(_Branch, _split(bare)))
        ignores_case = text != bare
        self._flags = ("a" if _CLASSES.search(bare) else "") + ("i" if ignores_case else "")
        self.beginning = "" if ignores_case else _common({branch.literal for branch in self._branches})
        """What every path that matches begins with, as far as it is plain; "" where anything may."""

    def for_whole_path(self) -> str:
        """Return a pattern for the whole path."""
        first = self._branches[0]
        glob = first.glob if len(self._branches) == 1 and not self._flags else None
        return glob or f"regex:{self._whole()}"

    def for_other_paths(self) -> str:
        """Return a pattern for each path that does not match."""
        return f"regex:(?!{self._whole()}$).*"

    def ahead(self, pattern: str) -> str:
        """Return a `regex:` for the paths of another pattern (of Python's) that match this one too."""
        return f"regex:(?={pattern}){self._whole()}"

    def _whole(self) -> str:
        whole = "|".join(branch.whole for branch in self._branches)
        if self._flags or len(self._branches) > 1:
            return f"(?{self._flags}:{whole})"
        return whole


class _Branch:
    """One of the alternatives."""

    def __init__(self, bare: str) -> None:
        begins, ends = bare.startswith("^"), _pieces(bare)[-1:] == ["$"]
        inner = bare[begins : len(bare) - ends]
        if _pieces(inner)[-2:] == [".", "*"]:
            inner, ends = inner[:-2], False
        self.whole = f"{'' if begins else '.*'}{inner}{'' if ends else '.*'}"
        found = _LITERAL.match(inner) if begins else None
        written = found[0] if found is not None else ""
        if inner[len(written) : len(written) + 1] in {"?", "*", "{"}:  # the last character need not be there
            written = "".join(_pieces(written)[:-1])
        self.literal = written.replace("\\", "")
        is_plain = written == inner and written.startswith("/") and "*" not in written
        self.glob = (
            (self.literal if ends else f"{self.literal}**" if self.literal.endswith("/") else "") if is_plain else ""
        )


def _common(texts: set[str]) -> str:
    """Return what all texts begin with."""
    least, most = min(texts), max(texts)
    differing = (at for at, pair in enumerate(zip(least, most, strict=False)) if pair[0] != pair[1])
    return least[: next(differing, len(least))]


def _check(bare: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(bare)
        understood = _OF_RE2.search(bare) is None
    except (re.error, FutureWarning, OverflowError, RecursionError):
        understood = False
    if not understood:
        raise ValueError("means something else in Python than in Go")


def _pieces(bare: str) -> list[str]:
    """Return characters, escapes and classes, one by one."""
    return _PIECE.findall(bare)


def _split(bare: str) -> Iterator[str]:
    """Yield the alternatives that are not within a group."""
    branch, depth = "", 0
    for piece in _pieces(bare):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "|" and depth == 0:
            yield branch
            branch = ""
        else:
            branch += piece
    yield branch
