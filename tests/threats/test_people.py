"""People with awkward names: TikTok hands on what they call themselves, and a header is one line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.simulator import Person, RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import WAYS, Browser
from tests.threats.guarded import Guarded, guard_app, guard_upstream
from tests.threats.identity import identity_of

VISIBLE = re.compile(rb"[\x21-\x7e]+")

NAMES = {
    "crlf": "Mal\r\nX-TikTok-Open-Id: evil",
    "splitting": "x\r\n\r\nGET /denied/x HTTP/1.1\r\nHost: app.example\r\n\r\n",
    "lf": "a\nX-TikTok-Open-Id: evil",
    "cr": "a\rX-TikTok-Open-Id: evil",
    "nul": "a\x00b",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029",
    "emoji": "\U0001f98a\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "right to left": "\u202eevil\u202c",
    "accents, composed and not": "\u00e9e\u0301",
    "encoded": "%0d%0aX-TikTok-Open-Id:%20evil",
    "percent": "100%",
    "spaces": "  a  ",
    "one space": " ",
    "empty": "",
    "markup": "<script>alert(1)</script>\"'&",
    "list": 'a, b; c="d"',
    "8 KB": "a" * 8192,
    "8 KB of emoji": "\U0001f98a" * 8192,
    "8 KB of line breaks": "\r\n" * 4096,
    "a megabyte": "\u674e" * 350_000,
}
PLAIN = Person("_000people", "Plain", "plain", "union")


def awkward_people() -> dict[str, Person]:
    people = {
        f"name: {key}": dataclasses.replace(PLAIN, open_id=f"_000{number}", display_name=name)
        for number, (key, name) in enumerate(NAMES.items())
    }
    for key in ("crlf", "splitting", "controls", "emoji", "markup", "8 KB"):
        for field in ("username", "union_id", "avatar_url"):
            own: dict[str, Any] = {"open_id": f"_{field}_{key.replace(' ', '_')}", field: NAMES[key]}
            people[f"{field}: {key}"] = dataclasses.replace(PLAIN, **own)
    return people


PEOPLE = awkward_people()


@pytest.fixture(scope="module")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        running.simulator.people = PEOPLE
        yield running


@pytest.fixture(scope="module", params=[*WAYS, "inside"])
def town(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    """A gateway whose visitors are these people."""
    way: str = request.param
    with guard_upstream(simulator, way) if way in WAYS else guard_app(simulator, "httptools") as guarded:
        yield guarded


@pytest.mark.parametrize("person", PEOPLE)
def test_whatever_somebody_is_called_the_app_gets_headers_of_one_visible_line(town: Guarded, person: str) -> None:
    with Browser(town.running.url) as browser:
        answer = browser.sign_in(person=person)
        assert answer.status_code == 200, answer.text
        (seen,) = town.behind.take()
        told = dict(identity_of(seen.fields))
        assert len(told) == len(identity_of(seen.fields))
        assert told[b"x-tiktok-open-id"] == PEOPLE[person].open_id.encode()
        for name, value in told.items():
            assert VISIBLE.fullmatch(value), (name, value)
            assert len(value) <= 4096 or name in {b"x-tiktok-union-id", b"x-tiktok-username"}  # a key is whole or none
        assert_decodes_to(PEOPLE[person].display_name, told.get(b"x-tiktok-display-name", b"").decode())
        for page in ("account", "userinfo", "sign_out"):
            shown = browser.navigate(f"/oauth2/{page}")
            assert shown.status_code == 200, shown.text
            assert page == "userinfo" or "<script>" not in shown.text


def assert_decodes_to(name: str, value: str) -> None:
    """A display name decodes to itself or, where it is very long, to its beginning."""
    decoded = unquote(value, errors="strict")
    assert name.startswith(decoded)
    assert decoded == name or len(decoded) >= 64
