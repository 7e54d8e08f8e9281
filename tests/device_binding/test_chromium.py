"""The real browser: Chromium binds its session by itself, and goes on; what is copied from it is worth nothing."""

from __future__ import annotations

import base64
import hashlib
import json
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
from tests.harness import Running, echo, serve_app
from tests.listening import serve_listening
from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for

PROOF = "__Host-gateway-device-"
FEATURES = "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"
LASTS = timedelta(seconds=3)
"""So that a proof comes to its end in a test. Chromium signs only six times within nine minutes."""


@pytest.fixture(scope="module")
def chromium(issued: Issued) -> Generator[Browser]:
    """Chromium that keeps keys in software, and knows our certificate: without either it binds nothing."""
    program = need("chromium")
    shown = issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pinned = base64.b64encode(hashlib.sha256(shown).digest()).decode()
    arguments = [
        *CHROMIUM_ARGUMENTS,
        f"--enable-features={FEATURES}",
        f"--ignore-certificate-errors-spki-list={pinned}",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.flows.device_proofs.GRACE", timedelta())
    monkeypatch.setattr("gateway.core.device_binding.SKEW", timedelta())
    monkeypatch.setattr("gateway.settings.session.SHORTEST_PROOF", timedelta(seconds=1))


@pytest.fixture
def running(outcomes: None, simulator: RunningSimulator, issued: Issued, tmp_path: Path) -> Generator[Running]:
    port = free_port()
    binds = {
        "public_url": f"https://app.test:{port}",
        "listen": json.dumps({"address": f"127.0.0.1:{port}"}),
        "session__device_binding": "on",
        "session__device_proof_lifetime": f"{int(LASTS.total_seconds())}s",
    }
    files = issued.write(tmp_path)
    with serve_app(echo) as upstream, serve_listening(simulator, upstream, None, files, "fast", **binds) as serving:
        yield serving


@pytest.fixture
def context(chromium: Browser) -> Generator[BrowserContext]:
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context
    context.close()


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


def fetch(page: Page, target: str) -> int:
    return int(page.evaluate("async (target) => (await fetch(target)).status", target))


class Thief:
    """Another client, with the cookies of a browser."""

    def __init__(self, context: BrowserContext, running: Running) -> None:
        stolen = {str(each.get("name")): str(each.get("value")) for each in context.cookies()}
        self.until = max(
            float(each["expires"]) for each in context.cookies() if str(each.get("name")).startswith(PROOF)
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
