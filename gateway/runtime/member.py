"""Reloads as one of several workers knows them: its parent decides for all (see `fleet`)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from multiprocessing.connection import Connection

from gateway.errors import SettingsError
from gateway.runtime.current import Current, Prepared
from gateway.runtime.fleet import Answered, Decided, Prepare, Told, Wanted
from gateway.runtime.reload import BUG
from gateway.tasks import OwnedTask
from gateway.telemetry.logs import log
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.reload import ReloadOutcome


class Member:
    """One worker's end of the link to its parent."""

    def __init__(self, link: Connection, metrics: Metrics) -> None:
        self.refused = ""
        self._link = link
        self._metrics = metrics
        self._current: Current | None = None
        self._prepared: dict[int, Prepared] = {}  # by the number of the reload
        self._decided = 0  # the last reload of which it is known what becomes of it
        self._preparing: OwnedTask | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ReloadOutcome]] = {}

    def start(self, current: Current) -> None:
        """Begin to listen to the parent, within the event loop."""
        self._current = current
        asyncio.get_running_loop().add_reader(self._link.fileno(), self._hear)

    async def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._link.fileno())
        if self._preparing is not None:
            self._preparing.cancel()

    async def reload(self) -> ReloadOutcome:
        """Have the parent reload; returns what became of it."""
        number = next(self._numbers)
        outcome: asyncio.Future[ReloadOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[number] = outcome
        try:
            self._link.send(Wanted(number))
            return await outcome
        except OSError:
            return ReloadOutcome(applied=False, reason="the parent of the workers is gone")
        finally:
            del self._waiting[number]

    def _hear(self) -> None:
        """Take what the parent says next; when it is gone, others see to the end (`stop_with_parent`)."""
        current = self._current
        try:
            said = self._link.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._link.fileno())
            return
        if isinstance(said, Prepare) and current is not None:
            self._preparing = OwnedTask(self._prepare(current, said), lambda error: log.error("bug", exc_info=error))
        elif isinstance(said, Decided) and current is not None:
            self._decide(current, said)
        elif isinstance(said, Told):
            self._note(said)

    async def _prepare(self, current: Current, asked: Prepare) -> None:
        refusal = ""
        try:
            prepared = await current.prepare(asked.settings)
        except SettingsError as error:
            refusal = str(error)
        except Exception as error:  # noqa: BLE001 -- whatever it was, what is in force goes on
            log.error("bug", exc_info=error)
            refusal = BUG
        else:
            if self._decided >= asked.number:  # without us: another could not
                await prepared.generation.close()
                return
            self._prepared[asked.number] = prepared
        self._say(Answered(asked.number, refusal))

    def _decide(self, current: Current, decided: Decided) -> None:
        self._decided = decided.number
        prepared = self._prepared.pop(decided.number, None)
        if prepared is None:
            return
        if decided.in_force:
            current.put_in_force(prepared)
            self._say(Answered(decided.number))
        else:
            self._preparing = OwnedTask(prepared.generation.close(), lambda error: log.error("bug", exc_info=error))

    def _say(self, answered: Answered) -> None:
        with contextlib.suppress(OSError):  # the parent is gone, and so will we be
            self._link.send(answered)

    def _note(self, told: Told) -> None:
        self.refused = told.outcome.reason
        self._metrics.count_reload(applied=told.outcome.applied)
        for number in told.asked:
            outcome = self._waiting.get(number)
            if outcome is not None and not outcome.done():
                outcome.set_result(told.outcome)
