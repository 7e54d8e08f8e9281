"""From YAML's events to plain values, with the place of every key. Pure: no file, no clock.

scalar     null, true and false, whole numbers and others as YAML 1.2's core schema has them; all else is text
mapping    keys are text; the same key twice is a fault; `<<` takes in a mapping or a list of them, under own keys
alias      a copy of what the anchor stands for, bounded, so that a small text cannot become a giant value
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from gateway.printable import escape_controls

DEEPEST: Final = 50
"""Most levels of lists and mappings within each other."""
MOST_COPIES: Final = 10_000
"""Most values that aliases and merge keys may add to those in the text."""

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_OTHER: Final = re.compile(
    r"[-+]?(?:\.[0-9]{1,300}|[0-9]{1,300}(?:\.[0-9]{0,300})?)(?:[eE][-+]?[0-9]{1,9})?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_PLAIN_TAGS: Final = {"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}
_MERGE: Final = "<<"
_KEY: Final = re.compile(r"[^:/@\s]*")

Path = tuple[str | int, ...]


class YamlFault(Exception):
    """A text that is no YAML, or more than is taken: where (line and column, from 0), which key, and why."""

    def __init__(self, line: int, column: int, message: str, key: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message
        self.key = key


class _Node(NamedTuple):
    """A value and where it stands; in place of a list's items and a mapping's values stand nodes again."""

    value: Any
    line: int
    column: int
    size: int = 1


class _Pair(NamedTuple):
    """A key of a mapping, where it stands, and its value."""

    line: int
    column: int
    node: _Node


def build_value(events: Iterator[Any], places: dict[Path, tuple[int, int]]) -> Any:
    """Return what the events of one document stand for; the place of each key (from 1) is added to `places`.

    Raises `YamlFault`.
    """
    node = _Builder(events).read_document()
    return _unfold(node, (), places)


def _unfold(node: _Node, path: Path, places: dict[Path, tuple[int, int]]) -> Any:
    if isinstance(node.value, dict):
        for key, pair in node.value.items():
            places[(*path, key)] = (pair.line + 1, pair.column + 1)
        return {key: _unfold(pair.node, (*path, key), places) for key, pair in node.value.items()}
    if isinstance(node.value, list):
        for index, item in enumerate(node.value):
            places[(*path, index)] = (item.line + 1, item.column + 1)
        return [_unfold(item, (*path, index), places) for index, item in enumerate(node.value)]
    return node.value


class _Builder:
    """Takes events one by one. It calls itself for what is nested, which the depth of the events bounds."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, _Node | None] = {}  # None: not at its end yet
        self._copies = 0

    def read_document(self) -> _Node:
        """Return the one document; an empty one is None."""
        found: _Node | None = None
        for event in self._events:
            if not isinstance(event, NodeEvent):
                continue
            if found is not None:
                _refuse(event, "begins a second document; there can be one only")
            found = self._read(event)
        return found or _Node(None, 0, 0)

    def _read(self, event: Any) -> _Node:
        if isinstance(event, AliasEvent):
            return self._copy(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = _Node(_read_scalar(event), *_place(event))
        elif isinstance(event, SequenceStartEvent):
            node = self._read_list(event)
        else:
            node = self._read_mapping(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _copy(self, event: Any) -> _Node:
        """Return what an alias stands for; a text that begins with `*` was perhaps meant instead."""
        if event.anchor not in self._anchors:
            _refuse(
                event, "is an alias of an anchor that does not stand before it; text that begins with * needs quotes"
            )
        node = self._anchors[event.anchor]
        if node is None:
            _refuse(event, "is an alias within what it stands for")
        self._count(event, node.size)
        return node

    def _count(self, event: Any, copied: int) -> None:
        self._copies += copied
        if self._copies > MOST_COPIES:
            _refuse(event, f"makes aliases stand for more than {MOST_COPIES:,} values in all")

    def _read_list(self, event: Any) -> _Node:
        _refuse_tag(event)
        items: list[_Node] = []
        for each in self._events:
            if isinstance(each, SequenceEndEvent):
                break
            # an item's own place, not that of the anchor it is an alias of
            items.append(self._read(each)._replace(line=each.start_mark.line, column=each.start_mark.column))
        return _Node(items, *_place(event), size=1 + sum(item.size for item in items))

    def _read_mapping(self, event: Any) -> _Node:
        _refuse_tag(event)
        own: dict[str, _Pair] = {}
        merged: dict[str, _Pair] = {}
        merges = 0
        for each in self._events:
            if isinstance(each, MappingEndEvent):
                break
            key = _read_key(each)
            value_event = next(self._events)
            value = self._read(value_event)
            if key == _MERGE and each.style is None:
                merges += 1
                if merges > 1:
                    _refuse(each, "stands here twice; give `<<` a list", key)
                merged = self._merge(value_event, value)
            elif key in own:
                _refuse(each, f"stands in this mapping twice, first in line {own[key].line + 1}", _shown(key))
            else:
                own[key] = _Pair(*_place(each), value)
        pairs = merged | own
        return _Node(pairs, *_place(event), size=1 + sum(pair.node.size for pair in pairs.values()))

    def _merge(self, event: Any, value: _Node) -> dict[str, _Pair]:
        """Return what a merge key takes in; of several mappings the first has the word (YAML's merge key type)."""
        mappings = value.value if isinstance(value.value, list) else [value]
        merged: dict[str, _Pair] = {}
        for mapping in reversed(mappings):
            if not isinstance(mapping.value, dict):
                _refuse(event, "takes a mapping, or a list of mappings", _MERGE)
            merged |= mapping.value
        self._count(event, sum(pair.node.size for pair in merged.values()))
        return merged


def _read_key(event: Any) -> str:
    if not isinstance(event, ScalarEvent):
        _refuse(event, "is no key: keys are words")
    _refuse_tag(event)
    key = str(event.value)
    if not key.isprintable():
        _refuse(event, "has a control character in it, which no key has", _shown(key))
    return key


def _shown(key: str) -> str:
    """Return a key as far as it looks like one: where the space after `:` was forgotten, the value is in it."""
    found = _KEY.match(key)
    return escape_controls(found[0] if found else "")[:64]


def _read_scalar(event: Any) -> Any:
    _refuse_tag(event)
    text = str(event.value)
    if event.style is not None or event.ctag is not None:  # in quotes, or `!!str`
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan")) if _OTHER.fullmatch(text) else text


def _refuse_tag(event: Any) -> None:
    tag = str(event.ctag) if event.ctag is not None else None
    if tag is not None and tag not in _PLAIN_TAGS:
        _refuse(event, "has a tag (a word that begins with !), which means nothing here; text that does needs quotes")


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line, event.start_mark.column


def _refuse(event: Any, message: str, key: str = "") -> NoReturn:
    raise YamlFault(*_place(event), message, key)
