"""An allow-list in a file, read again when the file changes (hot reload).

The file is YAML, with the lists that a route may have too:

    open_ids: [-000abc…, _000def…]
    usernames: [ada.plain]

A file that is gone or broken changes nothing: whoever was on the list stays on it, and the log says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.core.requirement import AllowList, Names
from gateway.errors import SettingsError
from gateway.settings import load_lists
from gateway.tasks import stop
from gateway.telemetry.logs import log

TICK: Final = 1.0
"""Seconds between two looks at the files."""
LISTS: Final = ("open_ids", "union_ids", "usernames")


class AllowFile:
    """One file; `where` is the key of the settings that names it."""

    def __init__(self, path: Path, allowed: AllowList, where: str) -> None:
        self._path = path
        self._allowed = allowed
        self._where = where
        self._seen: object = None

    def load(self) -> None:
        """Read the file. Raises `SettingsError` that says what is wrong with it."""
        seen = self._look()
        try:
            lists = load_lists(self._path, LISTS)
        except SettingsError as error:
            raise SettingsError(f"{self._where}: {error}") from None
        self._allowed.from_file = Names(*(frozenset(lists[name]) for name in LISTS))
        self._seen = seen

    def load_if_changed(self) -> bool:
        """Read the file if it is another than before; returns whether the list is a new one."""
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen  # told once, not every second
        try:
            self.load()
        except SettingsError as error:
            log.error("allow_file_not_read", reason=str(error), advice="the list stays as it was")
            return False
        log.info("allow_file_read", path=str(self._path))
        return True

    def _look(self) -> object:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


class AllowFileWatch:
    """Looks at the files now and then. `changed` is called when a list has changed."""

    def __init__(self, files: Sequence[AllowFile], changed: Callable[[], None]) -> None:
        self._files = files
        self._changed = changed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, within the event loop, and at once: nobody is judged by what was so when they were built."""
        if self._files and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="allow files")
            self._note([file.load_if_changed() for file in self._files])

    async def close(self) -> None:
        """Stop looking, for good."""
        self._files = ()
        if self._task is not None:
            await stop(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                self._note([await asyncio.to_thread(file.load_if_changed) for file in self._files])
            except Exception as error:  # noqa: BLE001 -- a bug in one look must not end all further ones
                log.error("bug", exc_info=error)

    def _note(self, changed: Sequence[bool]) -> None:
        if any(changed):
            self._changed()
