"""Sign-ins add up: whatever way they begin, each begins once, and ends at most once."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest

from gateway.asgi import protect
from gateway.flows import qr_sign_in
from gateway.simulator import RunningSimulator
from gateway.telemetry.metrics import Metrics
from tests.harness import NAVIGATION, Browser, echo, listener, read_settings, serve_app, serve_gateway, url_of
from tests.qr import confirm, read_qr
from tests.waiting import wait_for

ROUTES = "[{path: /videos/**, scopes: [video.list]}, {path: /**}]"
_SAMPLE = re.compile(r'^gateway_sign_ins_total\{cause="(\w*)",outcome="(\w+)"\} ([\d.]+)$', re.MULTILINE)


@dataclass
class Door:
    url: str
    metrics: Metrics
    checks: str = ""

    def counts(self) -> dict[tuple[str, str], int]:
        found = _SAMPLE.findall(self.metrics.exposition().decode())
        return {(outcome, cause): int(float(value)) for cause, outcome, value in found if float(value)}


@pytest.fixture(params=["proxy", "asgi"])
def door(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Door]:
    simulator.simulator.reset()
    qr = {"qr_sign_in": "true"} if "qr" in request.param else {}
    if request.param in {"proxy", "qr"}:
        asked = {"forward_auth__listen": "127.0.0.1:0", "trusted_proxies": '["127.0.0.1"]', **qr}
        with serve_gateway(simulator, upstream, routes=ROUTES, **asked) as running:
            assert running.generation is not None
            yield Door(running.url, running.generation.metrics, running.checks)
    else:
        bound = listener()
        protected = protect(echo, read_settings(simulator, url_of(bound), routes=ROUTES, **qr))
        with serve_app(protected, bound) as url:
            yield Door(url, protected.generation.metrics)
    simulator.simulator.reset()


@pytest.fixture
def browser(door: Door) -> Generator[Browser]:
    with Browser(door.url) as browser:
        yield browser


def begin(browser: Browser, target: str) -> str:
    """Open an address that leads to TikTok; returns where."""
    begun = browser.navigate(target)
    assert begun.status_code == 302, begun.text
    assert "/v2/auth/authorize" in begun.headers["location"]
    return begun.headers["location"]


def test_each_way_begins_one_and_completes_one(door: Door, browser: Browser) -> None:
    ways = ["/x", "/oauth2/start?rd=/x", "/oauth2/start?rd=/x&switch=1", "/oauth2/account"]
    for number, target in enumerate(ways, start=1):
        with Browser(door.url) as one:
            one.navigate(one.consent(begin(one, target)))
        assert door.counts() == {("begun", ""): number, ("completed", ""): number}
    browser.sign_in("/x")
    for target in ("/oauth2/start?rd=/x&scopes=video.list", "/oauth2/start?rd=/x&switch=1"):
        browser.navigate(browser.consent(begin(browser, target)))
    assert door.counts() == {("begun", ""): len(ways) + 3, ("completed", ""): len(ways) + 3}


@pytest.mark.parametrize("door", ["proxy"], indirect=True)
def test_a_front_begins_one_too(door: Door, browser: Browser) -> None:
    asked = {
        "x-forwarded-method": "GET",
        "x-forwarded-proto": "http",
        "x-forwarded-host": door.url.removeprefix("http://"),
        "x-forwarded-uri": "/x",
    }
    answer = httpx.get(door.checks + "/oauth2/ext_authz", headers=NAVIGATION | asked, trust_env=False)
    location = answer.headers["location"]
    if "/v2/auth/authorize" not in location:  # it sends the browser to the gateway's own page first
        location = begin(browser, location)
    else:
        browser.client.cookies.update(answer.cookies)
    browser.navigate(browser.consent(location))
    assert door.counts() == {("begun", ""): 1, ("completed", ""): 1}


def test_everything_that_may_come_of_them_adds_up(door: Door, browser: Browser, simulator: RunningSimulator) -> None:
    abandoned = 0

    def deny(one: Browser) -> None:
        one.navigate(one.consent(begin(one, "/x"), allow=False))

    def fail(one: Browser) -> None:
        simulator.troubles.html = True
        one.navigate(one.consent(begin(one, "/x")))
        simulator.troubles.html = False

    def leave(one: Browser) -> None:
        nonlocal abandoned
        begin(one, "/x")
        abandoned += 1

    def refuse_more(one: Browser) -> None:
        one.sign_in("/x")
        one.navigate(one.consent(begin(one, "/oauth2/start?rd=/x&scopes=video.list"), allow=False))

    def come_twice(one: Browser) -> None:
        callback = one.consent(begin(one, "/x"))
        assert one.navigate(callback).status_code == one.navigate(callback).status_code == 302

    def come_elsewhere(one: Browser) -> None:
        callback = one.consent(begin(one, "/x"))
        with Browser(door.url) as other:
            assert other.navigate(callback).status_code == 400
            begin(other, "/x")
            assert other.navigate(callback).status_code == 400
        nonlocal abandoned
        abandoned += 1
        assert one.navigate(callback).status_code == 302  # it was not used up

    def make_one_up(one: Browser) -> None:
        assert one.navigate("/oauth2/callback?code=c&state=" + "s" * 43).status_code == 400

    walks: list[Callable[[Browser], None]] = [deny, fail, leave, refuse_more, come_twice, come_elsewhere, make_one_up]
    for walk in walks:
        with Browser(door.url) as one:
            walk(one)
        assert_adds_up(door, abandoned)
    assert door.counts() == {
        ("begun", ""): 8,
        ("completed", ""): 3,
        ("refused", "access_denied"): 1,
        ("refused", "provider_unavailable"): 1,
        ("refused", "permission_refused"): 1,
        ("stray", "sign_in_cookie_missing"): 1,
        ("stray", "sign_in_other_browser"): 1,
        ("stray", "sign_in_expired"): 1,
    }


def assert_adds_up(door: Door, abandoned: int) -> None:
    counts = door.counts()
    ended = sum(number for (outcome, _), number in counts.items() if outcome in {"completed", "refused", "unchanged"})
    assert counts["begun", ""] == ended + abandoned, counts


def test_a_second_way_for_scopes_counts_on_both_sides(door: Door, simulator: RunningSimulator) -> None:
    """On another device, with tokens that cannot be renewed: TikTok is asked once more for all of it."""
    with Browser(door.url) as laptop, Browser(door.url) as phone:
        laptop.sign_in("/x")
        laptop.navigate(laptop.consent(begin(laptop, "/oauth2/start?rd=/x&scopes=video.list")))
        simulator.simulator.refresh_tokens.clear()
        returned = phone.navigate(phone.consent(begin(phone, "/x")))
        assert "/v2/auth/authorize" in returned.headers["location"]
        assert door.counts() == {("begun", ""): 4, ("completed", ""): 3}
        phone.navigate(phone.consent(returned.headers["location"], allow=False))
        assert door.counts() == {("begun", ""): 4, ("completed", ""): 3, ("unchanged", "access_denied"): 1}
        assert_adds_up(door, 0)


@pytest.mark.parametrize("door", ["qr", "asgi_qr"], indirect=True)
def test_a_code_to_scan_is_one_of_them(
    door: Door, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qr_sign_in, "PAUSE", timedelta(milliseconds=1))
    with Browser(door.url) as screen, Browser(door.url) as other:
        address = screen.navigate("/oauth2/qr?rd=/x").headers["location"]
        assert screen.navigate(address).status_code == 200
        assert door.counts() == {("begun", ""): 1}
        assert other.navigate(address).status_code == 400
        confirm(read_qr(screen.navigate(address).text))
        wait_for(lambda: screen.navigate(address).headers.get("location") == f"{door.url}/x", "it is complete")
        assert screen.navigate(address).status_code == 302  # opened once more: it leads on, and counts nothing
        told = {("begun", ""): 1, ("completed", ""): 1, ("stray", "sign_in_cookie_missing"): 1}
        assert door.counts() == told
        simulator.troubles.qr_refusal = "access_denied"
        address = other.navigate("/oauth2/qr?rd=/x").headers["location"]
        confirm(read_qr(other.navigate(address).text), allow=False)
        wait_for(lambda: other.navigate(address).status_code == 403, "the no has come")
        assert other.navigate(address).status_code == 400  # it is over
        assert door.counts() == told | {
            ("begun", ""): 2,
            ("refused", "access_denied"): 1,
            ("stray", "sign_in_expired"): 1,
        }
        assert_adds_up(door, 0)
