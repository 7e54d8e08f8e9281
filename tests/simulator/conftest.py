"""A simulator that serves, as it is on a good day."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings, run_in_thread


@pytest.fixture(scope="module")
def serving() -> Generator[RunningSimulator]:
    with run_in_thread(SimulatorSettings()) as running:
        yield running


@pytest.fixture
def tiktok(serving: RunningSimulator) -> Generator[RunningSimulator]:
    serving.simulator.reset()
    yield serving
    serving.simulator.reset()


@pytest.fixture
def client() -> Generator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client
