"""Gateways that share a store and even the keys do not take each other's records for their own."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from gateway.core.binding import new_binding
from gateway.core.grant import Grant, build_grant_key
from gateway.core.kept_post import KeptPost, build_post_key, new_post_id
from gateway.core.keyring import Keyring, name_instance
from gateway.core.record import seal_record
from gateway.core.session import build_session_key
from gateway.core.sign_in import hash_binding
from gateway.core.tiktok import Profile, TokenSet
from gateway.core.webhook import AHEAD, WebhookEvent
from gateway.flows.kept_posts import KeptPosts
from gateway.flows.outbox import Outbox, Save
from gateway.flows.sessions import Sessions, SignedIn
from gateway.flows.webhook import Webhook
from gateway.flows.webhook_log import WebhookLog
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

KEY = b"k" * 32
APP, SECRET = "simulated-client-key", "s"
OTHERS = {"public url": (APP, "https://b.example"), "client key": ("another", "https://a.example")}


def keyring(client_key: str = APP, name: str = "https://a.example") -> Keyring:
    return Keyring([KEY], name_instance(client_key, name))


def sessions_of(world: World, client_key: str = APP, name: str = "https://a.example") -> Sessions:
    return Sessions(world.store, keyring(client_key, name), world.limits, client_key=client_key)


def grant_of(world: World, subject: str = "-ada") -> Grant:
    now = world.clock()
    tokens = TokenSet(
        subject, "act", "rft", ("user.info.basic",), now, now + timedelta(days=1), now + timedelta(days=9)
    )
    return Grant(tokens=tokens, profile=Profile(open_id=subject, username="ada"), profile_read_at=now)


async def begin(world: World, sessions: Sessions) -> str:
    """Sign Ada in; returns the store key of her session."""
    session_id = await sessions.begin(grant_of(world), user_agent="test", now=world.clock())
    key = build_session_key(session_id.encode())
    assert key is not None
    return key


async def read(world: World, sessions: Sessions, key: str) -> SignedIn | None:
    return await sessions.read(key, world.clock())


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_a_session_opens_where_it_began_and_nowhere_else(world: World, other: tuple[str, str]) -> None:
    a, b = sessions_of(world), sessions_of(world, *other)
    key = await begin(world, a)
    assert await read(world, b, key) is None
    assert await b.read_sessions([key], world.clock()) == []
    assert await b.of_subject("-ada", world.clock()) == []
    assert await read(world, a, key) is not None
    assert await read(world, sessions_of(world), key) is not None  # a replica


@pytest.mark.parametrize("keep", [True, False])
async def test_signing_out_of_one_leaves_the_other_and_its_grant(world: World, keep: bool) -> None:
    a, b = sessions_of(world), sessions_of(world, APP, "https://b.example")
    b._keep_grants = keep
    of_a, first, second = await begin(world, a), await begin(world, b), await begin(world, b)
    assert set(await b.sign_out_all("-ada", world.clock())) == {first, second}
    assert await read(world, b, first) is None
    assert await read(world, b, second) is None
    assert await read(world, a, of_a) is not None
    third = await read(world, b, await begin(world, b))
    assert third is not None
    await b.end(third)
    left = await read(world, a, of_a)
    assert left is not None
    await a.end(left)
    # and with the last of all, the grant goes
    assert await a.read_grant(left.session.grant_key) is None


async def test_when_tiktok_ends_the_grant_it_ends_for_all_of_the_app(world: World) -> None:
    a, b, c = sessions_of(world), sessions_of(world, APP, "https://b.example"), sessions_of(world, "another")
    of_a, of_c = await begin(world, a), await begin(world, c)
    await b.end_all("-ada", world.clock())
    assert await read(world, a, of_a) is None
    assert await read(world, c, of_c) is not None


async def test_grants_of_another_app_are_not_listed(world: World) -> None:
    a, other = sessions_of(world), sessions_of(world, "another")
    await begin(world, a)
    keys = [key async for key in world.store.walk("grant:")]
    assert [grant.subject for grant in (await a.read_grants(keys)).values()] == ["-ada"]
    assert await other.read_grants(keys) == {}


async def test_records_of_an_older_version_are_read_until_they_are_written_anew(world: World) -> None:
    before = Sessions(world.store, Keyring([KEY]), world.limits, client_key=APP)
    a, b = sessions_of(world), sessions_of(world, APP, "https://b.example")
    key = await begin(world, before)
    assert await read(world, sessions_of(world, "another"), key) is None
    found = await read(world, a, key)
    assert found is not None
    world.clock.forward(timedelta(minutes=2))
    await a.touch(found, world.clock())
    assert await read(world, a, key) is not None
    assert await read(world, b, key) is None
    found = await read(world, a, key)
    assert found is not None
    assert found.session.instance == name_instance(APP, "https://a.example")


async def test_what_an_older_version_reads_it_understands(world: World) -> None:
    """A replica that has not been replaced yet opens what a newer one writes: the field is more than it looks at."""
    day = timedelta(days=1)
    newer = Sessions(world.store, keyring(), world.limits, client_key=APP, compact_after=day)

    class OldSession(msgspec.Struct):
        subject: str
        grant_key: str

    key = await begin(world, newer)
    sealed = await world.store.read(key)
    assert sealed is not None
    old = msgspec.msgpack.decode(Keyring([KEY]).open("session", sealed, context=key.encode()), type=OldSession)
    assert (old.subject, old.grant_key) == ("-ada", build_grant_key(APP, "-ada"))


async def test_a_form_is_given_back_by_the_gateway_that_kept_it(world: World) -> None:
    async def count(address: str) -> None:
        """No limit."""

    a, b = (KeptPosts(world.store, keyring(name=name), count) for name in ("https://a.example", "https://b.example"))
    binding, post_id = new_binding(), new_post_id()
    post = KeptPost(hash_binding(binding.value), "/x", "application/x-www-form-urlencoded", ())
    await world.store.write(build_post_key(post_id), seal_record(keyring(), build_post_key(post_id), post), 60)
    assert await b.take(post_id, [binding]) is None
    found = await a.take(post_id, [binding])
    assert found is not None
    assert found.target == "/x"


async def test_jobs_are_left_to_the_gateway_that_has_them(world: World) -> None:
    done: list[str] = []

    def build(name: str) -> Outbox:
        async def work(data: bytes, save: Save) -> None:
            done.append(name)

        outbox = Outbox(world.store, keyring(name=name), {"work": work}, clock=world.clock)
        outbox._closed = True
        return outbox

    a, b = build("https://a.example"), build("https://b.example")
    await a.add("x", "work", b"")
    assert not await b.perform("x")
    assert await b.holds("x")
    assert await world.store.members("jobs", now=0) == ["x"]
    assert await a.perform("x")
    assert done == ["https://a.example"]


class Events:
    """An app that notes what it is passed on."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def __call__(self, event: WebhookEvent, body: bytes) -> None:
        self.taken.append(event.name)


def webhook(world: World, events: Events, instance: str, process: Process) -> Webhook:
    return Webhook(
        world.store,
        process.sessions,
        client_key=APP,
        client_secret=SECRET,
        tolerance=timedelta(hours=1),
        instance=instance,
        pass_on=events,
        noted=WebhookLog(world.store, world.keyring, clock=world.clock),
        clock=world.clock,
    )


def event(world: World, ahead: timedelta = timedelta(0)) -> tuple[str, bytes]:
    """Return a signature of that far in the future, and the body."""
    body = json.dumps({"client_key": APP, "event": "video.publish.completed", "create_time": 1}).encode()
    moment = str(int((world.clock() + ahead).timestamp()))
    signature = hmac.new(SECRET.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={moment},s={signature}", body


async def test_an_event_that_one_has_taken_is_taken_by_the_other(world: World, process: Process) -> None:
    events, body = Events(), event(world)
    await webhook(world, events, "a", process).take(*body)
    await webhook(world, events, "a", process).take(*body)
    assert len(events.taken) == 1
    await webhook(world, events, "b", process).take(*body)
    assert len(events.taken) == 2


async def test_a_mark_of_an_older_version_counts(world: World, process: Process) -> None:
    events, (signature, body) = Events(), event(world)
    await world.store.write(f"webhook:{hashlib.sha256(body).hexdigest()[:32]}", b"taken", 60)
    await webhook(world, events, "a", process).take(signature, body)
    assert events.taken == []


async def test_an_event_is_known_for_as_long_as_its_signature_is_good(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it was signed by a clock that is ahead of ours: it is good for that much longer."""
    lasting: list[int] = []
    write = world.store.write

    async def note(key: str, value: bytes, ttl: int) -> None:
        if key.startswith("webhook:"):
            lasting.append(ttl)
        await write(key, value, ttl)

    monkeypatch.setattr(world.store, "write", note)
    events, (signature, body) = Events(), event(world, ahead=AHEAD - timedelta(seconds=2))
    taking = webhook(world, events, "a", process)
    await taking.take(signature, body)
    world.clock.forward(timedelta(hours=1) + AHEAD - timedelta(seconds=4))
    await taking.take(signature, body)  # it is good still, and known
    assert events.taken == ["video.publish.completed"]
    assert lasting == [lasts for lasts in lasting if lasts > (timedelta(hours=1) + AHEAD).total_seconds()]
    assert len(lasting) == 1


def test_the_name_of_an_instance_is_of_app_and_place() -> None:
    names = [(APP, "a"), (APP, "b"), ("another", "a"), (APP + "a", ""), (APP, "")]
    assert len({name_instance(*name) for name in names}) == len(names)


def keys_of(found: Sequence[tuple[str, object]]) -> list[str]:
    return [key for key, _ in found]


async def test_what_no_key_opens_is_counted_and_what_is_anothers_is_not(world: World) -> None:
    a, b = sessions_of(world), sessions_of(world, APP, "https://b.example")
    of_a, of_b = await begin(world, a), await begin(world, b)
    stranger = Sessions(world.store, Keyring([b"x" * 32]), world.limits, client_key=APP)
    unreadable: set[str] = set()
    assert keys_of(await a.of_subject("-ada", world.clock(), unreadable)) == [of_a]
    assert unreadable == set()
    assert await stranger.read_sessions([of_a, of_b], world.clock(), unreadable) == []
    assert unreadable == {of_a, of_b}
