"""`gateway simulator --config FILE`: apps, people and switches as YAML."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway.simulator.apps import App, SimulatorSettings
from gateway.simulator.people import PEOPLE, Person
from gateway.simulator.state import Simulator
from gateway.simulator.videos import MOST_VIDEOS

T = TypeVar("T", App, Person)


class WrongFile(Exception):
    """The file cannot be used; the text says where it is wrong, and how."""


class SimulatorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What such a file may have."""

    apps: tuple[dict[str, Any], ...] = ({},)
    """Each may have the fields of `App`."""
    people: dict[str, dict[str, Any]] | None = None
    """By name. Each may have the fields of `Person`; what is left out is made of the name."""
    troubles: dict[str, Any] = {}
    """The switches, as they are after each reset."""


def read_file(path: Path) -> SimulatorFile:
    """Return what a file says. Raises `WrongFile`."""
    try:
        text = path.read_text("utf-8")
        told = YAML(typ="safe", pure=True).load(io.StringIO(text))
        return msgspec.convert({} if told is None else told, SimulatorFile)
    except (OSError, UnicodeDecodeError, YAMLError, msgspec.ValidationError) as error:
        raise WrongFile(f"{path}: {error}") from error


def build_simulator(told: SimulatorFile, **changes: Any) -> Simulator:
    """Return a simulator by a file; `changes` are fields of its first app. Raises `WrongFile`."""
    if not told.apps:
        raise WrongFile("apps: there must be one")
    first, *others = [_read(App, facts, f"apps[{number}]") for number, facts in enumerate(told.apps)]
    people = PEOPLE
    if told.people is not None:
        people = {name: _build_person(name, facts) for name, facts in told.people.items()}
    if not people:
        raise WrongFile("people: there must be somebody")
    facts = dataclasses.asdict(first) | changes
    simulator = Simulator(SimulatorSettings(**facts, more_apps=tuple(others), people=people))
    try:
        simulator.troubles.keep(told.troubles)
    except ValueError as error:
        raise WrongFile(f"troubles: {error}") from error
    return simulator


def _build_person(name: str, facts: dict[str, Any]) -> Person:
    made_of_name = {"open_id": f"_000{name}", "display_name": name, "username": name}
    person = _read(Person, made_of_name | facts, f"people.{name}")
    if not 0 <= person.video_count <= MOST_VIDEOS:
        raise WrongFile(f"people.{name}.video_count: from 0 to {MOST_VIDEOS}")
    return person


def _read(kind: type[T], facts: dict[str, Any], where: str) -> T:
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := [name for name in facts if name not in known]:
        raise WrongFile(f"{where}: there is no field `{unknown[0]}`; there are {', '.join(known)}")
    try:
        return msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        raise WrongFile(f"{where}: {error}") from error
