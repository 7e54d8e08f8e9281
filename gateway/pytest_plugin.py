"""A pytest plugin: the fixture `tiktok_simulator`, for the tests of any app.

    def test_sign_in(tiktok_simulator, client):
        callback = consent(client.get("/login").headers["location"], person="emoji")
        assert client.get(callback).status_code == 302

It is loaded wherever this package is installed, and imports nothing until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gateway.simulator import RunningSimulator, SimulatorSettings


@pytest.fixture(scope="session")
def tiktok_simulator_settings() -> SimulatorSettings:
    """Return the app that is registered; have a fixture of this name of your own to register yours."""
    from gateway.simulator import SimulatorSettings

    return SimulatorSettings()


@pytest.fixture(scope="session")
def tiktok_simulator_server(tiktok_simulator_settings: SimulatorSettings) -> Generator[RunningSimulator]:
    """Run the simulator in a thread, on a free port, as long as the tests run."""
    from gateway.simulator import run_in_thread

    with run_in_thread(tiktok_simulator_settings) as running:
        yield running


@pytest.fixture
def tiktok_simulator(tiktok_simulator_server: RunningSimulator) -> Generator[RunningSimulator]:
    """Return the simulator as it is on a good day: it knows nothing of other tests."""
    tiktok_simulator_server.simulator.reset()
    yield tiktok_simulator_server
    tiktok_simulator_server.simulator.reset()
