"""What an event of TikTok's does: once, for the right person, and again if it could not be done."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.core.webhook import REMOVED, WebhookEvent
from gateway.errors import StoreUnavailable, WebhookRefused
from gateway.flows.webhook import Webhook
from gateway.flows.webhook_log import WebhookLog
from gateway.simulator.webhook import sign
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

SECRET = "s" * 32


class App:
    """An app that events are passed on to, once it `takes` them."""

    def __init__(self) -> None:
        self.takes = True
        self.told: list[str] = []

    async def __call__(self, event: WebhookEvent, body: bytes) -> None:
        if not self.takes:
            raise StoreUnavailable("away")
        self.told.append(event.name)


class Line:
    """The way of events from TikTok."""

    def __init__(self, world: World, process: Process) -> None:
        self.world, self.process, self.app = world, process, App()
        self.client_key = world.simulator.settings.client_key
        self.noted = WebhookLog(world.store, world.keyring, clock=world.clock)
        self.webhook = Webhook(
            world.store,
            process.sessions,
            client_key=self.client_key,
            client_secret=SECRET,
            tolerance=timedelta(hours=1),
            instance="here",
            pass_on=self.app,
            noted=self.noted,
            clock=world.clock,
        )

    async def send(self, subject: str | None, *, name: str = REMOVED, age: int = 0, **parts: Any) -> None:
        """Deliver an event that is so many seconds old; the same again is the same event."""
        now = int(self.world.clock().timestamp())
        envelope: dict[str, Any] = {"client_key": self.client_key, "event": name, "create_time": now - age, **parts}
        if subject is not None:
            envelope["user_openid"] = subject
        body = json.dumps(envelope).encode()
        await self.webhook.take(sign(SECRET, body, now), body)


@pytest.fixture
async def line(world: World, process: Process) -> Line:
    return Line(world, process)


async def test_a_removal_ends_the_person_and_nobody_else(line: Line) -> None:
    key, grant, one = await line.world.signed_in(line.process)
    _, _, other = await line.world.signed_in(line.process, "emoji")
    await line.send(grant.subject)
    assert await line.process.read(one) is None
    assert await line.process.sessions.read_grant(key) is None
    assert await line.process.read(other) is not None
    assert line.world.simulator.refreshes == 0  # the tokens are dead already


async def test_other_events_and_removals_of_nobody_end_nothing(line: Line) -> None:
    _, grant, session_id = await line.world.signed_in(line.process)
    await line.send(grant.subject, name="video.publish.completed")
    await line.send(None)
    await line.send("-000nobody")
    assert await line.process.read(session_id) is not None
    assert line.app.told == ["video.publish.completed", REMOVED, REMOVED]


async def test_a_grant_that_does_not_say_when_it_began_is_ended_by_any(line: Line) -> None:
    _, grant, session_id = await line.world.signed_in(line.process)
    assert grant.granted_at is None  # as older versions wrote it
    await line.send(grant.subject, age=3600)
    assert await line.process.read(session_id) is None


@pytest.mark.parametrize(("age", "ends"), [(2, False), (1, False), (0, True)])
async def test_the_same_second_counts_as_after(line: Line, age: int, ends: bool) -> None:
    key, _, session_id = await line.world.signed_in(line.process)
    stored = await line.process.sessions.read_grant(key)
    assert stored is not None
    now = line.world.clock()
    begun = msgspec.structs.replace(stored.grant, granted_at=now)
    assert await line.process.sessions.replace_grant(stored, begun)
    body = json.dumps(
        {
            "client_key": line.client_key,
            "event": REMOVED,
            "create_time": int(now.timestamp()) - age,
            "user_openid": stored.grant.subject,
        }
    ).encode()
    await line.webhook.take(sign(SECRET, body, int(now.timestamp())), body)
    assert (await line.process.read(session_id) is None) is ends


async def test_what_was_taken_is_not_acted_on_again(line: Line) -> None:
    _, grant, _ = await line.world.signed_in(line.process)
    moment = int(line.world.clock().timestamp())
    for _ in range(3):
        await line.send(grant.subject, create_time=moment)
    assert line.app.told == [REMOVED]


async def test_what_could_not_be_done_is_not_taken_and_comes_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark before the deed would swallow the event."""
    _, grant, session_id = await line.world.signed_in(line.process)
    moment = int(line.world.clock().timestamp())
    line.app.takes = False
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await line.send(grant.subject, create_time=moment)
    line.app.takes = True
    end_all = line.process.sessions.end_all

    async def fail(*words: object, **more: object) -> tuple[str, ...]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(line.process.sessions, "end_all", fail)
    with pytest.raises(StoreUnavailable):
        await line.send(grant.subject, create_time=moment)
    assert await line.process.read(session_id) is not None
    monkeypatch.setattr(line.process.sessions, "end_all", end_all)
    await line.send(grant.subject, create_time=moment)
    assert await line.process.read(session_id) is None


async def test_what_is_not_tiktoks_is_not_even_read(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(keys: object) -> list[bytes | None]:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(line.world.store, "read_many", never)
    now = int(line.world.clock().timestamp())
    for signature in ("", sign("t" * 32, b"{}", now), sign(SECRET, b"{}", now - 3601), sign(SECRET, b"{} ", now)):
        with pytest.raises(WebhookRefused):
            await line.webhook.take(signature, b"{}")
    assert line.app.told == []
