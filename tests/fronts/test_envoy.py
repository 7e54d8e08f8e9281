"""Envoy by `ext_authz` over HTTP, with the file that users copy."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.scenarios import SETTINGS, Scenarios
from tests.fronts.starting import CONFIG, Front, Places, replaced, run_front, serve_front
from tests.programs import need

SHIPPED = CONFIG / "envoy" / "envoy.yaml"


@contextlib.contextmanager
def begin_envoy(places: Places, folder: Path) -> Generator[None]:
    """Run Envoy with the shipped file."""
    program = need("envoy")
    port = {name: address.rpartition(":")[2] for name, address in places.__dict__.items()}
    text = replaced(
        SHIPPED.read_text(),
        (
            ("address: 0.0.0.0, port_value: 80}", f"address: 127.0.0.1, port_value: {port['front']}}}"),
            ("port_value: 8080}", f"port_value: {port['gateway']}}}"),
            ("port_value: 8081}", f"port_value: {port['checks']}}}"),
            ("port_value: 3000}", f"port_value: {port['app']}}}"),
        ),
    )
    file = folder / "envoy.yaml"
    file.write_text(text)
    command = [program, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    with run_front(command, f"http://{places.front}/oauth2/livez"):
        yield


@pytest.fixture(scope="module")
def front(simulator: RunningSimulator) -> Generator[Front]:
    with serve_front(begin_envoy, simulator, **SETTINGS) as running:
        yield running


class TestEnvoy(Scenarios):
    """It makes an answer of its own of whatever is above 499, and refuses some of what others take away."""

    tells_when_to_retry = False
    loses = frozenset({"Cookie"})
    refuses = frozenset({"X-Forwarded-Host, Host", "X-Forwarded-For, Host"})
    refuses_upgrades = frozenset({"foo"})
    picks_websocket = True
