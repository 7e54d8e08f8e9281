"""A WebSocket outlives the proof that it was opened with, but not for ever: else a thief's would, too."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.core.frames import GOING_AWAY
from tests.device_binding.browser import DeviceBrowser


@pytest.mark.parametrize("running", ["fast"], indirect=True)  # the slow way of these tests has no WebSockets
def test_a_socket_is_closed_long_after_its_proof(
    browser: DeviceBrowser, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_socket(browser, context) as socket, monkeypatch.context() as patched:
        socket.recv()  # what the app was told
        socket.send("one")
        assert socket.recv() == "one"
        patched.setattr("gateway.flows.live.SOCKET_LASTS", timedelta(minutes=-12))  # the proof is over by then
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == GOING_AWAY
    with open_socket(browser, context) as again:
        assert again.recv()


def open_socket(browser: DeviceBrowser, context: ssl.SSLContext) -> ClientConnection:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    address = browser.url.replace("https:", "wss:") + "/private/ws"
    return connect(address, additional_headers={"Cookie": cookies}, ssl=context, proxy=None)
