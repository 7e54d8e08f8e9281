"""What strangers can write into Redis is bounded, however many requests, addresses and cookies they send."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, serve_gateway
from tests.redis_server import RedisServer

MANY = 400
OF_ALL = 50


@pytest.fixture
def gateway(simulator: RunningSimulator, redis_server: RedisServer, upstream: str) -> Generator[Running]:
    redis_server.command("FLUSHALL")
    with serve_gateway(
        simulator,
        upstream,
        redis=redis_server.url,
        trusted_proxies='["127.0.0.1"]',
        limits__sign_in_attempts="3",
        limits__sign_in_attempts_of_all=str(OF_ALL),
    ) as running:
        yield running


def count_keys(redis_server: RedisServer) -> int:
    answer = redis_server.command("DBSIZE")
    return int(answer.splitlines()[0].removeprefix(":"))


def flood(gateway: Running, *, address: str = "198.51.100.{}", headers: dict[str, str] | None = None) -> list[int]:
    """Navigate as many visitors do, each from an address of its own; returns the statuses."""
    with httpx.Client(trust_env=False) as client:
        statuses = []
        for number in range(MANY):
            sent = NAVIGATION | {"x-forwarded-for": address.format(number % 250)} | (headers or {})
            statuses.append(client.get(gateway.url + f"/private/{number}", headers=sent).status_code)
            client.cookies.clear()
        return statuses


def test_one_address_writes_next_to_nothing(gateway: Running, redis_server: RedisServer) -> None:
    statuses = flood(gateway, address="198.51.100.7")
    assert statuses.count(302) <= 6  # the minute may have turned
    assert set(statuses) == {302, 429}
    assert count_keys(redis_server) <= 6 + 4


def test_one_ipv6_network_is_one_address(gateway: Running, redis_server: RedisServer) -> None:
    statuses = flood(gateway, address="2001:db8:1:2::{}")
    assert statuses.count(302) <= 6
    assert count_keys(redis_server) <= 6 + 4


def test_many_addresses_write_no_more_than_the_limit_of_all(gateway: Running, redis_server: RedisServer) -> None:
    statuses = flood(gateway)
    assert statuses.count(302) <= 2 * OF_ALL
    assert set(statuses) <= {302, 429, 503}
    assert 503 in statuses
    # a record each, and a counter for each address, which lasts a minute
    assert count_keys(redis_server) <= 2 * OF_ALL + 250 * 2 + 2


def test_who_is_refused_by_its_own_limit_takes_nothing_from_the_others(gateway: Running) -> None:
    flood(gateway, address="198.51.100.7")
    answer = httpx.get(
        gateway.url + "/private/x", headers=NAVIGATION | {"x-forwarded-for": "203.0.113.9"}, trust_env=False
    )
    assert answer.status_code == 302


def test_made_up_sessions_and_programs_write_nothing(gateway: Running, redis_server: RedisServer) -> None:
    with httpx.Client(trust_env=False) as client:
        for number in range(MANY):
            cookie = {"cookie": f"gateway={number:043d}", "x-forwarded-for": f"198.51.100.{number % 250}"}
            assert client.get(gateway.url + "/private/x", headers=cookie).status_code == 401
            assert client.get(gateway.url + "/oauth2/callback?state=a&code=b", headers=cookie).status_code == 400
    assert count_keys(redis_server) == 0


def test_who_is_signed_in_notices_nothing_of_a_flood(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/private/x")
        flood(gateway)
        assert browser.fetch("/private/x").status_code == 200
