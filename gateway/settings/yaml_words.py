"""Why a text is no YAML, in words for whoever wrote it: what is there, and what was probably meant.

ruamel.yaml says where it could not go on, and what it had expected; its own words are not repeated, since they are the
parser's, and may quote a secret. Of the text, only what cannot be one is named: a line, a column, a punctuation mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    ScalarToken,
)

from gateway.settings.yaml_value import YamlFault

_ELSE: Final = "is not YAML here: text with any of : # { } [ ] , & * ! | > % @ ` in it is best put in quotes"
_OPENED: Final = re.compile(r"^(?:- +)*[\"']?[\w.-]+[\"']?: +\S")
"""A line whose key has a value beside it."""
_NO_SPACE: Final = re.compile(r"^(?:- +)*([A-Za-z_]+):[^\s/]*/*\S")
_FLOWS: Final = {"while parsing a flow sequence": ("[", "]"), "while parsing a flow mapping": ("{", "}")}
_GOT: Final = re.compile(r"(?:found|got) (.*)$", re.DOTALL)


class _Spot(NamedTuple):
    """A place in the text, from 0."""

    line: int
    column: int


def explain(error: MarkedYAMLError, text: str, spot: tuple[int, int]) -> YamlFault:
    """Return the fault that ruamel's error stands for; `spot` is where it is, if the error does not say."""
    at = _read_mark(error.problem_mark) or _read_mark(error.context_mark) or _Spot(*spot)
    began = _read_mark(error.context_mark) or at
    problem, context = error.problem or "", error.context or ""
    got = _GOT.search(problem)
    lines = text.splitlines()
    for where, message in _guesses(problem, context, got[1] if got is not None else "", at, began, lines, text):
        if message:
            return YamlFault(*where, message)
    return YamlFault(*at, _ELSE)


def _guesses(
    problem: str, context: str, got: str, at: _Spot, began: _Spot, lines: list[str], text: str
) -> list[tuple[_Spot, str]]:
    """Return what may be wrong, the likeliest first; without words what is not so."""
    found = [(at, _explain_character(problem, got))]
    if problem == "found unexpected end of stream":
        found += [(began, "opens a quote that is never closed: add the closing quote")]
    if "scalar>" in got or "not allowed" in problem or "escape" in problem:
        found += [_explain_long_quote(text, at)]
    if "escape" in problem:
        found += [(at, r"has a \ in double quotes that begins no escape: write \\, or use single quotes")]
    if context.startswith(("while scanning an alias", "while scanning an anchor")):
        found += [(began, "begins with * or &, which mean something else to YAML: put the text in quotes")]
    if "stream end" in got:
        found += [_explain_unclosed(text)]
    if context in _FLOWS:
        found += [(at, _explain_flow(*_FLOWS[context], at, began))]
    if "not allowed" in problem:
        found += [(at, _explain_colon(at, lines))]
    if problem == "could not find expected ':'":
        found += [(began, "is neither `key: value` nor an item after `- `: is a `:` missing?")]
    if problem.startswith(("expected <block end>", "expected the node content")):
        found += [(at, _explain_end(got, at, began, lines))]
    if context == "while scanning a block scalar":
        found += [(at, "has text after | or >: begin the text in the next line, or put it in quotes")]
    return found


def _explain_character(problem: str, got: str) -> str:
    if "cannot start any token" not in problem:
        return ""
    if r"\t" in got or r"\t" in problem:
        return "has a tab where YAML takes only spaces: indent with spaces"
    found = re.search(r"'([@`%])'", problem)
    return f"begins with {found[1]}, which no text without quotes may: put it in quotes" if found is not None else ""


def _explain_long_quote(text: str, at: _Spot) -> tuple[_Spot, str]:
    """Where a quote is not closed in its line, the next one that opens closes it, lines below: the fault is above."""
    opened = _find_long_quote(text, at)
    if opened is None:
        return at, ""
    return opened, f"opens a quote that ends only in line {at.line + 1}: is its closing quote missing?"


def _find_long_quote(text: str, at: _Spot) -> _Spot | None:
    """Return where a text in quotes begins that has several lines, the last of them that of the fault."""
    for token in _scan(text):
        if token.start_mark.line > at.line:
            break
        is_long = isinstance(token, ScalarToken) and not token.plain and token.style in {'"', "'"}
        if is_long and token.start_mark.line < token.end_mark.line == at.line:
            return _read_mark(token.start_mark)
    return None


def _explain_unclosed(text: str) -> tuple[_Spot, str]:
    """Name the last bracket that is open at the end."""
    opened: list[tuple[_Spot, str, str]] = []
    for token in _scan(text):
        if isinstance(token, FlowSequenceStartToken | FlowMappingStartToken):
            pair = ("[", "]") if isinstance(token, FlowSequenceStartToken) else ("{", "}")
            opened.append((_Spot(token.start_mark.line, token.start_mark.column), *pair))
        elif isinstance(token, FlowSequenceEndToken | FlowMappingEndToken) and opened:
            opened.pop()
    if not opened:
        return _Spot(0, 0), ""
    spot, opening, closing = opened[-1]
    return spot, f"opens a {opening} that is never closed: add the closing {closing}"


def _scan(text: str) -> Iterator[Any]:
    """Yield ruamel's tokens, up to a fault."""
    try:
        yield from YAML(typ="safe", pure=True).scan(text)
    except (YAMLError, ValueError, OverflowError, IndexError):
        return


def _explain_flow(opening: str, closing: str, at: _Spot, began: _Spot) -> str:
    if at.line > began.line:
        where = f"line {began.line + 1}, column {began.column + 1}"
        return f"comes before the closing {closing} of the {opening} in {where}: is that missing, or a comma?"
    return f"needs a comma before this, or the closing {closing} of the {opening} in column {began.column + 1}"


def _explain_colon(at: _Spot, lines: list[str]) -> str:
    """Explain a `: ` where none can be."""
    before = lines[at.line][: at.column] if at.line < len(lines) else ""
    if ": " in before:
        return "has a second `: ` in one line: put the value in quotes"
    above = next((line for line in reversed(lines[: at.line]) if line.strip() and not line.strip().startswith("#")), "")
    bare = above.strip()
    forgotten = _NO_SPACE.match(bare)
    if forgotten is not None and not _OPENED.match(bare):
        return f"comes after a line that is no `key: value`: is a space missing there, after `{forgotten[1]}:`?"
    if _OPENED.match(bare) and _indent(before) > _indent(above):
        return (
            f"is indented by {_indent(before)}, under a key that has its value already: begin it in the same column as "
            "that key"
        )
    if ":" not in bare and bare:
        return "comes after a line that is no `key: value`: is a `:` missing there?"
    return "has a `: ` where no key can be: is it indented rightly, or is the text to be in quotes?"


def _explain_end(got: str, at: _Spot, began: _Spot, lines: list[str]) -> str:
    """Explain what stands where a mapping, a list or a value should have ended."""
    if "block mapping start" in got or "block sequence start" in got or got == "'-'":
        what = "an item" if "sequence" in got or got == "'-'" else "a key"
        if at.column == began.column:
            other = "a list has only items, a mapping only keys"
            return f"is {what} where line {began.line + 1} began something else: {other}"
        return (
            f"is {what} indented by {at.column}, which fits nothing above: what belongs together begins in the same "
            f"column, as line {began.line + 1} does in column {began.column + 1}"
        )
    if "scalar>" in got:
        return "goes on after the closing quote: put all of it in quotes; within them, write '' for ' and \\\" for \""
    mark = re.fullmatch(r"'([]},{[?])'", got)
    return f"has a {mark[1]} that belongs to nothing: put the text in quotes, or take it away" if mark else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _read_mark(mark: Any) -> _Spot | None:
    return _Spot(mark.line, mark.column) if mark is not None else None
