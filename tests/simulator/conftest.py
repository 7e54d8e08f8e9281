"""The simulator as an app's tests have it: by the fixture that comes with the package."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator


@pytest.fixture
def tiktok(tiktok_simulator: RunningSimulator) -> RunningSimulator:
    return tiktok_simulator


@pytest.fixture
def client() -> Generator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client
