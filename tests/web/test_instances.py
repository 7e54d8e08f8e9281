"""Two gateways on one Redis, with the same key prefix and the same keys: neither lets in whom the other signed in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from dataclasses import dataclass

import pytest

from gateway.core.keyring import new_secret_key
from gateway.runtime.oversight import Erased, oversee
from gateway.settings import Settings
from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import Browser, Running, read_settings, serve_gateway
from tests.redis_server import RedisServer


@dataclass
class Pair:
    a: Running
    b: Running


@pytest.fixture(scope="module", params=["another address", "another app"])
def pair(
    request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str, redis_server: RedisServer
) -> Generator[Pair]:
    shared = {"redis": redis_server.url, "secret_keys": json.dumps([new_secret_key()])}
    if request.param == "another address":
        with serve_gateway(simulator, upstream, **shared) as a, serve_gateway(simulator, upstream, **shared) as b:
            yield Pair(a, b)
        return
    shared["instance"] = "same"
    with (
        run_simulator(SimulatorSettings(client_key="another-key")) as staging,
        serve_gateway(simulator, upstream, **shared) as a,
        serve_gateway(staging, upstream, **shared) as b,
    ):
        yield Pair(a, b)


def status_of(running: Running, browser: Browser) -> int:
    """Return what the gateway says to that browser's cookies."""
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())}
    with Browser(running.url) as stranger:
        return stranger.fetch("/private/x", headers=cookies).status_code


def test_a_session_of_one_is_none_at_the_other(pair: Pair) -> None:
    with Browser(pair.a.url) as browser, Browser(pair.b.url) as other:
        browser.sign_in(person="plain")
        assert (status_of(pair.a, browser), status_of(pair.b, browser)) == (200, 401)
        cookies = {"cookie": f"gateway={browser.client.cookies['gateway']}"}
        for path in ("sign_out", "disconnect", "refresh"):
            other.fetch(f"/oauth2/{path}", method="POST", headers=cookies, data={"everywhere": "1"})
        assert status_of(pair.a, browser) == 200


def test_signing_out_everywhere_at_one_leaves_the_other(pair: Pair) -> None:
    with Browser(pair.a.url) as browser, Browser(pair.b.url) as other:
        browser.sign_in(person="plain")
        other.sign_in(person="plain")
        other.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"})
        assert (status_of(pair.a, browser), status_of(pair.b, other)) == (200, 401)


def test_a_sign_in_that_began_at_one_is_not_completed_at_the_other(pair: Pair) -> None:
    with Browser(pair.a.url) as browser:
        callback = browser.consent(browser.navigate("/private/x").headers["location"], person="plain")
        at_b = pair.b.url + callback.removeprefix(pair.a.url)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        with Browser(pair.b.url) as stranger:
            refused = stranger.fetch(at_b.removeprefix(pair.b.url), headers={"cookie": cookies})
        assert (refused.status_code, refused.json()["code"]) == (400, "sign_in_expired")
        assert browser.navigate(callback).status_code == 302
        assert status_of(pair.a, browser) == 200


def usernames(settings: Settings) -> list[str | None]:
    async def within() -> list[str | None]:
        async with oversee(settings) as overseen:
            return [session.username async for session in overseen.listing.every_session()]

    return asyncio.run(within())


def erase(settings: Settings, subject: str) -> Erased:
    async def within() -> Erased:
        async with oversee(settings) as overseen:
            return await overseen.oversight.erase(subject)

    return asyncio.run(within())


def test_operators_see_and_end_their_own(pair: Pair, redis_server: RedisServer) -> None:
    redis_server.command("FLUSHALL")
    with Browser(pair.a.url) as browser:
        browser.sign_in(person="plain")
        assert usernames(pair.a.settings) == [pair.a.simulator.people["plain"].username]
        assert usernames(pair.b.settings) == []
        if pair.a.simulator is not pair.b.simulator:
            erased = erase(pair.b.settings, pair.a.simulator.people["plain"].open_id)
            assert erased == Erased(sessions=0, grant=False, revoked=False, pending=False)
            assert status_of(pair.a, browser) == 200


def test_replicas_are_one(simulator: RunningSimulator, upstream: str, redis_server: RedisServer) -> None:
    shared = {"redis": redis_server.url, "secret_keys": json.dumps([new_secret_key()])}
    with (
        serve_gateway(simulator, upstream, **shared) as a,
        serve_gateway(simulator, upstream, **shared, public_url=a.url) as b,
        Browser(a.url) as browser,
    ):
        browser.sign_in(person="plain")
        assert (status_of(a, browser), status_of(b, browser)) == (200, 200)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "https://app.example.com"),
        ({"session__cookie_domain": "example.com"}, "example.com"),
        ({"session__cookie_domain": "example.com", "instance": "shop"}, "shop"),
    ],
)
def test_an_instance_is_where_the_session_cookie_holds_unless_it_has_a_name(
    simulator: RunningSimulator, changes: dict[str, str], name: str
) -> None:
    assert read_settings(simulator, "https://app.example.com", **changes).instance_name == name
