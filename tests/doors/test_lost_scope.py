"""WebSockets on routes that ask for more: refused before the app is dialled, and closed when what they need is gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gateway.simulator import RunningSimulator
from tests.doors.test_policy import CHANGES, SCOPES, fast, sign_in, slow
from tests.harness import Browser, Running, asgi_form

Serve = Callable[..., contextlib.AbstractContextManager[Running]]
DOORS: dict[str, Serve] = {"fast": fast, "slow": slow, "asgi": asgi_form}
BASIC = ("user.info.basic", "user.info.profile")


def open_socket(running: Running, browser: Browser, path: str = "/videos") -> ClientConnection:
    cookie = {"cookie": f"gateway={browser.client.cookies['gateway']}"}
    return connect(running.url.replace("http", "ws") + path, additional_headers=cookie, origin=None, proxy=None)


@pytest.mark.parametrize("door", DOORS)
def test_a_socket_without_the_scope_is_refused(simulator: RunningSimulator, door: str) -> None:
    with DOORS[door](simulator, **CHANGES) as running, Browser(running.url) as browser:
        sign_in(browser, "dash", BASIC)
        for path in ("/videos", "/ids-and-videos"):
            with pytest.raises(InvalidStatus) as refused:
                open_socket(running, browser, path)
            assert refused.value.response.status_code == 403


@pytest.mark.parametrize("door", DOORS)
def test_a_socket_whose_scope_is_lost_is_closed(simulator: RunningSimulator, door: str) -> None:
    with (
        DOORS[door](simulator, **CHANGES) as running,
        Browser(running.url) as laptop,
        Browser(running.url) as phone,
    ):
        sign_in(laptop, "dash", tuple(SCOPES))
        with open_socket(running, laptop) as needs, open_socket(running, laptop, "/private/x") as needs_not:
            needs.recv(timeout=5)
            needs_not.recv(timeout=5)
            sign_in(phone, "dash", BASIC)
            lost_at = time.monotonic()
            with pytest.raises(ConnectionClosed) as closed:
                needs.recv(timeout=10)
            assert time.monotonic() < lost_at + 2.5
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4403
            needs_not.send("still here")
            assert needs_not.recv(timeout=5) == "still here"
