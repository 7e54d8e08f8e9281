"""Every server, at the root and below `/app`; each is started once for all scenarios."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import Browser
from tests.servers.starters import SERVERS, Server, Serving, serve

PLACES = [(server, mount) for server in SERVERS for mount in ("", "/app")]


@pytest.fixture(scope="session")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: f"{place[0]}{place[1].replace('/', '-')}")
def serving(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Serving]:
    place: tuple[Server, str] = request.param
    with serve(*place, simulator) as serving:
        yield serving


@pytest.fixture(scope="module")
def person(serving: Serving) -> Generator[Browser]:
    """Somebody who is signed in, and stays so."""
    with Browser(serving.base) as browser:
        assert browser.sign_in("/private/x").status_code == 200
        yield browser
