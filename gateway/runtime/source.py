"""Where a process has its settings from, so that they can be read again.

What a process has bound or begun with cannot change while it runs. Of such keys the value in force stays, and they are
named: everything else of the new settings counts.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.errors import SettingsError
from gateway.runtime.changed_files import ChangedFiles
from gateway.settings import Settings, load, show_path
from gateway.web.admin.reload import ReloadOutcome

BOUND: Final = ("listen", "admin.listen", "forward_auth.listen", "forward_auth.grpc")
"""Keys of what is bound at the start: they need a restart. Whoever binds more adds a line."""


class Candidate(NamedTuple):
    """Settings that are to come into force."""

    settings: Settings
    changed: tuple[str, ...]
    """Top-level keys that differ from those in force."""
    needs_restart: tuple[str, ...]
    """Keys that differ, too, and stay as they are until a restart."""
    from_environment: tuple[str, ...] = ()
    """Keys whose values come from variables of the environment, which are those of the start."""

    def as_outcome(self) -> ReloadOutcome:
        """Return what is told once they are in force."""
        return ReloadOutcome(
            applied=True,
            changed=self.changed,
            needs_restart=self.needs_restart,
            from_environment=self.from_environment,
        )


class Source:
    """A settings file, if there is one, and the environment; what these name is looked after as well."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._files = ChangedFiles()
        self._once = path is not None and _is_gone_once_read(path)

    def load(self, *, is_running: bool = False) -> Settings:
        """Read the settings; `is_running`: not for the first time. Raises `SettingsError`.

        A change of any of the files that comes while they are read is found by the next look.
        """
        if self._once:
            return load(self._path, self._environ)
        self._files.note({*self._files.known, *([self._path] if self._path is not None else ())})
        found, complete = self._try(is_running=is_running)
        if not complete:
            found, _ = self._try(is_running=is_running)
        if isinstance(found, SettingsError):
            raise found
        return found

    def read(self, in_force: Settings) -> Candidate:
        """Read what is to follow on the settings in force. Raises `SettingsError`."""
        if self._once:
            raise SettingsError(f"{self._path} could be read only once, at the start: restart with other settings")
        if pipes := sorted(str(path) for path in self._files.known if _is_gone_once_read(path)):
            raise SettingsError(f"{pipes[0]} is no file: to wait for what it may say would hold up everything")
        return compare(in_force, self.load(is_running=True))

    def have_changed(self, in_force: Settings, *, refused: bool) -> bool:
        """Look; whether some file has changed, and settled.

        Allow-lists that are in force look after themselves; of settings that were `refused`, they may be the reason.
        """
        lists = {Path(each.allow.file) for each in in_force.routes if each.allow is not None and each.allow.file}
        return self._files.have_changed(() if refused else lists)

    def _try(self, *, is_running: bool) -> tuple[Settings | SettingsError, bool]:
        """Read them; False when they name a file that was not known: it may have changed since it was read."""
        named: set[Path] = set()
        found: Settings | SettingsError
        try:
            found = load(self._path, self._environ, named=named, is_running=is_running)
        except SettingsError as error:
            found = error
        return found, not self._files.look_after(named)


def _is_gone_once_read(path: Path) -> bool:
    """Whether this is a pipe, say; of one that cannot be looked at, `load` tells why."""
    try:
        mode = path.stat().st_mode
        return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
    except OSError:
        return False


def compare(in_force: Settings, new: Settings) -> Candidate:
    """Say what is new, with what cannot change left as it is."""
    from_environment = new.origin.from_environment
    kept = [key for key in BOUND if _value(in_force, key) != _value(new, key)]
    if in_force.redis != new.redis and (in_force.redis.embedded or new.redis.embedded):
        kept.append("redis")
    if (in_force.tls is None) != (new.tls is None):
        kept.append("tls")
    for key in kept:
        new = _with(new, key, _value(in_force, key))
    changed = [name for name in type(new).model_fields if getattr(new, name) != getattr(in_force, name)]
    return Candidate(new, tuple(changed), tuple(kept), tuple(dict.fromkeys(map(show_path, from_environment))))


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _with(settings: Settings, key: str, value: Any) -> Settings:
    name, _, below = key.partition(".")
    changed = getattr(settings, name).model_copy(update={below: value}) if below else value
    return settings.model_copy(update={name: changed})
