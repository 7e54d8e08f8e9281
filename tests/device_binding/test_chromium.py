"""The real browser: Chromium binds its session by itself, and goes on; what is copied from it is worth nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.conftest import CHROMIUM_ARGUMENTS
from tests.device_binding.windows import open_window
from tests.harness import Running, echo, serve_app
from tests.listening import serve_listening
from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for

PROOF = "__Host-gateway-device-"
FEATURES = "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
LASTS = timedelta(seconds=3)
"""So that a proof comes to its end in a test. Chromium signs only six times within nine minutes."""


EXPIRIES = int(os.environ.get("TEST_EXPIRIES", "8"))
"""How many ends of a proof the browser is to go on through."""


def arguments_for(issued: Issued, features: str = FEATURES) -> list[str]:
    """Return how Chromium is started."""
    shown = issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pinned = base64.b64encode(hashlib.sha256(shown).digest()).decode()
    return [
        *CHROMIUM_ARGUMENTS,
        *([f"--enable-features={features}"] if features else []),
        f"--ignore-certificate-errors-spki-list={pinned}",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ]


@pytest.fixture(scope="module")
def chromium(issued: Issued) -> Generator[Browser]:
    """Chromium that keeps keys in software, and knows our certificate: without either it binds nothing."""
    program = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments_for(issued))
        yield browser
        browser.close()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.flows.device_proofs.GRACE", timedelta(seconds=2))
    monkeypatch.setattr("gateway.core.device_binding.SKEW", timedelta())
    monkeypatch.setattr("gateway.settings.session.SHORTEST_PROOF", timedelta(seconds=1))


@contextlib.contextmanager
def serve(simulator: RunningSimulator, issued: Issued, folder: Path, host: str = "app.test") -> Generator[Running]:
    """Serve a gateway that binds sessions, for a host that Chromium finds here."""
    port = free_port()
    binds = {
        "public_url": f"https://{host}:{port}",
        "listen": json.dumps({"address": f"127.0.0.1:{port}"}),
        "session__device_binding": "on",
        "session__device_proof_lifetime": f"{int(LASTS.total_seconds())}s",
    }
    files = issued.write(folder)
    with serve_app(echo) as upstream, serve_listening(simulator, upstream, None, files, "fast", **binds) as serving:
        yield serving


@pytest.fixture
def running(brief: None, simulator: RunningSimulator, issued: Issued, tmp_path: Path) -> Generator[Running]:
    with serve(simulator, issued, tmp_path) as serving:
        yield serving


@pytest.fixture
def context(chromium: Browser, running: Running) -> Generator[BrowserContext]:
    """A window of its own, closed before the gateway is."""
    with open_window(chromium) as context:
        yield context


def sign_in(page: Page, running: Running, target: str = "/private/x") -> None:
    """Sign in, and wait until the browser has bound the session."""
    page.goto(running.url + target)
    page.click("#allow")
    page.wait_for_url(running.url + target)
    wait_for(lambda: proof_of(page.context), "the session to be bound")


def proof_of(context: BrowserContext) -> str:
    return next((str(each["value"]) for each in context.cookies() if str(each.get("name")).startswith(PROOF)), "")


def outlive(page: Page) -> None:
    """Wait until the proof has come to its end."""
    wait_for(lambda: not proof_of(page.context), "the end of the proof")


def count(running: Running, outcome: str) -> int:
    """Return how often something has come of binding sessions."""
    assert running.generation is not None
    told = running.generation.metrics.exposition().decode()
    return sum(map(int, re.findall(rf'gateway_device_bindings_total{{outcome="{outcome}",[^}}]*}} ([0-9]+)', told)))


def fetch(page: Page, target: str) -> int:
    return int(page.evaluate("async (target) => (await fetch(target)).status", target))


def arrive(page: Page, address: str) -> int:
    arrived = page.goto(address)
    assert arrived is not None
    return arrived.status


class Thief:
    """Another client, with the cookies of a browser."""

    def __init__(self, context: BrowserContext, running: Running) -> None:
        stolen = {str(each.get("name")): str(each.get("value")) for each in context.cookies(running.url)}
        self.until = max(
            float(each["expires"]) for each in context.cookies(running.url) if str(each.get("name")).startswith(PROOF)
        )
        host = running.url.removeprefix("https://")
        self._url = running.url.replace("app.test", "127.0.0.1")
        self._headers = {"host": host, "cookie": "; ".join(f"{name}={value}" for name, value in stolen.items())}

    def status(self) -> int:
        """Return how a request of theirs is answered."""
        return httpx.get(self._url + "/private/x", headers=self._headers, verify=False, trust_env=False).status_code


def test_the_browser_goes_on_and_a_copy_does_not(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    sign_in(page, running)
    thief = Thief(context, running)
    assert thief.status() == 200 or time.time() >= thief.until
    outlive(page)
    assert fetch(page, "/private/x") == 200
    wait_for(lambda: thief.status() == 401, "the end of what was stolen")
    assert fetch(page, "/private/x") == 200
    outlive(page)
    arrived: Any = page.goto(running.url + "/private/y")
    assert arrived.status == 200
    assert thief.status() == 401


USES = """async (milliseconds) => {
  const end = Date.now() + milliseconds, seen = []
  const open = () => new Promise((done) => {
    const socket = new WebSocket(`wss://${location.host}/private/ws`)
    let opened = 0
    socket.onopen = () => { opened = 200; socket.close() }
    socket.onclose = () => done(opened)
  })
  const stream = () => new Promise((done) => {
    const source = new EventSource("/private/events")  // the app answers with JSON, which ends it
    source.onerror = () => { source.close(); done(200) }
  })
  while (Date.now() < end) {
    const posted = await fetch("/private/x", {method: "POST", body: "a=1"})
    const whole = (await posted.json()).body === "a=1" ? 200 : 0
    seen.push((await fetch("/private/x")).status, whole, await open(), await stream())
    await new Promise((done) => setTimeout(done, 100))
  }
  window.seen = seen
}"""


def test_not_one_request_of_the_browser_is_refused(context: BrowserContext, running: Running) -> None:
    page, *tabs = [context.new_page() for _ in range(4)]
    sign_in(page, running)
    milliseconds = int(EXPIRIES * LASTS.total_seconds() * 1000)
    for tab in tabs:
        tab.goto(running.url + "/private/x")
        tab.evaluate(f"(milliseconds) => {{ ({USES})(milliseconds) }}", milliseconds)
    for number in range(2 * EXPIRIES):
        arrived: Any = page.goto(f"{running.url}/private/{number}")
        assert arrived.status == 200
        page.wait_for_timeout(milliseconds / EXPIRIES / 2)
    for tab in tabs:
        tab.wait_for_function("window.seen !== undefined")
        seen = tab.evaluate("window.seen")
        assert len(seen) >= 4
        assert set(seen) == {200}
    assert count(running, "confirmed") >= EXPIRIES  # and a browser signs six times within nine minutes
    assert count(running, "proof_missing") == count(running, "ended") == 0


def test_a_link_from_another_site_leads_in(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    sign_in(page, running)
    other = context.new_page()
    address = json.dumps(f"{running.url}/private/linked")
    for leave in (f"location.href = {address}", f"window.open({address}, '_self', 'noopener')"):
        other.goto("data:text/html,<p>elsewhere")
        outlive(page)
        other.evaluate(leave)
        other.wait_for_url(running.url + "/private/linked")
        wait_for(lambda: "x-tiktok-open-id" in other.content(), "the app's answer")


def test_whoever_signs_in_anew_is_bound_anew(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    sign_in(page, running)
    before = {name for name in map(str, (each.get("name") for each in context.cookies())) if name.startswith(PROOF)}
    page.goto(running.url + "/oauth2/sign_out")
    page.click("button")
    assert not proof_of(context)
    sign_in(page, running)
    after = {name for name in map(str, (each.get("name") for each in context.cookies())) if name.startswith(PROOF)}
    assert len(after) == 1
    assert after != before
    outlive(page)
    assert fetch(page, "/private/x") == 200


def test_a_websocket_outlives_the_proof(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    sign_in(page, running)
    page.evaluate(
        """() => new Promise((done) => {
          window.socket = new WebSocket(`wss://${location.host}/private/ws`)
          window.socket.onopen = done
        })"""
    )
    outlive(page)
    said = page.evaluate(
        """() => new Promise((done) => {
          window.socket.onmessage = (message) => message.data === "still" && window.socket.close(1000, message.data)
          window.socket.onclose = (closed) => done(closed.wasClean)
          window.socket.send("still")
        })"""
    )
    assert said is True


def test_a_browser_without_it_notices_nothing(chromium: Browser, running: Running, issued: Issued) -> None:
    arguments = arguments_for(issued, features="")
    with chromium.browser_type.launch(executable_path=need("chromium"), args=arguments) as browser:
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(running.url + "/private/x")
        page.click("#allow")
        page.wait_for_url(running.url + "/private/x")
        for _ in range(3):
            assert fetch(page, "/private/x") == 200
        assert not proof_of(page.context)
    assert (count(running, "offered"), count(running, "registered")) == (1, 0)


def test_a_browser_that_may_sign_no_more_shows_what_it_has_signed(
    context: BrowserContext,
    running: Running,
    simulator: RunningSimulator,
    issued: Issued,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another app of the same domain has used up its six signatures; and whoever signs in there then is not bound."""
    monkeypatch.setattr("gateway.core.device_binding.CHALLENGE_EVERY", timedelta(hours=1))
    page = context.new_page()
    sign_in(page, running)
    outlive(page)
    assert fetch(page, "/private/x") == 200  # signed for the challenge of this hour
    with serve(simulator, issued, tmp_path, "other.app.test") as other:
        for _ in range(6):
            page.goto(other.url + "/private/x")
            page.click("#allow")
            page.wait_for_url(other.url + "/private/x")
            assert fetch(page, "/private/x") == 200
            page.wait_for_timeout(1000)
            page.goto(other.url + "/oauth2/sign_out")
            page.click("button")
        assert count(other, "offered") == 6
        assert count(other, "registered") < 6
    page.goto(running.url + "/public/x")
    thief = Thief(context, running)
    for _ in range(3):
        outlive(page)
        assert fetch(page, "/private/x") == 200
    wait_for(lambda: thief.status() == 401, "the end of what was stolen")
    assert count(running, "proof_missing") == 1
