"""Reloads of several workers: all of them change, or none (two-phase commit).

The parent reads the files once. Each worker builds what is to take over, and says whether it can. Only when all have
said yes are they told to put it in force; at a single no, at silence or at an end, all let it be. Whoever takes a dead
worker's place begins with the settings in force, whatever the files say by then.
"""

from __future__ import annotations

import contextlib
import time
from multiprocessing.connection import Connection, Pipe, wait
from typing import Final

import msgspec

from gateway.errors import SettingsError
from gateway.runtime.changed_files import TICK
from gateway.runtime.reload import BUG, Around, tell
from gateway.runtime.source import Candidate, Source
from gateway.settings import Settings
from gateway.telemetry.logs import configure_logs, log
from gateway.web.admin.reload import ReloadOutcome

PATIENCE: Final = 30.0
"""Seconds that a worker may take to say whether it can."""
_ENDED: Final = "a worker has ended while it was to change, so none has changed"


class Prepare(msgspec.Struct, frozen=True):
    """To a worker: build this, and say whether you can. `number` counts reloads."""

    number: int
    settings: Settings


class Decided(msgspec.Struct, frozen=True):
    """To a worker: put in force what you have built, or let it be."""

    number: int
    in_force: bool


class Told(msgspec.Struct, frozen=True):
    """To a worker: what became of a reload, which it had asked for with these numbers."""

    outcome: ReloadOutcome
    asked: tuple[int, ...]


class Wanted(msgspec.Struct, frozen=True):
    """From a worker: somebody asks for a reload. `asked` counts what it asks."""

    asked: int


class Answered(msgspec.Struct, frozen=True):
    """From a worker: done as told; or why not."""

    number: int
    refusal: str = ""


class Fleet:
    """The workers, as far as settings go; `settings` are those in force."""

    def __init__(self, settings: Settings, source: Source | None, reloading: Around = contextlib.nullcontext) -> None:
        """Each reload is within what `reloading` returns."""
        self._reloading = reloading
        self.settings = settings
        self._source = source
        self._links: dict[int, Connection] = {}
        self._refused = ""
        self._wanted = False
        self._asked: list[tuple[int, int]] = []  # worker, and the number of what it asks
        self._number = 0
        self._tried_again = False  # since a worker ended in the middle of it

    def join(self, worker: int) -> Connection:
        """Return a new worker's end of a link to here; whoever forks closes it here."""
        self.leave(worker)
        self._links[worker], theirs = Pipe()
        return theirs

    def leave(self, worker: int) -> None:
        """Forget a worker that has ended."""
        if (link := self._links.pop(worker, None)) is not None:
            link.close()

    def want(self) -> None:
        """Have a reload soon."""
        self._wanted = True

    def turn(self, woken: int) -> None:
        """Wait for what workers say, for a look at the files, or for something to read from `woken`; do what is due."""
        ready = wait([*self._links.values(), woken], TICK if self._source is not None else None)
        for worker, link in tuple(self._links.items()):
            if link in ready:
                self._hear(worker)
        if self._source is None:
            return
        if self._source.have_changed(self.settings, refused=bool(self._refused)):
            self._wanted = True
        if self._wanted or self._asked:
            with self._reloading():
                self._reload(self._source)

    def _reload(self, source: Source) -> None:
        asked, self._asked, self._wanted = self._asked, [], False
        try:
            candidate = source.read(self.settings)
            refusal = self._change_all(candidate)
        except SettingsError as error:
            refusal = str(error)
        except Exception as error:  # noqa: BLE001 -- whatever it was, what is in force goes on
            log.error("bug", exc_info=error)
            refusal = BUG
        self._refused = refusal
        # an end that may have had nothing to do with it; were it the settings' doing, it would go on for ever
        again = self._tried_again = refusal == _ENDED and not self._tried_again
        self._wanted = self._wanted or again  # SIGHUP may have come meanwhile
        outcome = ReloadOutcome(applied=False, reason=refusal)
        if not refusal:
            outcome = candidate.as_outcome()
        tell(outcome)
        for worker in tuple(self._links):
            self._send(worker, Told(outcome, tuple(number for whose, number in asked if whose == worker)))

    def _change_all(self, candidate: Candidate) -> str:
        """Have every worker change; returns why none does, "" when all do."""
        self._number += 1
        workers = tuple(self._links)
        for worker in workers:
            self._send(worker, Prepare(self._number, candidate.settings))
        refusal = self._collect(workers)
        if not refusal:
            before, self.settings = self.settings.log, candidate.settings
            if self.settings.log != before:
                configure_logs(self.settings.log.format, self.settings.log.level, shared=True)
        for worker in workers:
            self._send(worker, Decided(self._number, in_force=not refusal))
        if not refusal:
            self._collect(workers)  # whoever ends meanwhile is replaced, with the new settings
        return refusal

    def _collect(self, workers: tuple[int, ...]) -> str:
        """Wait until all have answered, or one cannot; returns why, "" when all can."""
        pending, until = set(workers), time.monotonic() + PATIENCE
        while pending:
            if not pending <= self._links.keys():
                return _ENDED
            left = until - time.monotonic()
            ready = wait([self._links[each] for each in pending], max(0.0, left))
            if not ready and left <= 0:
                return f"a worker has not answered within {PATIENCE:g} s, so none has changed"
            for worker in tuple(pending):
                answer = self._hear(worker) if self._links[worker] in ready else None
                if answer is not None and answer.number == self._number:
                    if answer.refusal:
                        return answer.refusal
                    pending.discard(worker)
        return ""

    def _hear(self, worker: int) -> Answered | None:
        """Take what a worker says next."""
        try:
            said = self._links[worker].recv()
        except (EOFError, OSError):
            self.leave(worker)
            return None
        if isinstance(said, Wanted):
            self._asked.append((worker, said.asked))
        return said if isinstance(said, Answered) else None

    def _send(self, worker: int, message: object) -> None:
        if (link := self._links.get(worker)) is not None:
            with contextlib.suppress(OSError):  # it has ended: that is heard, and seen
                link.send(message)
