"""What operators see of webhooks: the last of them, without their content, and nobody by name."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from gateway.core.keyring import Keyring
from gateway.core.webhook import WebhookEvent
from gateway.errors import StoreUnavailable, WebhookRefused
from gateway.flows.webhook_log import KEPT, SLOTS, WebhookLog, mark_person
from gateway.simulator.webhook import sign
from tests.flows.conftest import Process, World
from tests.flows.test_webhook import SECRET, Line

pytestmark = pytest.mark.anyio


async def test_what_came_of_each_is_told_the_latest_first(world: World, process: Process) -> None:
    line = Line(world, process)
    _, grant, _ = await world.signed_in(process)
    await line.send(grant.subject, name="video.publish.completed")
    world.clock.forward(timedelta(seconds=1))
    await line.send(grant.subject)
    world.clock.forward(timedelta(seconds=1))
    body = json.dumps({"client_key": line.client_key, "event": "other", "create_time": 1}).encode()
    for _ in range(2):
        await line.webhook.take(sign(SECRET, body, int(world.clock().timestamp())), body)
        world.clock.forward(timedelta(seconds=1))
    with pytest.raises(WebhookRefused):
        await line.webhook.take(sign("wrong" * 8, b"{}", int(world.clock().timestamp())), b"{}")
    found = await line.noted.recent()
    assert [(each.name, each.outcome) for each in found] == [
        ("other", "repeated"),
        ("other", "taken"),
        ("authorization.removed", "ended"),
        ("video.publish.completed", "taken"),
    ]
    assert [each.mark for each in found] == ["", "", *[mark_person(grant.subject)] * 2]


async def test_an_event_of_before_the_grant_is_told_to_be_late(world: World, process: Process) -> None:
    line = Line(world, process)
    _, grant, _ = await world.signed_in(process)
    await process.sessions.begin(
        type(grant)(
            tokens=grant.tokens, profile=grant.profile, profile_read_at=world.clock(), granted_at=world.clock()
        ),
        user_agent="",
        now=world.clock(),
    )
    await line.send(grant.subject, age=60)
    assert [each.outcome for each in await line.noted.recent()] == ["late"]


SUBJECT = "-ada-in-a-webhook"
"""Long enough that sealed bytes, which are random, do not have it in them by chance."""


def event(world: World, number: int, subject: str | None = SUBJECT) -> WebhookEvent:
    return WebhookEvent(f"n{number}" + "x" * 500, world.clock(), subject, "the content", f"e{number}")


async def test_it_has_bounds_and_no_content(world: World) -> None:
    log = WebhookLog(world.store, world.keyring, clock=world.clock)
    for number in range(SLOTS + 20):
        await log.note(event(world, number), "taken")
        world.clock.forward(timedelta(seconds=1))
    found = await log.recent()
    assert len(found) == SLOTS
    assert found[0].name.startswith(f"n{SLOTS + 19}x")
    assert all(len(each.name) <= 64 for each in found)
    keys = [key async for key in world.store.walk("webhook-log:")]
    assert len(keys) == SLOTS + 1
    values = [value or b"" for value in await world.store.read_many(keys)]
    written = (SUBJECT.encode(), b"content", b"x" * 8)
    assert not [value for value in values for each in written if each in value]
    for key in keys:
        left = await world.store._client.ttl(f"test:{key}")
        assert 0 < left <= KEPT.total_seconds()


async def test_another_gateways_events_are_not_told(world: World) -> None:
    await WebhookLog(world.store, world.keyring, clock=world.clock).note(event(world, 1), "taken")
    other = Keyring([b"k" * 32], b"another")
    assert await WebhookLog(world.store, other, clock=world.clock).recent() == []
    assert await WebhookLog(world.store, Keyring([b"x" * 32]), clock=world.clock).recent() == []


async def test_a_store_that_is_away_loses_the_note_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> int:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "increment", fail)
    await WebhookLog(world.store, world.keyring, clock=world.clock).note(event(world, 1), "taken")


async def test_a_person_who_is_erased_is_forgotten_here_too(world: World) -> None:
    log = WebhookLog(world.store, world.keyring, clock=world.clock)
    for number, subject in enumerate(("-ada", "-bob", "-ada", None)):
        await log.note(event(world, number, subject), "taken")
    await log.forget("-ada")
    assert {each.mark for each in await log.recent()} == {mark_person("-bob"), ""}
    await log.forget("-nobody")
    assert len(await log.recent()) == 2
