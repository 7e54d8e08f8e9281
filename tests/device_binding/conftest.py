from __future__ import annotations

import ssl
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.certificates import Issued, issue
from tests.device_binding.browser import DeviceBrowser
from tests.harness import WAYS, Running, echo, serve_app
from tests.listening import serve_listening

SECRET = "s" * 43
"""Proves that a front asks."""


@pytest.fixture(scope="session")
def issued() -> Issued:
    return issue("127.0.0.1", "app.test")


@pytest.fixture(scope="session")
def context(issued: Issued) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=issued.pem.decode())


@pytest.fixture(scope="module", params=WAYS)
def running(
    request: pytest.FixtureRequest,
    simulator: RunningSimulator,
    issued: Issued,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Running]:
    """A gateway over TLS that binds sessions, both ways."""
    files = issued.write(Path(tmp_path_factory.mktemp("tls")))
    binds = {"session__device_binding": "on", "forward_auth__secret": SECRET, "trusted_proxies": '["127.0.0.1"]'}
    with (
        serve_app(echo) as upstream,
        serve_listening(simulator, upstream, None, files, request.param, **binds) as serving,
    ):
        yield serving


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no request pass for having been under way when its session was bound."""
    monkeypatch.setattr("gateway.flows.device_proofs.GRACE", timedelta())


@pytest.fixture
def browser(running: Running, context: ssl.SSLContext, at_once: None) -> Generator[DeviceBrowser]:
    """A browser whose person has signed in, and whose session is bound."""
    with DeviceBrowser(running.url, context) as browser:
        browser.sign_in("/private/x")
        assert browser.bound is not None
        yield browser
