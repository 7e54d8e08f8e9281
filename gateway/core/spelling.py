"""The patterns of routes, and what an app may take a path for besides what it is.

Globs: `*` stands for any characters within a segment, but at least one where it is a whole segment; `**` for any,
across segments; `/a/**` matches `/a` too, and `/a/**/b` matches `/a/b`. `regex:` is anchored at both ends. Both
are compared with the percent-decoded path.

Readings: an app may ignore case, cut parameters (`;x`), decode once more than it should, cut at a decoded `?` or
`#`, take compatibility forms for plain letters, not see what is invisible, or drop dots and blanks at the end of a
segment, as Windows does. Readings are folded, as are the patterns for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby, islice
from typing import Final
from urllib.parse import unquote

_MOST_MARKS: Final = 30  # in a row
_DECODINGS: Final = 3  # times that a path is decoded beyond what is right
_ONE_READING: Final = re.compile(r"[^%;?#\\]*")
_BLANKS: Final = " \u1680\u2028\u2029\u2800"  # besides those that fold to a space
_TRIMMED: Final = re.compile(rf"[.{_BLANKS}](?:/|\Z)|/[{_BLANKS}]")  # what some app sees less of
_INVISIBLE: Final = dict.fromkeys(
    [
        *(0xAD, 0x34F, 0x61C, 0xFEFF, *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F)),
        *(*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000)),
    ]
)
"""Default ignorable code points (UAX #44), fillers aside."""
_PARAMETERS: Final = re.compile(r";[^/]*")
_END: Final = re.compile(r"[?#\0].*", re.DOTALL)
_WHOLE_SEGMENT: Final = re.compile(r"(?<=/)\*(?=/|$)")
_WITHIN: Final = re.compile(r"(\*|\0)")
_ACROSS: Final = re.compile(r"(/\*\*$|/\*\*/|\*\*)")
_ENDS: Final = {"/**": "(?![^/])", "/**/": "/", "**": ""}  # of what stands before


class Readings:
    """A path, and every other reading of it; `all` and `others` are folded."""

    def __init__(self, text: str) -> None:
        self.text = text
        folded = fold(text)
        self.others: tuple[str, ...] = ()
        self.leads_up = False
        if not (text.isascii() and _ONE_READING.fullmatch(text)) or (
            ("." in text or " " in text) and _TRIMMED.search(text)
        ):
            others = dict.fromkeys(_read_otherwise(folded))
            self.leads_up = leads_up(text)
            # the path itself, loosely read, is no other; unless others lead up from it, to another place
            if _shape(text) == _shape(folded) and not self.leads_up:
                others.pop(folded, None)
            self.others = tuple(others)
        self.all = (folded, *self.others)


class PathPattern:
    """A compiled glob or `regex:`. Raises `re.error` for a regular expression that is none."""

    def __init__(self, pattern: str) -> None:
        self._is_regex = pattern.startswith("regex:")
        if self._is_regex:
            source = pattern.removeprefix("regex:")
            self._exact = re.compile(source, re.DOTALL)
            self._folded = re.compile(source, re.DOTALL | re.IGNORECASE)
        else:
            self._exact = re.compile(_glob(pattern), re.DOTALL)
            self._folded = re.compile(_glob(fold(pattern)), re.DOTALL)

    def matches(self, text: str) -> bool:
        """Whether the path matches exactly as it is written."""
        return self._exact.fullmatch(text) is not None

    def reads(self, reading: str) -> bool:
        """Whether a folded reading matches."""
        if self._folded.fullmatch(reading):
            return True
        # a regular expression cannot be folded; its accented letters are composed, those of a reading are not
        return self._is_regex and self._folded.fullmatch(unicodedata.normalize("NFC", reading)) is not None

    def reads_with_or_without_slash(self, reading: str) -> bool:
        """Whether a folded reading matches, if a slash at its end counts for nothing."""
        bare = reading.rstrip("/")
        return self.reads(bare or "/") or self.reads(bare + "/")


def fold(text: str) -> str:
    """Make equal what differs in case or compatibility form only (after NFKC_Casefold, Unicode §3.13)."""
    if text.isascii():
        return text.lower()
    seen = _without_piles(text.translate(_INVISIBLE))
    # upper first: the dotless i has a capital, but does not fold to i
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", seen).upper().casefold())


def _without_piles(text: str) -> str:
    """Return a text with no more marks on one letter than any script has (Stream-Safe Text, UAX #15 §13).

    Normalising sorts the marks of a letter, in a time that grows with the square of their number.
    """
    runs = groupby(text, _is_mark)
    return "".join("".join(islice(run, _MOST_MARKS if marks else None)) for marks, run in runs)


@lru_cache(maxsize=4096)
def _is_mark(letter: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFKD", letter)[0]) > 0


def _shape(text: str) -> str:
    """Return what gives a path its structure."""
    return re.sub(r"[^/\\.;%?#]", "", text)


def _read_otherwise(folded: str) -> Iterable[str]:
    for _ in range(_DECODINGS + 1):
        slashed = folded.replace("\\", "/")
        bare = _PARAMETERS.sub("", slashed)
        cut = _PARAMETERS.sub("", _END.sub("", slashed))
        yield from (_resolve(slashed), _resolve(bare), _resolve(cut))
        if _TRIMMED.search(bare) or _TRIMMED.search(cut):
            yield from (_resolve(_trim(bare)), _resolve(_trim(cut)))
        decoded = fold(unquote(folded))
        if decoded == folded:
            return
        folded = decoded


def leads_up(text: str) -> bool:
    """Whether there may be dot segments in some reading of a canonical path, which has none itself."""
    folded = fold(text)
    for _ in range(_DECODINGS):
        folded = fold(unquote(folded))
    return ".." in folded


def _trim(path: str) -> str:
    """Return a path whose segments have no blanks around and no dots behind; `.. ` is `..`, and `...` is nothing."""
    return "/".join([_trim_segment(segment.strip(_BLANKS)) for segment in path.split("/")])


def _trim_segment(segment: str) -> str:
    trimmed = segment.rstrip("." + _BLANKS)
    return ".." if not trimmed and segment.startswith("..") and segment[2:3] != "." else trimmed


def _resolve(path: str) -> str:
    """Resolve dot segments and merge slashes; a final slash stays. What leads above the root ends there."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    ends_in_slash = kept and segments[-1] in {"", ".", ".."}
    return "/" + "/".join(kept) + ("/" if ends_in_slash else "")


def _glob(glob: str) -> str:
    """Return the regular expression of a glob; it takes no more steps than pattern times path.

    `**` parts a glob into pieces. Each spans a fixed number of segments, as `*` stays within one, so its nearest place
    is as good as any: what may follow a later place may follow that one too. The same holds within a segment for what
    stands between two `*`. So nothing once passed is gone back over, and no piece meets a segment twice.
    """
    first, *rest = _ACROSS.split(_WHOLE_SEGMENT.sub("\0", glob))
    ends = [*(_ENDS[star] for star in rest[::2]), r"\Z"]
    pattern = _piece(first, ends[0])
    for star, piece, end in zip(rest[::2], rest[1::2], ends[1:], strict=True):
        if not piece and end == r"\Z" and star != "/**/":
            return pattern + ".*"
        # behind a bare `**` a piece may begin anywhere, behind `/**/` where a segment does
        pattern += f"(?>(?:[^/]*+/)*?{_piece('*' + piece if star == '**' else piece, end)})"
    return pattern


def _piece(glob: str, end: str) -> str:
    """Return the regular expression of a piece, which has no `**`, up to its nearest `end`."""
    first, *rest = _WITHIN.split(glob)
    *literals, last = map(re.escape, [first, *rest[1::2]])
    literals.append(last + end)
    within = (
        "[^/]++" + literal if star == "\0" else f"(?>[^/]*?{literal})"
        for star, literal in zip(rest[::2], literals[1:], strict=True)
    )
    return literals[0] + "".join(within)
