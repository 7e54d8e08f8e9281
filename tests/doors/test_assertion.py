"""The assertion through every door: made by the gateway alone, for the right app, fresh whenever it is looked at."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from gateway.verify import Claims, Verifier
from tests.doors.conftest import haproxy, nginx, wsgi
from tests.doors.test_policy import fast, slow
from tests.harness import Browser, Running, asgi_form, echo, headers_of, serve_app, serve_gateway

Serve = Callable[..., contextlib.AbstractContextManager[Running]]
DOORS: dict[str, Serve] = {"fast": fast, "slow": slow, "asgi": asgi_form, "wsgi": wsgi}
DOORS |= {"nginx": nginx, "haproxy": haproxy}
ON = {"identity__assertion": "true"}


@pytest.fixture(params=list(DOORS))
def running(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with DOORS[request.param](simulator, **ON) as running:
        yield running


def read(running: Running, text: str, audience: str | None = None) -> Claims:
    issuer = running.settings.public_url
    keys = httpx.get(running.url + "/oauth2/jwks.json", trust_env=False)
    assert keys.headers["content-type"] == "application/jwk-set+json"
    return Verifier(keys.json(), issuer=issuer, audience=audience or issuer).verify(text)


def test_the_app_is_given_it(running: Running) -> None:
    with Browser(running.url) as browser:
        browser.sign_in("/private/x", person="dash")
        headers = headers_of(browser.fetch("/private/x"))
        claims = read(running, headers["x-gateway-assertion"])
        assert claims.open_id == headers["x-tiktok-open-id"]
        assert ",".join(claims.scopes) == headers["x-tiktok-scopes"]
        assert headers["x-tiktok-access-token"] not in json.dumps(dict(claims.everything))
        # signing is not paid for at each request
        again = {headers_of(browser.fetch("/private/x"))["x-gateway-assertion"] for _ in range(12)}
        assert len(again) <= 3  # whatever changes of the session at first has it read anew


def test_nobody_else_can_send_one(running: Running) -> None:
    forged = {"X-Gateway-Assertion": "evil", "x_gateway_assertion": "evil", "X-Gateway.Assertion": "evil"}
    with Browser(running.url) as browser:
        assert "evil" not in browser.fetch("/public/x", headers=forged).text
        assert "assertion" not in browser.fetch("/optional/x").text
        browser.sign_in("/private/x")
        text = browser.fetch("/private/x", headers=forged).text
        assert "evil" not in text
        assert "assertion" in browser.fetch("/optional/x").text
        assert "x-gateway-assertion" not in dict(browser.fetch("/private/x").headers)


def test_each_app_has_one_of_its_own(simulator: RunningSimulator) -> None:
    """What one app was given is worth nothing to another."""
    with serve_app(echo) as upstream:
        changes = {
            "upstreams": json.dumps({"office": {"url": upstream, "audience": "urn:office"}, "shop": upstream}),
            "routes": "[{path: /office, upstream: office}, {path: /shop, upstream: shop}, {path: /**}]",
        }
        with serve_gateway(simulator, upstream, **ON, **changes) as running, Browser(running.url) as browser:
            browser.sign_in("/private/x")
            for _ in range(2):
                for path, audience in (("/office", "urn:office"), ("/shop", "shop"), ("/x", None)):
                    text = headers_of(browser.fetch(path))["x-gateway-assertion"]
                    assert read(running, text, audience).open_id


@pytest.mark.parametrize("cache_for", ["0s", "5s"])
def test_it_is_signed_anew_in_time(
    simulator: RunningSimulator, cache_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.core.assertion.PART", 0.1)
    changes = {"identity__assertion": '{"lifetime": "30s"}', "session__cache_for": cache_for}
    with fast(simulator, **changes) as running, Browser(running.url) as browser:
        browser.sign_in("/private/x")
        assert running.generation is not None
        first = headers_of(browser.fetch("/private/x"))["x-gateway-assertion"]
        until = time.monotonic() + 4
        latest = first
        while time.monotonic() < until:
            latest = headers_of(browser.fetch("/private/x"))["x-gateway-assertion"]
            left = read(running, latest).everything["exp"] - time.time()
            assert left > 30 - 3 - 2  # a tenth of it, and some for the way
            time.sleep(0.25)
        assert latest != first


def test_it_is_off_unless_asked_for(simulator: RunningSimulator) -> None:
    with fast(simulator) as running, Browser(running.url) as browser:
        browser.sign_in("/private/x")
        assert "x-gateway-assertion" not in headers_of(browser.fetch("/private/x"))
        assert httpx.get(running.url + "/oauth2/jwks.json", trust_env=False).status_code == 404


def test_it_may_have_another_name(simulator: RunningSimulator) -> None:
    changes = {"identity__assertion": '{"header": "X-Who", "audience": "me"}'}
    with fast(simulator, **changes) as running, Browser(running.url) as browser:
        assert "x-who" not in headers_of(browser.fetch("/public/x", headers={"X-Who": "evil", "x_who": "evil"}))
        browser.sign_in("/private/x")
        assert read(running, headers_of(browser.fetch("/private/x"))["x-who"], "me").open_id
