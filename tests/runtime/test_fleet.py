"""All workers change, or none."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from gateway.errors import SettingsError
from gateway.runtime import fleet as fleets
from gateway.runtime.fleet import Answered, Decided, Fleet, Prepare, Told, Wanted
from gateway.runtime.source import Candidate, Source
from gateway.settings import Settings
from gateway.simulator import RunningSimulator
from tests.harness import read_settings


class Files(Source):
    """Settings that are there to be read, or are refused."""

    def __init__(self, found: Settings | str) -> None:
        super().__init__(None, {})
        self.found = found
        self.reads = 0

    def read(self, in_force: Settings) -> Candidate:
        self.reads += 1
        if isinstance(self.found, str):
            raise SettingsError(self.found)
        return Candidate(self.found, ("routes",), ())

    def have_changed(self, in_force: Settings, *, refused: bool) -> bool:
        return False


class Worker:
    """The other end of a link: says yes, or what it is to say, and notes what it hears until it is told the outcome."""

    def __init__(self, link: Connection, answer: Callable[[Worker, Prepare], None]) -> None:
        self.link = link
        self.heard: list[object] = []
        self._answer = answer
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def decisions(self) -> list[bool]:
        return [each.in_force for each in self.heard if isinstance(each, Decided)]

    @property
    def outcomes(self) -> list[Told]:
        self._thread.join(10)
        return [each for each in self.heard if isinstance(each, Told)]

    def _work(self) -> None:
        while not self.link.closed:
            try:
                heard = self.link.recv()
            except (EOFError, OSError):
                return
            self.heard.append(heard)
            if isinstance(heard, Prepare):
                self._answer(self, heard)
            elif isinstance(heard, Decided) and heard.in_force:
                self.link.send(Answered(heard.number))
            elif isinstance(heard, Told):
                return


def yes(worker: Worker, asked: Prepare) -> None:
    worker.link.send(Answered(asked.number))


def no(worker: Worker, asked: Prepare) -> None:
    worker.link.send(Answered(asked.number, "its certificate cannot be used"))


def die(worker: Worker, asked: Prepare) -> None:
    worker.link.close()


def say_nothing(worker: Worker, asked: Prepare) -> None:
    pass


@pytest.fixture
def old(simulator: RunningSimulator) -> Settings:
    return read_settings(simulator, "http://127.0.0.1:1")


@pytest.fixture
def new(simulator: RunningSimulator) -> Settings:
    return read_settings(simulator, "http://127.0.0.1:1", prefix="/auth")


def reload(fleet: Fleet) -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"x")
        fleet.want()
        fleet.turn(read)
    finally:
        os.close(read)
        os.close(write)


def test_when_all_can_all_change(old: Settings, new: Settings) -> None:
    fleet = Fleet(old, Files(new))
    workers = [Worker(fleet.join(number), yes) for number in range(3)]
    reload(fleet)
    assert [worker.outcomes[0].outcome.applied for worker in workers] == [True] * 3
    assert [worker.decisions for worker in workers] == [[True]] * 3
    assert fleet.settings == new


@pytest.mark.parametrize(
    ("fault", "reason"), [(no, "its certificate"), (die, "a worker has ended"), (say_nothing, "has not answered")]
)
def test_when_one_cannot_none_changes(
    old: Settings,
    new: Settings,
    fault: Callable[[Worker, Prepare], None],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault is say_nothing:
        monkeypatch.setattr(fleets, "PATIENCE", 0.2)
    fleet = Fleet(old, Files(new))
    able = [Worker(fleet.join(number), yes) for number in range(2)]
    Worker(fleet.join(2), fault)
    reload(fleet)
    for worker in able:
        told = worker.outcomes[0].outcome
        assert not told.applied
        assert reason in told.reason
        assert worker.decisions == [False]
    assert fleet.settings == old


def test_what_cannot_be_read_is_not_even_asked_for(old: Settings) -> None:
    fleet = Fleet(old, Files("routes[0] cannot be used"))
    worker = Worker(fleet.join(0), yes)
    reload(fleet)
    assert worker.outcomes[0].outcome.reason == "routes[0] cannot be used"
    assert not any(isinstance(each, Prepare) for each in worker.heard)


def test_who_asks_is_answered_by_a_reload_that_began_after_they_asked(old: Settings, new: Settings) -> None:
    """What is asked for while one is under way has another: the files may have changed since they were read."""

    def ask_and_say_yes(worker: Worker, asked: Prepare) -> None:
        worker.link.send(Wanted(7))
        yes(worker, asked)

    files = Files(new)
    fleet = Fleet(old, files)
    worker = Worker(fleet.join(0), ask_and_say_yes)
    reload(fleet)
    assert worker.outcomes[0].asked == ()
    assert files.reads == 1
    again = Worker(worker.link, yes)
    read, write = os.pipe()
    os.write(write, b"x")
    fleet.turn(read)
    assert again.outcomes[0].asked == (7,)
    assert files.reads == 2
    os.close(read)
    os.close(write)


def test_a_late_answer_is_of_no_other_reload(old: Settings, new: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "PATIENCE", 0.2)
    fleet = Fleet(old, Files(new))
    late = Worker(fleet.join(0), say_nothing)
    reload(fleet)
    assert not late.outcomes[0].outcome.applied
    late.link.send(Answered(1))
    silent = Worker(late.link, say_nothing)
    reload(fleet)
    assert not silent.outcomes[0].outcome.applied
    assert fleet.settings == old
