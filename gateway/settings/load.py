"""File and environment to `Settings`, or to every problem at once.

The environment wins over the file: `GATEWAY__TIKTOK__CLIENT_KEY` is the key `tiktok.client_key`; lists and mappings are
written in YAML's flow style (`["a", "b"]`). References (`${…}`) are resolved in both.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gateway.errors import SettingsError
from gateway.settings.interpolate import has_reference, interpolate
from gateway.settings.model import Settings
from gateway.settings.problem import Problem, SettingsProblems
from gateway.settings.yaml_file import KeyPath, Places, load_yaml, parse_flow

PREFIX: Final = "GATEWAY__"
PLACES: Final = ("gateway.yaml", "/etc/gateway/gateway.yaml")
_REDIS_PASSWORDS: Final = (
    "redis.sentinel.password",
    "redis.sentinel.sentinel_password",
    "redis.cluster.password",
)
_SECRETS: Final = ("tiktok.client_secret", "secret_keys", "redis", "redis.url", *_REDIS_PASSWORDS)
_EXAMPLES: Final = {
    "public_url": "public_url: https://app.example.com",
    "upstream": "upstream: http://127.0.0.1:3000 (the app to protect), or `upstream: none` to only answer forward-auth",
    "redis": "redis: redis://127.0.0.1:6379/0 (or memory://, for development)",
    "secret_keys": 'secret_keys: ["${GATEWAY_SECRET_KEY}"], made with `gateway keys new`',
    "tiktok": "tiktok: {client_key: …, client_secret: …}, from the app's page at developers.tiktok.com",
    "tiktok.client_key": 'client_key: "${TIKTOK_CLIENT_KEY}"',
    "tiktok.client_secret": 'client_secret: "${TIKTOK_CLIENT_SECRET}"',
}


def find(environ: Mapping[str, str], explicit: Path | None) -> Path | None:
    """Return the settings file: the one asked for, else `$GATEWAY_CONFIG`, else the usual places, else None.

    Raises `SettingsError` when a file that was asked for by name is missing.
    """
    named = explicit or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"{named} does not exist: correct -c or $GATEWAY_CONFIG")
        return named
    return next((path for path in map(Path, PLACES) if path.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str], *, needs_upstream: bool = True) -> Settings:
    """Return the settings. Raises `SettingsProblems` with all that is wrong, `SettingsError` for an unreadable file."""
    tree, places = load_yaml(path) if path is not None else ({}, {})
    reader = _Reader(path, places, environ)
    reader.add_environment(tree)
    plain_secrets = frozenset(reader.plain_secrets(tree))
    resolved = reader.resolve(tree, ())
    named = tree.get("upstreams")
    if needs_upstream and "upstream" not in tree and not (isinstance(named, dict) and "default" in named):
        reader.add(("upstream",), f"is missing; add {_EXAMPLES['upstream']}")
    try:
        settings = Settings.model_validate(resolved, context={"beside": path.parent} if path is not None else {})
    except ValidationError as error:
        reader.add_invalid(error)
        raise SettingsProblems(reader.sorted_problems()) from None
    if reader.problems:
        raise SettingsProblems(reader.sorted_problems())
    settings._plain_secrets = plain_secrets
    return settings


class _Reader:
    """Collects problems, with the place of each."""

    def __init__(self, path: Path | None, places: Places, environ: Mapping[str, str]) -> None:
        self._path = path
        self._places = places
        self._environ = environ
        self._from_environ: dict[KeyPath, str] = {}
        self._unresolved: set[KeyPath] = set()
        self.problems: list[tuple[tuple[int, int], Problem]] = []

    def add_environment(self, tree: dict[str, Any]) -> None:
        """Lay the variables over the file's tree."""
        for variable in sorted(self._environ):
            if variable.upper().startswith(PREFIX):
                keys = tuple(part.lower() for part in variable[len(PREFIX) :].split("__"))
                self._lay(tree, keys, variable)

    def _lay(self, tree: dict[str, Any], keys: tuple[str, ...], variable: str) -> None:
        value: Any = self._environ[variable]
        try:
            if value.lstrip().startswith(("[", "{")):
                value = parse_flow(value)
        except ValueError as error:
            self.problems.append(((0, 0), Problem(variable, ".".join(keys), str(error))))
            return
        self._from_environ[keys] = variable
        node = tree
        for key in keys[:-1]:
            below = node.get(key)
            if isinstance(below, str) and (key in {"redis", "upstream"} or keys[0] == "upstreams"):
                below = {"url": below}  # the short form, to be completed
            node[key] = below = below if isinstance(below, dict) else {}
            node = below
        node[keys[-1]] = value

    def plain_secrets(self, tree: Mapping[str, Any]) -> list[str]:
        """Return the secrets that stand in the file itself."""
        found: list[str] = []
        for key in _SECRETS:
            node: Any = tree
            for part in key.split("."):
                node = node.get(part) if isinstance(node, dict) else None
            texts = node if isinstance(node, list) else [node]
            known = tuple(key.split(".")) in self._from_environ
            if not known and any(isinstance(text, str) and _is_plain_secret(key, text) for text in texts):
                found.append(key)
        return found

    def resolve(self, node: Any, path: KeyPath) -> Any:
        """Resolve the references in every string; one that cannot be is a problem, and the string stays."""
        if isinstance(node, dict):
            return {key: self.resolve(value, (*path, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value, (*path, index)) for index, value in enumerate(node)]
        if not isinstance(node, str):
            return node
        try:
            return interpolate(node, self._environ)
        except ValueError as error:
            self.add(path, str(error))
            self._unresolved.add(path)
            return node

    def add(self, path: KeyPath, message: str) -> None:
        """Note a problem with the key at `path`."""
        where, order = self._locate(path)
        self.problems.append((order, Problem(where, _dotted(path), message)))

    def add_invalid(self, error: ValidationError) -> None:
        """Note everything that the model refuses."""
        for each in error.errors(include_url=False, include_context=True, include_input=False):
            path = tuple(part for part in each["loc"] if part != "url" or self._has(each["loc"]))
            if any(path[: len(known)] == known for known in self._unresolved):
                continue  # told already
            message = _explain(each["type"], path, str(each["msg"]), each.get("ctx") or {})
            if not path and ": " in message:
                dotted, _, message = message.partition(": ")
                path = _read_dotted(dotted)
            if not (each["type"] == "missing" and path == ("upstream",)):
                self.add(path, message)

    def sorted_problems(self) -> list[Problem]:
        """Return the problems in the order of the file."""
        return [problem for _, problem in sorted(self.problems, key=lambda pair: pair[0])]

    def _has(self, path: KeyPath) -> bool:
        return path in self._places or path in self._from_environ

    def _locate(self, path: KeyPath) -> tuple[str, tuple[int, int]]:
        for length in range(len(path), 0, -1):
            known = path[:length]
            if known in self._from_environ:
                return self._from_environ[known], (0, 0)
            if known in self._places:
                line, column = self._places[known]
                return f"{self._path}:{line}:{column}", (line, column)
        return (f"{self._path}:1:1", (1, 1)) if self._path is not None else ("environment", (0, 0))


def _is_plain_secret(key: str, text: str) -> bool:
    if key in {"redis", "redis.url"}:
        return "@" in text and not has_reference(text)
    return not has_reference(text)


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _read_dotted(text: str) -> KeyPath:
    """The reverse of `_dotted`."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", text))


def _explain(kind: str, path: KeyPath, message: str, context: Mapping[str, Any]) -> str:
    """Say what a pydantic error means to an operator, and what would be right."""
    match kind:
        case "missing":
            example = _EXAMPLES.get(_dotted(path))
            return f"is missing; add {example}" if example else "is missing"
        case "extra_forbidden":
            return f"is not a key{_suggest(path)}"
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of keys to values"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "string_type":
            return "must be text; put it in quotes"
        case "string_too_short" | "too_short":
            return "is empty"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case _:
            return message[:1].lower() + message[1:]


def _suggest(path: KeyPath) -> str:
    """Name the nearest right spelling among the keys of the same mapping."""
    known = _keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; keys here are {', '.join(sorted(known))}" if known else ""


def _keys_at(path: KeyPath) -> list[str]:
    model: type[BaseModel] | None = Settings
    is_name = False  # the next part is a name that the operator chose, as in `upstreams`
    for part in path:
        if isinstance(part, int) or is_name:
            is_name = False
            continue
        field = model.model_fields.get(part) if model is not None else None
        model = _model_in(field.annotation) if field is not None else None
        is_name = field is not None and get_origin(field.annotation) is dict
    return list(model.model_fields) if model is not None and not is_name else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
