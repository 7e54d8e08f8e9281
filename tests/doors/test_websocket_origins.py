"""WebSockets that pages of other origins open: refused, unless the route names the origin."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.simulator import RunningSimulator
from tests.doors.test_slashes import proxy, slow_proxy
from tests.harness import Browser, Running, asgi_form

ROUTES = """[
  {path: /open/**, access: public, allowed_origins: [https://www.example.com, "capacitor://localhost"]},
  {path: /live/**, allowed_origins: [https://www.example.com]},
  {path: /public/**, access: public},
  {path: /**}
]"""


@pytest.fixture(scope="module", params=[proxy, slow_proxy, asgi_form], ids=["proxy", "slow-proxy", "asgi"])
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with request.param(simulator, routes=ROUTES) as running:
        yield running


def status(gateway: Running, path: str, origin: str, *, cookie: str = "", site: str = "cross-site") -> int:
    """Shake hands; returns 101 or the status of the refusal."""
    headers = {"Origin": origin, "Sec-Fetch-Site": site} | ({"Cookie": cookie} if cookie else {})
    try:
        with connect(gateway.url.replace("http", "ws") + path, proxy=None, additional_headers=headers) as socket:
            assert socket.recv()
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(
    ("path", "origin", "expected"),
    [
        ("/open/x", "https://www.example.com", 101),
        ("/open/x", "capacitor://localhost", 101),
        ("/open/x", "https://www.example.com:8443", 403),
        ("/open/x", "http://www.example.com", 403),
        ("/open/x", "https://evil.example", 403),
        ("/open/x", "null", 403),
        ("/public/x", "https://www.example.com", 403),
        ("/live/x", "https://www.example.com", 401),  # nobody is signed in
    ],
)
def test_only_origins_that_the_route_names(gateway: Running, path: str, origin: str, expected: int) -> None:
    assert status(gateway, path, origin) == expected


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_with_a_session(gateway: Running, site: str) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/live/x")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    assert status(gateway, "/live/x", "https://www.example.com", cookie=cookie, site=site) == 101
    assert status(gateway, "/live/x", "https://evil.example", cookie=cookie, site=site) == 403
    assert status(gateway, "/other/x", "https://www.example.com", cookie=cookie, site=site) == 403
    assert status(gateway, "/other/x", gateway.url, cookie=cookie, site="same-origin") == 101


def test_it_opens_nothing_else_to_that_origin(gateway: Running) -> None:
    headers = {"Origin": "https://www.example.com", "Sec-Fetch-Site": "cross-site"}
    with Browser(gateway.url) as browser:
        browser.sign_in("/live/x")
        assert browser.fetch("/oauth2/sign_out", method="POST", headers=headers).status_code == 403
