"""File and environment to `Settings`, or to every problem at once.

The environment wins over the file: `GATEWAY__TIKTOK__CLIENT_KEY` is the key `tiktok.client_key`; lists and mappings are
written in YAML's flow style (`["a", "b"]`). What a program says itself, by keywords, wins over both, key by key; a list
is one value. References (`${…}`) are resolved in all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.errors import SettingsError
from gateway.settings.excerpt import excerpt
from gateway.settings.interpolate import VariableMissing, has_reference, interpolate
from gateway.settings.keys import SHORT, is_beside_secret, secret_in
from gateway.settings.listening import ListenerSettings
from gateway.settings.model import Settings
from gateway.settings.operator import FORMS, AdminSettings
from gateway.settings.origin import Origin, read_values
from gateway.settings.problem import KeyFault, Problem, SettingsProblems
from gateway.settings.program import find_leaves
from gateway.settings.refusal import EXAMPLES, explain, read_path, show_path
from gateway.settings.yaml_file import KeyPath, Places, load_yaml, parse_flow

PREFIX: Final = "GATEWAY__"
PLACES: Final = ("./gateway.yaml", "/etc/gateway/gateway.yaml")


def find(environ: Mapping[str, str], explicit: Path | None) -> Path | None:
    """Return the settings file: the one asked for, else `$GATEWAY_CONFIG`, else the usual places, else None.

    Raises `SettingsError` when a file that was asked for by name is missing.
    """
    named = explicit or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    if named is None:
        return next((path for path in map(Path, PLACES) if _is_there(path)), None)
    if not _is_there(named):
        where = "" if named.is_absolute() else f", looked for from {_here()}"
        raise SettingsError(
            f"{named} does not exist{where}: correct {'what names it' if explicit else '$GATEWAY_CONFIG'}"
        )
    return named


def _here() -> str:
    """Return the folder where relative paths begin, as far as it is known."""
    try:
        return str(Path.cwd())
    except OSError:  # it has been deleted
        return "a folder that is gone"


def _tell_no_file() -> str:
    return (
        f"there is no settings file: {' and '.join(PLACES)} were looked for, from {_here()} (name another with -c or "
        f"$GATEWAY_CONFIG); and the environment ({PREFIX}PUBLIC_URL …) has not all that is needed"
    )


def _is_there(path: Path) -> bool:
    """Whether a path can be opened, or at least be found: why it cannot be read is told when it is."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in it
        return False
    except OSError:
        return True
    return True


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    needs_upstream: bool = True,
    named: set[Path] | None = None,
    keywords: Mapping[str, Any] | None = None,
    is_running: bool = False,
) -> Settings:
    """Return the settings; `keywords` are what a program says itself, and win over all.

    `is_running`: a process that serves already reads them anew, with the variables of its start.

    `named` is given every file that they come from or name, whatever becomes of them: `${file:…}`, certificates, lists.
    Raises `SettingsProblems` with all that is wrong, `SettingsError` for an unreadable file.
    """
    named = set() if named is None else named
    if path is not None:
        named.add(path)
    tree, places = load_yaml(path, excerpt) if path is not None else ({}, {})
    reader = _Reader(path, places, environ, named, is_running=is_running)
    reader.add_environment(tree)
    reader.add_keywords(tree, keywords or {})
    resolved = reader.resolve(tree, ())
    others = tree.get("upstreams")
    if needs_upstream and "upstream" not in tree and not (isinstance(others, dict) and "default" in others):
        reader.add(("upstream",), f"is missing; add {EXAMPLES['upstream']}")
    try:
        context: dict[str, Any] = {"needs_upstream": needs_upstream, "named": named}
        if path is not None:
            context["beside"] = path.parent
        settings = Settings.model_validate(resolved, context=context)
    except ValidationError as error:
        reader.add_invalid(error)
        raise SettingsProblems(reader.sorted_problems()) from None
    if reader.problems:
        raise SettingsProblems(reader.sorted_problems())
    settings._plain_secrets = frozenset(reader.plain_secrets)
    settings._origin = dataclasses.replace(reader.origin, values=read_values(tree))
    return settings


def load_admin_listen(path: Path | None, environ: Mapping[str, str]) -> ListenerSettings | None:
    """Return `admin.listen` alone: whoever asks for a gateway's health need not have its secrets.

    Raises `SettingsError`.
    """
    return _load_admin(path, environ, ("listen",)).listen


def load_admin(path: Path | None, environ: Mapping[str, str]) -> AdminSettings:
    """Return how to reach a gateway that runs, whatever else is wrong with the settings: `admin.listen`, `admin.keys`.

    Raises `SettingsError`.
    """
    return _load_admin(path, environ, ("listen", "keys"))


def _load_admin(path: Path | None, environ: Mapping[str, str], keys: Sequence[str]) -> AdminSettings:
    tree, places = load_yaml(path, excerpt) if path is not None else ({}, {})
    reader = _Reader(path, places, environ)
    reader.add_environment(tree)
    admin = tree.get("admin")
    given = {key: value for key, value in admin.items() if key in keys} if isinstance(admin, dict) else {}
    try:
        return AdminSettings.model_validate(reader.resolve(given, ("admin",)))
    except ValidationError:
        named = " or ".join(f"admin.{key}" for key in keys)
        raise SettingsError(f"{named} cannot be used: see `gateway check`") from None


class _Reader:
    """Collects problems, with the place of each."""

    def __init__(
        self,
        path: Path | None,
        places: Places,
        environ: Mapping[str, str],
        named: set[Path] | None = None,
        *,
        is_running: bool = False,
    ) -> None:
        self._is_running = is_running
        self._named = named if named is not None else set()
        self._environ = environ
        self._from_environ: dict[KeyPath, str] = {}  # or from keywords: what is not in the file
        self.origin = Origin(path, places, self._from_environ, nowhere="environment")
        self._said_by_keywords = False
        self._none: set[KeyPath] = set()
        self._unresolved: set[KeyPath] = set()
        self.plain_secrets: set[str] = set()
        """Keys of the secrets that stand in the file itself."""
        self.no_file = False
        """Whether something is missing, and there is no file that could have had it."""
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
            self.problems.append(((0, 0), Problem(variable, show_path(keys), str(error))))
            return
        self._put(tree, keys, value, variable)

    def _put(self, tree: dict[str, Any], keys: tuple[str, ...], value: Any, source: str) -> None:
        self._from_environ[keys] = source
        for stale in [place for place in self.origin.places if place[: len(keys)] == keys]:
            del self.origin.places[stale]  # what stood there in the file is not in force
        node = tree
        for key in keys[:-1]:
            below = node.get(key)
            if isinstance(below, str) and (key in {"redis", "upstream"} or keys[0] == "upstreams"):
                below = {SHORT: below}  # the short form, to be completed
            node[key] = below = below if isinstance(below, dict) else {}
            node = below
        node[keys[-1]] = value

    def add_keywords(self, tree: dict[str, Any], keywords: Mapping[str, Any]) -> None:
        """Lay over the tree what a program says itself."""
        self._said_by_keywords = bool(keywords)
        if keywords:
            self.origin = dataclasses.replace(self.origin, nowhere="protect(…)")
        for name, value in keywords.items():
            for keys, plain in find_leaves(name, value):
                self._put(tree, keys, plain, f"protect({name}=…)")
                if plain is None:
                    self._none.add(keys)

    def resolve(self, node: Any, path: KeyPath) -> Any:
        """Resolve the references in every string; one that cannot be is a problem, and the string stays."""
        if isinstance(node, dict):
            return {key: self.resolve(value, (*path, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value, (*path, index)) for index, value in enumerate(node)]
        if not isinstance(node, str):
            return node
        try:
            value = interpolate(node, self._environ, self._named)
            _check_characters(value)
        except ValueError as error:
            advice = f": {self._advise(error, path)}" if isinstance(error, VariableMissing) else ""
            self.add(path, f"{error}{advice}")
            self._unresolved.add(path)
            return node
        self._note_plain_secret(node, path)
        return value

    def _advise(self, error: VariableMissing, path: KeyPath) -> str:
        """Say what to do about a variable that is missing. A secret has no default."""
        if self._is_running:
            return "a process that runs has the variables of its start; restart it, or write ${file:/path} and reload"
        return f"set it, or write {f'${{{error.name}:-default}}' if secret_in(path) is None else '${file:/path}'}"

    def _note_plain_secret(self, text: str, path: KeyPath) -> None:
        told = (
            secret_in(path) is not None
            and not is_beside_secret(path)
            and not has_reference(text)
            and ("://" not in text or "@" in text)
        )
        if told and not any(path[:end] in self._from_environ for end in range(1, len(path) + 1)):
            self.plain_secrets.add(show_path(path))

    def add(self, path: KeyPath, message: str) -> None:
        """Note a problem with the key at `path`."""
        where, order = self.origin.locate(path)
        self.problems.append((order, Problem(where, show_path(path), message)))

    def add_invalid(self, error: ValidationError) -> None:
        """Note everything that the model refuses."""
        for each in error.errors(include_url=False, include_context=True, include_input=False):
            path = self._read_place(each["loc"], each["type"], each.get("ctx") or {})
            message = explain(each["type"], path, str(each["msg"]), each.get("ctx") or {})
            if path in self._none:
                message = "is None: is the variable set that it comes from?"
            if not path and ": " in message:
                dotted, _, message = message.partition(": ")
                path = read_path(dotted)
            if any(path[: len(known)] == known or (path and known[: len(path)] == path) for known in self._unresolved):
                continue  # told already
            if not (each["type"] == "missing" and path == ("upstream",)):
                self.add(path, message)
            meant_for_file = not self._said_by_keywords or path == ("public_url",)
            if each["type"] == "missing" and self.origin.path is None and meant_for_file:
                self.no_file = True

    def _read_place(self, loc: KeyPath, kind: str, context: Mapping[str, Any]) -> KeyPath:
        """Return the key that a fault is about, as an operator writes it."""
        loc = tuple(part for part in loc if part not in FORMS)
        path = tuple(part for part in loc if part != SHORT or kind == "missing" or self.origin.has(loc))
        fault = context.get("error")
        return (*path, *fault.path) if isinstance(fault, KeyFault) else path

    def sorted_problems(self) -> list[Problem]:
        """Return the problems in the order of the file."""
        if self.no_file:
            self.problems.append(((-1, -1), Problem("", "", _tell_no_file())))
        return [problem for _, problem in sorted(self.problems, key=lambda pair: pair[0])]


def _check_characters(text: str) -> None:
    """Refuse what no path, address or name can have, and no other program would take. Raises `ValueError`."""
    if "\0" in text:
        raise ValueError("has a NUL character in it")
    if any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("is not UTF-8")
