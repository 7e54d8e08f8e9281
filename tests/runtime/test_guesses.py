"""Guesses at operators' keys: workers, and generations of settings, give no more of them than one process would."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from gateway.flows.wrong_keys import OF_NETWORK, WINDOW
from gateway.simulator import RunningSimulator
from tests.redis_server import run_redis
from tests.runtime.reloading import Reloadable
from tests.waiting import wait_for


@pytest.mark.parametrize("workers", ["1", "2"])
def test_they_are_counted_over_a_reload(
    tmp_path: Path, simulator: RunningSimulator, upstream: str, workers: str
) -> None:
    """With a Redis of its own: whoever comes next from this address would be kept out, too."""
    with run_redis() as redis:
        gateway = Reloadable(tmp_path, simulator, upstream, redis.url, "--workers", workers)

        def guess() -> int:
            said = {"origin": gateway.admin, "sec-fetch-site": "same-origin"}
            form = {"key": "x" * 40, "to": "/admin"}
            return httpx.post(f"{gateway.admin}/admin/sign_in", data=form, headers=said, trust_env=False).status_code

        with gateway.run():
            wait_for(lambda: time.time() % WINDOW < WINDOW / 2, "half of the window is left")
            before = [guess() for _ in range(OF_NETWORK)]
            assert gateway.change(limits={"header_count": 99})["applied"]
            assert before + [guess() for _ in range(OF_NETWORK)] == [403] * OF_NETWORK + [429] * OF_NETWORK
