"""Webhooks over HTTP: TikTok's own take effect, and nobody else's."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from gateway.simulator import RunningSimulator
from gateway.simulator.webhook import send_webhook, sign
from tests.harness import Browser, Running, serve_app, serve_gateway
from tests.redis_server import RedisServer
from tests.waiting import wait_for

REMOVED = "authorization.removed"
NUMBERS = itertools.count()


@dataclass
class Received:
    """A request that has reached the app."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class EventApp:
    """An app that takes events, but for the first few."""

    failures: int = 0
    received: list[Received] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.received.append(Received(request.url.path, dict(request.headers), await request.body()))
        status = 500 if len(self.received) <= self.failures else 204
        await Response(status_code=status)(scope, receive, send)


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_gateway(simulator, upstream, tiktok__webhook__enabled="true") as running:
        yield running


def new_content() -> dict[str, int]:
    """Return the content of an event like no other: one is known by its body alone, and two may be of one second."""
    return {"reason": 1, "number": next(NUMBERS)}


def send(running: Running, event: str = REMOVED, person: str | None = "plain", **options: Any) -> httpx.Response:
    """Send an event: a new one, but for a `content` and a `create_time` that were sent before."""
    settings = running.simulator.settings
    keys = {"client_key": settings.client_key, "secret": settings.client_secret}
    options = keys | {"content": new_content()} | options
    open_id = running.simulator.people[person].open_id if person is not None else None
    return send_webhook(running.url + "/oauth2/webhook", event, open_id, **options)


def is_signed_in(browser: Browser) -> bool:
    status = browser.fetch("/private/x").status_code
    assert status in {200, 401}
    return status == 200


def test_a_removal_ends_every_session_of_the_person_and_of_nobody_else(gateway: Running) -> None:
    with Browser(gateway.url) as phone, Browser(gateway.url) as laptop, Browser(gateway.url) as other:
        phone.sign_in(person="plain")
        laptop.sign_in(person="plain")
        other.sign_in(person="dash")
        refreshes, revocations = gateway.simulator.refreshes, gateway.simulator.simulator.calls["revoke"]
        assert send(gateway).status_code == 200
        assert [is_signed_in(each) for each in (phone, laptop, other)] == [False, False, True]
        assert gateway.simulator.refreshes == refreshes
        assert gateway.simulator.simulator.calls["revoke"] == revocations


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "another"},
        {"alter": True},
        {"client_key": "another"},
        {"timestamp": int(time.time()) - 74 * 3600},
        {"timestamp": int(time.time()) + 3600},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_is_not_tiktoks_ends_nothing(gateway: Running, options: dict[str, Any]) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in(person="plain")
        answer = send(gateway, **options)
        assert (answer.status_code, answer.json()["code"]) == (403, "webhook_refused")
        assert is_signed_in(browser)


def test_a_signature_that_comes_twice_is_none(gateway: Running) -> None:
    """Not even a right one: it cannot be told which of two is TikTok's."""
    settings = gateway.simulator.settings
    envelope = {"client_key": settings.client_key, "event": "video.publish.completed", "create_time": int(time.time())}
    body = json.dumps(envelope | {"content": json.dumps(new_content())}).encode()
    right, junk = sign(settings.client_secret, body, int(time.time())), "t=1,s=" + "0" * 64
    for signatures, status in (((right, right), 403), ((right, junk), 403), ((junk, right), 403), ((right,), 200)):
        headers = [("tiktok-signature", each) for each in signatures]
        answer = httpx.post(gateway.url + "/oauth2/webhook", headers=headers, content=body, trust_env=False)
        assert answer.status_code == status


def test_a_late_removal_does_not_end_a_newer_sign_in(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in(person="plain")
        assert send(gateway, create_time=int(time.time()) - 60).status_code == 200
        assert is_signed_in(browser)


def test_a_replay_does_not_end_a_newer_sign_in(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in(person="plain")
        event: dict[str, Any] = {"create_time": int(time.time()), "content": new_content()}
        assert send(gateway, **event).status_code == 200
        assert not is_signed_in(browser)
        browser.sign_in(person="plain")
        assert send(gateway, **event).status_code == 200
        assert is_signed_in(browser)


@pytest.mark.parametrize("event", ["video.publish.completed", "portability.download.ready", "something.new"])
def test_other_events_are_taken_and_end_nothing(gateway: Running, event: str) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in(person="plain")
        assert send(gateway, event).status_code == 200
        assert send(gateway, event, person=None).status_code == 200
        assert is_signed_in(browser)


def test_a_large_body_is_refused(gateway: Running) -> None:
    answer = httpx.post(gateway.url + "/oauth2/webhook", content=b"x" * 70_000, trust_env=False)
    assert answer.status_code == 413


def test_only_post(gateway: Running) -> None:
    assert httpx.get(gateway.url + "/oauth2/webhook", trust_env=False).status_code == 405


def test_it_is_off_unless_asked_for(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream) as running:
        assert send(running).status_code == 404


def test_while_the_store_is_away_tiktok_is_told_to_try_again(
    simulator: RunningSimulator, upstream: str, redis_server: RedisServer
) -> None:
    with (
        serve_gateway(
            simulator,
            upstream,
            redis=json.dumps({"url": redis_server.url, "timeout": "300ms"}),
            tiktok__webhook__enabled="true",
        ) as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in(person="plain")
        redis_server.pause()
        try:
            event: dict[str, Any] = {"create_time": int(time.time()), "content": new_content()}
            assert send(running, **event).status_code == 503
        finally:
            redis_server.resume()
        wait_for(lambda: send(running, **event).status_code == 200, "the event is taken")
        assert not is_signed_in(browser)


@pytest.fixture
def events() -> EventApp:
    return EventApp()


@pytest.fixture
def passing_on(simulator: RunningSimulator, events: EventApp) -> Generator[Running]:
    with (
        serve_app(events) as upstream,
        serve_gateway(
            simulator,
            upstream,
            tiktok__webhook__forward_to="/tiktok/events",
            routes="[{path: /tiktok/events, access: public}, {path: /**}]",
        ) as running,
    ):
        yield running


def test_events_are_passed_on_as_they_were_sent(passing_on: Running, events: EventApp) -> None:
    assert send(passing_on, "video.publish.completed", content={"share_id": 2**60 + 1}).status_code == 200
    wait_for(lambda: len(events.received) == 1, "it is passed on")
    (received,) = events.received
    assert received.path == "/tiktok/events"
    assert received.headers["x-gateway-event"] == "video.publish.completed"
    assert received.headers["x-tiktok-open-id"] == passing_on.simulator.people["plain"].open_id
    assert received.headers["content-type"] == "application/json"
    assert str(2**60 + 1) in json.loads(received.body)["content"]
    assert "cookie" not in received.headers


def contents_of(events: EventApp) -> list[Any]:
    return [json.loads(json.loads(received.body)["content"]) for received in events.received]


def test_an_event_is_passed_on_once_though_it_comes_twice(passing_on: Running, events: EventApp) -> None:
    repeated, last = new_content(), new_content()
    for content in (repeated, repeated, repeated, last):
        event = "video.publish.completed"
        assert send(passing_on, event, content=content, create_time=1_700_000_000).status_code == 200
    wait_for(lambda: repeated in contents_of(events) and last in contents_of(events), "both are passed on")
    assert len(events.received) == 2


def test_an_event_that_the_app_does_not_take_comes_again_with_the_same_id(
    passing_on: Running, events: EventApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flows.outbox.FIRST_PAUSE", timedelta(0))
    monkeypatch.setattr("gateway.flows.outbox.TICK", 0.1)
    events.failures = 2
    assert send(passing_on, "video.publish.completed").status_code == 200
    wait_for(lambda: len(events.received) == 3, "it comes again, and again")
    assert len({received.headers["x-gateway-event-id"] for received in events.received}) == 1


def test_nobody_else_can_send_an_event(passing_on: Running, events: EventApp) -> None:
    forged = {"X-Gateway-Event": "authorization.removed", "x_gateway_event_id": "1", "X-TikTok-Open-Id": "evil"}
    answer = httpx.post(passing_on.url + "/tiktok/events", headers=forged, content=b"{}", trust_env=False)
    assert answer.status_code == 204
    (received,) = events.received
    assert not {name for name in received.headers if "event" in name.replace("_", "-") or "tiktok" in name}
