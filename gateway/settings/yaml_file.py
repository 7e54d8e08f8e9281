"""Reads the YAML file, with the line and column of every key; duplicate keys are refused (YAML 1.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.errors import SettingsError
from gateway.settings.problem import Problem, SettingsProblems

KeyPath = tuple[str | int, ...]
Places = dict[KeyPath, tuple[int, int]]


def load_yaml(path: Path) -> tuple[dict[str, Any], Places]:
    """Return the file's mapping, and where each key stands (line and column, from 1).

    Raises `SettingsError` when the file cannot be read, and `SettingsProblems` when it is not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{path} cannot be read: {reason}") from None
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)
        message = (error.problem or "is not YAML").splitlines()[0]
        raise SettingsProblems([Problem(where, "", message)]) from None
    except YAMLError as error:
        raise SettingsProblems([Problem(str(path), "", str(error).splitlines()[0])]) from None
    if document is None:
        return {}, {}
    places: Places = {}
    plain = _flatten(document, (), places)
    if not isinstance(plain, dict):
        raise SettingsProblems([Problem(f"{path}:1:1", "", "is not a mapping of keys to values")])
    return plain, places


def parse_flow(text: str) -> Any:
    """Parse the value of a variable that holds a list or mapping. Raises `ValueError`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _flatten(YAML(typ="rt").load(text), (), {})
    except YAMLError:
        raise ValueError("is neither a YAML list nor a mapping") from None


def _flatten(node: Any, path: KeyPath, places: Places) -> Any:
    """Turn ruamel's types into plain ones, and note where each key stands."""
    lines: Any = getattr(node, "lc", None)
    if isinstance(node, dict):
        for key in node:
            line, column = lines.key(key)
            places[(*path, str(key))] = (line + 1, column + 1)
        return {str(key): _flatten(value, (*path, str(key)), places) for key, value in node.items()}
    if isinstance(node, list):
        for index in range(len(node)):
            line, column = lines.item(index)
            places[(*path, index)] = (line + 1, column + 1)
        return [_flatten(value, (*path, index), places) for index, value in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, str):
        return str(node)
    return int(node) if isinstance(node, int) else float(node) if isinstance(node, float) else str(node)
