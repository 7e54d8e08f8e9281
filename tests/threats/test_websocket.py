"""WebSockets through the gateway: guarded before the upstream is dialled, relayed whole, closed at sign-out."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.harness import Browser, Running


def dial(gateway: Running, browser: Browser | None = None, **headers: str) -> ClientConnection:
    if browser is not None:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    url = gateway.url.replace("http://", "ws://") + "/private/socket"
    return connect(url, additional_headers=headers, proxy=None, open_timeout=10)


def test_nobody_gets_401(gateway: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(gateway)
    assert refused.value.response.status_code == 401


def test_another_site_gets_403(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in()
        with pytest.raises(InvalidStatus) as refused:
            dial(gateway, browser, Origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_messages_and_identity_pass(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in()
        with dial(gateway, browser, Origin=gateway.url, **{"X-TikTok-Open-Id": "evil"}) as websocket:
            headers = dict(json.loads(websocket.recv(timeout=10)))
            assert headers["x-tiktok-open-id"] not in {"", "evil"}
            assert "gateway=" not in headers.get("cookie", "")
            for message in ("text", b"\x00binary\xff", "x" * 300_000):
                websocket.send(message)
                assert websocket.recv(timeout=10) == message


def test_a_sign_out_closes_it(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in()
        with dial(gateway, browser, Origin=gateway.url) as websocket:
            websocket.recv(timeout=10)
            browser.fetch("/oauth2/sign_out", method="POST")
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
