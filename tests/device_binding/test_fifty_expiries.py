"""The true browser goes on while its proofs end, whatever it does, before two gateways and a Redis that restarts.

And what was copied from it does not. Chromium has three tabs; nginx hands each request to the other gateway in turn.
`GATEWAY_TESTS_LONG=1` has fifty proofs end instead of twelve.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.hurried import LASTS, SLACK
from tests.device_binding.test_chromium import PROOF, arrive, chromium, fetch, outlive, proof_of
from tests.device_binding.windows import open_window
from tests.harness import echo, serve_app
from tests.nginx import run_nginx
from tests.ports import free_port
from tests.redis_server import RedisServer, run_redis
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.runtime.test_audit import read_trail
from tests.runtime.test_redis_restarts import DURABLE
from tests.waiting import wait_for

__all__ = ["chromium"]

LONG = bool(os.environ.get("GATEWAY_TESTS_LONG"))
EXPIRIES = 50 if LONG else 12
SITE = """
map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
upstream gateways {{ {servers} keepalive 16; }}
server {{
    listen 127.0.0.1:{port} ssl;
    server_name app.test;
    ssl_certificate     {certificate};
    ssl_certificate_key {key};
    client_max_body_size 0;
    location / {{
        proxy_pass http://gateways;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_set_header Host              $http_host;
        proxy_set_header X-Forwarded-For   $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade           $http_upgrade;
        proxy_set_header Connection        $connection_upgrade;
    }}
}}
"""
"""As docs/fronts.md has it, for several gateways."""

USES = """() => {
  const said = (address) => new Promise((done) => {
    const socket = new WebSocket(address)
    socket.onmessage = () => { socket.close(); done(200) }
    socket.onclose = () => done(0)
  })
  const told = (address) => new Promise((done) => {
    const source = new EventSource(address)
    source.onmessage = () => { source.close(); done(200) }
    source.onerror = () => { if (source.readyState === 2) done(0) }
  })
  const posted = async (body) => {
    const answer = await fetch("/private/x", {method: "POST", body})
    return answer.ok && (await answer.json()).body === body ? 200 : answer.status
  }
  const fetched = async (options) => (await fetch("/private/x", options)).status
  window.seen = Promise.all([
    fetched(), fetched({keepalive: true}), posted("a=1"), posted("b".repeat(100000)),
    said(`wss://${location.host}/private/ws`), told("/private/events"),
  ])
  return null
}"""
"""What a page does at once; each says 200 if it was let in, and came through whole."""
FORM = """() => {
  document.body.innerHTML = '<form method="post" action="/private/form"><input name="a" value="1"></form>'
  document.forms[0].submit()
}"""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echo, and tell events."""
    if not scope.get("path", "").endswith("/events"):
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: first\n\n"})


class Gateways:
    """Two of them, behind one address."""

    def __init__(self, url: str, redis: RedisServer, both: list[RunningProcess]) -> None:
        self.url = url
        self.redis = redis
        self.both = both

    def count(self, outcome: str) -> list[int]:
        """Return how often something has come of binding sessions, at each."""
        told = [httpx.get(each.admin + "/metrics", trust_env=False).text for each in self.both]
        pattern = rf'gateway_device_bindings_total{{outcome="{outcome}",[^}}]*}} ([0-9]+)'
        return [sum(map(int, re.findall(pattern, text))) for text in told]

    def are_ready(self) -> bool:
        asked = (httpx.get(each.admin + "/readyz", trust_env=False) for each in self.both)
        return all(each.status_code == 200 for each in asked)

    def read_trail(self, what: str) -> list[dict[str, Any]]:
        return [line for each in self.both for line in read_trail(each.log) if line["what"] == what]


@pytest.fixture
def gateways(simulator: RunningSimulator, issued: Issued, tmp_path: Path) -> Generator[Gateways]:
    port = free_port()
    certificate, key = issued.write(tmp_path)
    same = {
        "public_url": f"https://app.test:{port}",
        "secret_keys": f'["{new_secret_key()}"]',
        "trusted_proxies": '["127.0.0.1"]',
        "session__device_binding": "on",
        "session__device_proof_lifetime": f"{LASTS.seconds}s",
        "log__level": "info",
    }
    with contextlib.ExitStack() as stack:
        upstream, redis = stack.enter_context(serve_app(app)), stack.enter_context(run_redis(*DURABLE))
        both = []
        for name in "ab":
            (folder := tmp_path / name).mkdir()
            run = run_gateway(folder, simulator, redis, upstream, module="tests.device_binding.hurried", **same)
            both.append(stack.enter_context(run))
        servers = "".join(f"server {each.url.removeprefix('http://')};" for each in both)
        site = SITE.format(servers=servers, port=port, certificate=certificate, key=key)
        stack.enter_context(run_nginx(site, both[0].url + "/oauth2/livez"))
        yield Gateways(f"https://app.test:{port}", redis, both)


@pytest.fixture
def context(chromium: Browser, gateways: Gateways) -> Generator[BrowserContext]:
    """A window of its own, closed before the gateways are."""
    with open_window(chromium, patience=30) as context:
        yield context


class Thief:
    """Another client, which asks all the time with the cookies of a browser, till the block ends."""

    def __init__(self, cookies: dict[str, str], url: str) -> None:
        address = httpx.URL(url)
        headers = {"host": f"{address.host}:{address.port}"}
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._client = httpx.Client(headers=headers, verify=False, trust_env=False)
        self._target = f"https://127.0.0.1:{address.port}/private/x"
        self.seen: list[tuple[float, int]] = []  # when it asked, and what came of it
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._client.close()

    def _ask(self) -> None:
        while not self._ends.wait(0.1):
            self.seen.append((time.time(), self._client.get(self._target).status_code))


def copy_cookies(page: Page) -> dict[str, str]:
    """Return the cookies of a browser while it has a proof."""
    copied: dict[str, str] = {}

    def has_proof() -> bool:
        assert fetch(page, "/private/x") == 200
        copied.update({str(each.get("name")): str(each.get("value")) for each in page.context.cookies()})
        return any(name.startswith(PROOF) for name in copied)

    wait_for(has_proof, "a proof to steal")
    return copied


def sign_in(page: Page, gateways: Gateways) -> None:
    page.goto(gateways.url + "/private/x")
    page.click("#allow")
    page.wait_for_url(gateways.url + "/private/x")
    wait_for(lambda: sum(gateways.count("registered")) == 1, "the session to be bound")


def use(tabs: list[Page], url: str, number: int) -> list[int]:
    """Have every tab do something at once; returns what it was answered."""
    first, *others = tabs
    for each in others:
        each.evaluate(USES)
    if number % 2:
        with first.expect_navigation() as arriving:
            first.evaluate(FORM)
        status = arriving.value.status
        assert first.evaluate("JSON.parse(document.body.innerText).body") == "a=1"
    else:
        status = arrive(first, f"{url}/private/{number}")
    return [status, *(seen for each in others for seen in each.evaluate("() => window.seen"))]


def restart_redis(gateways: Gateways, page: Page) -> None:
    """Have Redis go and come back; meanwhile nobody can say who asks."""
    gateways.redis.stop()
    assert page.evaluate("async () => (await fetch('/private/x')).status") == 503
    gateways.redis.start()
    wait_for(gateways.are_ready, "the gateways to have their store again")


@pytest.mark.timeout(600 if LONG else 120)
def test_not_one_request_is_refused(context: BrowserContext, gateways: Gateways) -> None:
    tabs = [context.new_page() for _ in range(3)]
    sign_in(tabs[0], gateways)
    for each in tabs[1:]:
        each.goto(gateways.url + "/private/x")
    outlive(tabs[0])
    assert use(tabs, gateways.url, 0) == [200] * 13
    with Thief(copy_cookies(tabs[0]), gateways.url) as thief:
        stolen_at = time.time()
        for number in range(1, EXPIRIES):
            outlive(tabs[0])
            if number == EXPIRIES // 2:
                restart_redis(gateways, tabs[1])
            assert use(tabs, gateways.url, number) == [200] * 13, number
    confirmed = gateways.count("confirmed")
    assert sum(confirmed) >= EXPIRIES
    assert min(confirmed) > 0
    assert gateways.count("ended") == gateways.count("refused") == [0, 0]
    _check_thief(thief, stolen_at, gateways)
    assert proof_of(context) or use(tabs, gateways.url, 0) == [200] * 13


def _check_thief(thief: Thief, stolen_at: float, gateways: Gateways) -> None:
    """It had what was stolen, and no more: then 401 and an event, whatever the browser did meanwhile."""
    got_in = [at for at, status in thief.seen if status == 200]
    assert got_in, "the copy never worked: nothing was shown"
    assert max(got_in) - stolen_at <= (LASTS + SLACK).total_seconds()
    after = {status for at, status in thief.seen if at > max(got_in)}
    assert 401 in after
    assert after <= {401, 503}  # 503 while Redis was away
    assert {line["cause"] for line in gateways.read_trail("device_proof_missing")} == {"device_proof_missing"}
