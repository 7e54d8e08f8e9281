"""Reads the YAML file, with the line and column of every key (YAML 1.2, core schema).

ruamel.yaml cuts the text into events; what they mean is decided here, so that everything that may stand in a file ends
in a value or in a problem with its place: duplicate keys and tags are refused, merge keys (`<<`) work, nesting and
aliases are bounded. ruamel's own words are never repeated (`yaml_words`): they may quote the file, and so a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from gateway.errors import SettingsError
from gateway.settings.problem import Problem, SettingsProblems
from gateway.settings.yaml_value import DEEPEST, YamlFault, build_value
from gateway.settings.yaml_words import explain

KeyPath = tuple[str | int, ...]
Places = dict[KeyPath, tuple[int, int]]

LARGEST: Final = 16 * 1024 * 1024
"""Most bytes of a file; settings have a thousandth of it, a list of people may have more."""
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def load_yaml(path: Path, excerpt: Callable[[str], str] | None = None) -> tuple[dict[str, Any], Places]:
    """Return the file's mapping, and where each key stands (line and column, from 1).

    `excerpt` makes what a message may have of the line that is wrong, "" for nothing. Raises
    `SettingsError` when the file cannot be read, and `SettingsProblems` when it is not YAML.
    """
    places: Places = {}
    text = _read_text(path)
    try:
        value = _read(text, places)
        if value is not None and not isinstance(value, dict):
            raise YamlFault(0, 0, "is not a mapping of keys to values")
    except YamlFault as fault:
        where = f"{path}:{fault.line + 1}:{fault.column + 1}"
        line = excerpt(_line_of(text, fault)) if excerpt is not None else ""
        message = f"{fault.message} (the line: `{line}`)" if line else fault.message
        raise SettingsProblems([Problem(where, fault.key, message)]) from None
    return value or {}, places


def parse_flow(text: str) -> Any:
    """Parse the value of a variable that holds a list or mapping. Raises `ValueError`."""
    try:
        return _read(text, {})
    except YamlFault as fault:
        raise ValueError(f"is neither a YAML list nor a mapping: at character {fault.column + 1}, {fault}") from None


def parse_yaml(text: str) -> Any:
    """Parse a text that is no settings file of ours. Raises `ValueError`, which says where."""
    try:
        return _read(text, {})
    except YamlFault as fault:
        raise ValueError(f"is not YAML: line {fault.line + 1}, column {fault.column + 1}: {fault}") from None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise SettingsError(f"{path} cannot be read: it has more than {LARGEST >> 20} MiB")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path with a NUL
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{path} cannot be read: {reason}") from None


def _read(text: str, places: Places) -> Any:
    """Return what a text stands for. Raises `YamlFault`."""
    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start())
        column = odd.start() - (text.rfind("\n", 0, odd.start()) + 1)
        raise YamlFault(line, column, f"has the character U+{ord(odd[0]):04X}, which no YAML may have")
    return build_value(_parse(text), places)


def _parse(text: str) -> Iterator[Any]:
    """Yield ruamel's events; bounded, because its scanner takes ever longer the deeper a text is nested."""
    depth = 0
    event = None
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST:
                mark = event.start_mark
                raise YamlFault(mark.line, mark.column, f"is nested more than {DEEPEST} deep")
            yield event
    except MarkedYAMLError as error:
        end = getattr(event, "end_mark", None)
        raise explain(error, text, (end.line, end.column) if end is not None else (0, 0)) from None
    except (YAMLError, ValueError, OverflowError, IndexError):  # such as "\UFFFFFFFF", or %YAML 99999999999
        line, column = (event.end_mark.line, event.end_mark.column) if event is not None else (0, 0)
        raise YamlFault(line, column, "what comes after this is not YAML") from None


def _line_of(text: str, fault: YamlFault) -> str:
    lines = text.splitlines()
    return lines[fault.line] if fault.line < len(lines) else ""
