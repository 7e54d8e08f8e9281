"""The real browser behind nginx and Caddy, which speak TLS and ask the gateway, or hand everything on.

A front must pass what browsers say and hear at `/oauth2/device/`, and hand on the page for those who have no proof.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext

from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.test_chromium import PROOF, arrive, chromium, count, fetch, outlive, sign_in
from tests.device_binding.windows import open_window
from tests.fronts.starting import CONFIG, Places, replaced, run_front
from tests.harness import NAVIGATION, SAME_ORIGIN, Running, echo, serve_app, serve_gateway
from tests.nginx import SHIPPED, run_nginx
from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for

__all__ = ["chromium"]

LASTS = timedelta(seconds=2)
SLACK = timedelta(seconds=1)

Begin = Callable[[Places, tuple[Path, Path]], contextlib.AbstractContextManager[object]]


def begin_nginx(places: Places, files: tuple[Path, Path]) -> contextlib.AbstractContextManager[object]:
    """nginx with the file that users copy, which asks the gateway."""
    tls = f"listen {places.front} ssl; ssl_certificate {files[0]}; ssl_certificate_key {files[1]};"
    changes = (
        ("server 127.0.0.1:8080;", f"server {places.gateway};"),
        ("server 127.0.0.1:8081;", f"server {places.checks};"),
        ("server 127.0.0.1:3000;", f"server {places.app};"),
        ("listen 80;", tls),
        ("server_name app.example.com;", "server_name app.test;"),
        ("/var/log/nginx/", "@{folder}/"),
    )
    return run_nginx(replaced(SHIPPED.read_text(), changes), f"http://{places.gateway}/oauth2/livez")


def begin_caddy(places: Places, files: tuple[Path, Path]) -> contextlib.AbstractContextManager[object]:
    """Caddy with the file that users copy, which asks the gateway; browsers speak HTTP/2 with it."""
    text = (CONFIG / "caddy" / "Caddyfile").read_text()
    changes = (
        ("127.0.0.1:8080 ", places.gateway + " "),
        ("127.0.0.1:8081 {", places.checks + " {"),
        ("127.0.0.1:3000 ", places.app + " "),
    )
    return run_caddy(replaced(text, changes), places, files)


def begin_caddy_handing_on(places: Places, files: tuple[Path, Path]) -> contextlib.AbstractContextManager[object]:
    """Caddy that knows of the gateway alone, with the fewest words."""
    return run_caddy(f"app.example.com {{\n\treverse_proxy {places.gateway}\n}}\n", places, files)


@contextlib.contextmanager
def run_caddy(text: str, places: Places, files: tuple[Path, Path]) -> Generator[None]:
    program, port = need("caddy"), places.front.rpartition(":")[2]
    site = f"https://app.test:{port} {{\n\tbind 127.0.0.1\n\ttls {files[0]} {files[1]}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "Caddyfile")
        options = "{\n\tadmin off\n\tpersist_config off\n\tauto_https disable_redirects\n}\n"
        file.write_text(options + replaced(text, [("app.example.com {", site)]))
        home = {"XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        command = [program, "run", "--config", str(file)]
        with run_front(command, f"http://{places.gateway}/oauth2/livez", environ=home):
            yield


@dataclass(frozen=True)
class Way:
    """A front, and what it has of the gateway."""

    begin: Begin
    asks: bool


WAYS = {
    "nginx asks": Way(begin_nginx, asks=True),
    "Caddy asks": Way(begin_caddy, asks=True),
    "Caddy hands on": Way(begin_caddy_handing_on, asks=False),
}
"""nginx that hands on is in `test_fifty_expiries.py`."""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.flows.device_proofs.GRACE", SLACK)
    monkeypatch.setattr("gateway.core.device_binding.SKEW", SLACK)
    monkeypatch.setattr("gateway.settings.session.SHORTEST_PROOF", LASTS)


@pytest.fixture(params=list(WAYS))
def running(
    request: pytest.FixtureRequest, brief: None, simulator: RunningSimulator, issued: Issued, tmp_path: Path
) -> Generator[Running]:
    """A gateway behind a front, by the front's address."""
    way, port = WAYS[request.param], free_port()
    changes = {
        "public_url": f"https://app.test:{port}",
        "trusted_proxies": '["127.0.0.1"]',
        "session__device_binding": "on",
        "session__device_proof_lifetime": f"{LASTS.seconds}s",
    } | ({"forward_auth__listen": "127.0.0.1:0"} if way.asks else {})
    with (
        serve_app(echo) as upstream,
        serve_gateway(simulator, "none" if way.asks else upstream, **changes) as gateway,
    ):
        bare = [each.removeprefix("http://") for each in (gateway.url, gateway.checks, upstream)]
        with way.begin(Places(f"127.0.0.1:{port}", *bare), issued.write(tmp_path)):
            yield Running(f"https://app.test:{port}", gateway.settings, simulator, gateway.generation)


@pytest.fixture
def context(chromium: Browser, running: Running) -> Generator[BrowserContext]:
    """A window of its own, closed before the front is."""
    with open_window(chromium) as context:
        yield context


SAYS = """() => new Promise((done) => {
  const socket = new WebSocket(`wss://${location.host}/private/ws`)
  socket.onmessage = (told) => { socket.close(); done(told.data) }
  socket.onclose = () => done("closed")
})"""
POSTS = """async () => (await (await fetch("/private/x", {method: "POST", body: "a=1"})).json()).body"""


def steal(context: BrowserContext, running: Running) -> httpx.Client:
    """Return another client, with the cookies of a browser."""
    host = running.url.removeprefix("https://")
    cookies = "; ".join(f"{each.get('name')}={each.get('value')}" for each in context.cookies(running.url))
    assert PROOF in cookies
    address = running.url.replace("app.test", "127.0.0.1")
    # the front's certificate is for the name, which nobody resolves here
    return httpx.Client(base_url=address, headers={"host": host, "cookie": cookies}, verify=False, trust_env=False)


def test_a_browser_goes_on_and_a_copy_does_not(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    sign_in(page, running)
    told = json.loads(page.inner_text("body"))["headers"]
    assert "x-tiktok-open-id" in dict(told)
    assert not [value for name, value in told if "__Host-gateway" in value or "secure-session" in name]
    outlive(page)
    assert fetch(page, "/private/x") == 200
    with steal(context, running) as thief:
        wait_for(lambda: thief.get("/private/x").status_code == 401, "the end of what was stolen")
        refused = thief.get("/private/x", headers=SAME_ORIGIN)
        assert (refused.status_code, refused.json()["code"]) == (401, "device_proof_missing")
        assert "set-cookie" not in refused.headers
        shown = thief.get("/private/x?a=1", headers=NAVIGATION)
        assert (shown.status_code, shown.headers["refresh"]) == (401, "15")
        assert "Confirming your device" in shown.text
        assert thief.get("/oauth2/account", headers=NAVIGATION).status_code == 401
        outlive(page)
        assert arrive(page, running.url + "/private/y") == 200
        outlive(page)
        assert page.evaluate(POSTS) == "a=1"
        outlive(page)
        assert "x-tiktok-open-id" in page.evaluate(SAYS)
        assert thief.get("/private/x").status_code == 401
    page.goto("data:text/html,<p>elsewhere")
    outlive(page)
    page.evaluate(f"location.href = {json.dumps(running.url + '/private/linked?a=1')}")
    page.wait_for_url(running.url + "/private/linked?a=1")
    wait_for(lambda: "x-tiktok-open-id" in page.content(), "the app's answer")
    assert count(running, "proof_missing") > 0
    assert count(running, "ended") == count(running, "refused") == 0
