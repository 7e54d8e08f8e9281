"""The same in every form: inside an ASGI app, around a WSGI app, and for a front that asks."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import wsgiref.simple_server
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway import asgi, wsgi
from gateway.settings import Settings
from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.browser import DeviceBrowser
from tests.device_binding.conftest import SECRET
from tests.harness import echo, listener, read_settings, serve_in_thread

PROOF = "__Host-gateway-device-"


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def echo_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Tell the cookies that came, and who is signed in."""
    start_response("200 OK", [("Content-Type", "application/json")])
    told = {"cookie": environ.get("HTTP_COOKIE", ""), "user": environ.get("REMOTE_USER")}
    return [json.dumps(told).encode()]


@contextlib.contextmanager
def in_asgi(settings: Callable[[str], Settings], files: tuple[Path, Path]) -> Generator[str]:
    with listener() as bound:
        url = f"https://127.0.0.1:{bound.getsockname()[1]}"
        config = uvicorn.Config(
            asgi.protect(echo, settings(url)),
            log_config=None,
            proxy_headers=False,
            ws="none",
            ssl_certfile=files[0],
            ssl_keyfile=files[1],
            timeout_graceful_shutdown=2,
        )
        with serve_in_thread(uvicorn.Server(config), bound):
            yield url


@contextlib.contextmanager
def in_wsgi(settings: Callable[[str], Settings], files: tuple[Path, Path]) -> Generator[str]:
    with wsgiref.simple_server.make_server("127.0.0.1", 0, echo_wsgi, handler_class=Quiet) as server:
        url = f"https://127.0.0.1:{server.server_port}"
        server.set_app(wsgi.protect(echo_wsgi, settings(url)))
        server.base_environ["HTTPS"] = "on"
        secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secured.load_cert_chain(*files)
        server.socket = secured.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join(timeout=10)


@pytest.mark.parametrize("form", [in_asgi, in_wsgi])
def test_inside_an_app(
    form: Callable[..., AbstractContextManager[str]],
    simulator: RunningSimulator,
    issued: Issued,
    context: ssl.SSLContext,
    tmp_path: Path,
    at_once: None,
) -> None:
    def settings(url: str) -> Settings:
        return read_settings(simulator, url, session__device_binding="on")

    with form(settings, issued.write(tmp_path)) as url, DeviceBrowser(url, context) as browser:
        browser.client.headers["connection"] = "close"  # the server takes one connection at a time
        browser.sign_in("/private/x")
        assert browser.fetch("/private/x").status_code == 200
        assert PROOF not in browser.fetch("/private/x").text
        cookies = httpx.Cookies(browser.client.cookies)
        bound, browser.bound = browser.bound, None
        browser.client.cookies.delete(next(name for name in cookies if name.startswith(PROOF)))
        refused = browser.fetch("/private/x")
        assert (refused.status_code, refused.json()["code"]) == (401, "device_proof_missing")
        assert browser.navigate("/private/x").headers["refresh"] == "15"
        browser.bound = bound
        assert browser.fetch("/private/x").status_code == 200


def test_a_front_that_asks_is_told_no_without_a_proof(browser: DeviceBrowser) -> None:
    cookies = dict(browser.client.cookies)
    whole = "; ".join(f"{name}={value}" for name, value in cookies.items())
    alone = "; ".join(f"{name}={value}" for name, value in cookies.items() if not name.startswith(PROOF))
    for _ in range(3):  # the short way knows them again
        assert ask(browser, alone).status_code == 401
        told = ask(browser, f"{whole}; app=1")
        assert told.status_code == 202
        assert told.headers["cookie"] == "app=1"
        assert "x-tiktok-open-id" in told.headers
    asked = {"x-forwarded-uri": "/private/x?y", "x-forwarded-method": "GET", "x-gateway-check": SECRET}
    browser.bound = None
    browser.client.cookies.delete(next(name for name in cookies if name.startswith(PROOF)))
    shown = browser.navigate("/oauth2/start", headers=asked)  # to where a front then leads
    assert (shown.status_code, shown.headers["refresh"]) == (401, "15")
    assert "/private/x?y" in shown.text


def ask(browser: DeviceBrowser, cookies: str) -> httpx.Response:
    """Ask as a front does."""
    headers = {"x-forwarded-uri": "/private/x", "x-forwarded-method": "GET", "x-gateway-check": SECRET}
    fresh = httpx.Client(verify=False, trust_env=False)
    with fresh:
        return fresh.get(f"{browser.url}/oauth2/auth", headers=headers | {"cookie": cookies})
