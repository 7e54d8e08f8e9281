"""Caddy by `forward_auth`, with the file that users copy."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import CONFIG, Front, Places, replaced, run_front, serve_front
from tests.programs import need

SHIPPED = CONFIG / "caddy" / "Caddyfile"


@contextlib.contextmanager
def begin_caddy(places: Places, folder: Path) -> Generator[None]:
    """Run Caddy with the shipped file."""
    program = need("caddy")
    text = replaced(
        SHIPPED.read_text(),
        (
            ("app.example.com {", f"http://{places.front} {{\n\tbind 127.0.0.1"),
            ("127.0.0.1:8080 ", places.gateway + " "),
            ("127.0.0.1:8081 {", places.checks + " {"),
            ("127.0.0.1:3000 ", places.app + " "),
        ),
    )
    file = folder / "Caddyfile"
    file.write_text("{\n\tadmin off\n\tpersist_config off\n}\n" + text)
    command = [program, "run", "--config", str(file)]
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with run_front(command, f"http://{places.front}/oauth2/livez", environ=home):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_caddy, simulator, **SETTINGS) as running:
        yield running


class TestCaddy(Scenarios):
    """It differs in nothing."""
