"""When settings are read anew, and whether they come into force (hot reload).

SIGHUP, a file that has changed, `POST /reload`: each has the settings read, and a generation built of them beside the
one in force. What cannot be read or built changes nothing, and is told in the log and by `/readyz?verbose` until it is
mended. Only one reload is under way at a time, and whatever asks for one meanwhile has another after it; so the last of
many writes is what is in force in the end.

With several workers, `fleet` decides for all of them, and here is only what one of them knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from gateway.errors import SettingsError
from gateway.runtime.changed_files import TICK
from gateway.runtime.current import Current
from gateway.runtime.source import Source
from gateway.tasks import stop
from gateway.telemetry.logs import log
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.reload import ReloadOutcome

Around = Callable[[], contextlib.AbstractContextManager[None]]
BUG = "a fault of the gateway itself, which is in the log"
"""Why settings are refused when an exception came that nobody expected."""


def tell(outcome: ReloadOutcome) -> None:
    """Tell the log, once for all workers: names of keys, never what they have."""
    if not outcome.applied:
        log.error(
            "reload_refused",
            reason=outcome.reason,
            advice="the settings of before stay in force; `gateway check` says what to mend",
        )
        return
    environment = {"from_environment": ", ".join(outcome.from_environment)} if outcome.from_environment else {}
    log.info("reloaded", changed=", ".join(outcome.changed) or "nothing in the settings themselves", **environment)
    if outcome.needs_restart:
        log.warning(
            "restart_needed",
            keys=", ".join(outcome.needs_restart),
            advice="these stay as they were until the gateway is restarted; all else is in force",
        )


class Reloads:
    """Reloads of a process that serves alone."""

    def __init__(self, source: Source | None, metrics: Metrics, reloading: Around = contextlib.nullcontext) -> None:
        """Each reload is within what `reloading` returns."""
        self.refused = ""
        self._reloading = reloading
        self._source = source
        self._metrics = metrics
        self._current: Current | None = None
        self._one_at_a_time = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, current: Current) -> None:
        """Begin to look for changes of what `current` serves by, within the event loop."""
        self._current = current
        if self._source is not None:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._look(current, self._source), name="changed files"),
                loop.create_task(self._follow(), name="reloads"),
            ]

    async def close(self) -> None:
        """Reload no more."""
        for task in self._tasks:
            await stop(task)

    def want(self) -> None:
        """Have a reload soon; many that are wanted meanwhile are one."""
        self._wanted.set()

    @property
    def has_source(self) -> bool:
        """Whether there is anything to read anew."""
        return self._source is not None

    async def reload(self) -> ReloadOutcome:
        """Read the settings, and put them in force unless they are refused; returns when that is done."""
        if self._source is None or self._current is None:
            return ReloadOutcome(applied=False, reason="these settings come from no file that could be read again")
        async with self._one_at_a_time:
            with self._reloading():
                outcome = await self._reload(self._current, self._source)
        self.refused = outcome.reason
        self._metrics.count_reload(applied=outcome.applied)
        tell(outcome)
        return outcome

    async def _reload(self, current: Current, source: Source) -> ReloadOutcome:
        try:
            candidate = await asyncio.to_thread(source.read, current.settings)
            current.put_in_force(await current.prepare(candidate.settings))
        except SettingsError as error:
            return ReloadOutcome(applied=False, reason=str(error))
        except Exception as error:  # noqa: BLE001 -- whatever it was, what is in force goes on
            log.error("bug", exc_info=error)
            return ReloadOutcome(applied=False, reason=BUG)
        return candidate.as_outcome()

    async def _look(self, current: Current, source: Source) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                async with self._one_at_a_time:
                    refused = bool(self.refused)
                    changed = await asyncio.to_thread(source.have_changed, current.settings, refused=refused)
            except Exception as error:  # noqa: BLE001 -- a bug in one look must not end all further ones
                log.error("bug", exc_info=error)
                continue
            if changed:
                self.want()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.reload()
