"""A client that hangs up is no fault of anybody's: nothing is told as one."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from gateway.web.exchange import Exchange
from tests.frames import ASKING
from tests.harness import slow_proxy_form
from tests.talk import Talk, compose


@pytest.mark.anyio
async def test_a_send_that_fails_says_that_the_client_has_left() -> None:
    async def send(message: MutableMapping[str, Any]) -> None:
        raise BrokenPipeError

    exchange = Exchange()
    with pytest.raises(OSError, match=r"^$"):
        await exchange.watch(send)({"type": "http.response.start", "status": 200})
    assert exchange.client_left


def leave_a_websocket(simulator: RunningSimulator) -> None:
    with slow_proxy_form(simulator) as running:
        assert running.generation is not None
        for when in ("at once", "once it is open"):
            with Talk(running.address) as talk:
                talk.say(compose(b"/public/socket", ASKING))
                if when == "once it is open":
                    assert talk.exactly(12) == b"HTTP/1.1 101"
                talk.vanish()
        give_up_at = time.monotonic() + 20
        while running.generation.live.count_websockets() and time.monotonic() < give_up_at:
            time.sleep(0.01)


def test_a_websocket_whose_client_vanishes_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    with run_simulator(SimulatorSettings()) as simulator:
        leave_a_websocket(simulator)
    assert not [record for record in caplog.records if "bug" in record.getMessage() or record.exc_info]
