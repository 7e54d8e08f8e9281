"""The feed of changes lives on, whatever others write and publish, and says why while it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from redis.exceptions import RedisClusterException

from gateway.store import changes, cluster
from gateway.store.changes import ChangeFeed
from gateway.store.cluster import ClusterFeed
from gateway.store.redis import RedisStore
from tests.redis_server import RedisServer
from tests.store.stores import LEAST_RIGHTS, open_at, until

pytestmark = pytest.mark.anyio

CHANNEL = b"__redis__:invalidate"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the feed has told the log."""
    lines: list[dict[str, Any]] = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda event, **words: lines.append({"level": level, "event": event, **words})

    monkeypatch.setattr("gateway.store.changes.log", Log())
    return lines


class Followed:
    """A store that is followed, and what it has told."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.keys: list[str | None] = []
        self.store: RedisStore = open_at(server.url, timeout=0.5)
        self.store.follow(self.keys.append)

    async def hears(self) -> bool:
        """Whether a change is still told, on the same connection."""
        self.keys.clear()
        self.server.command("SET", "test:session:a", "1")
        await until(lambda: "session:a" in self.keys)
        return self.store.following and None not in self.keys


@pytest.fixture
async def followed(redis_server: RedisServer) -> AsyncGenerator[Followed]:
    redis_server.command("FLUSHALL")
    followed = Followed(redis_server)
    followed.store.start()
    await until(lambda: followed.store.following)
    yield followed
    await followed.store.close()


async def test_what_others_publish_is_ignored_and_told_once(followed: Followed, told: list[dict[str, Any]]) -> None:
    for word in ("x", "", "session:a", "test:session:a"):
        followed.server.command("PUBLISH", CHANNEL.decode(), word)
    followed.server.command("PUBLISH", "another", "x")
    assert await followed.hears()
    assert [line["event"] for line in told] == ["store_changes_odd"]


async def test_keys_that_cannot_be_ours_are_ignored(followed: Followed) -> None:
    for name in ("'test:session:' .. string.char(255)", "'test:session:é'", "'test:session:'", "'test:grant:\\n'"):
        assert followed.server.command("EVAL", f"return redis.call('SET', {name}, '1')", "0").startswith("+OK")
    assert await followed.hears()
    found = [key async for key in followed.store.walk("session:")]
    assert sorted(found) == ["session:", "session:a"]
    assert await followed.store.read_many(found) == [b"1"] * 2


async def test_members_of_an_index_that_cannot_be_ours_are_left_out(followed: Followed) -> None:
    followed.server.command("EVAL", "return redis.call('ZADD', 'test:jobs', 99, string.char(255), 99, 'a')", "0")
    assert await followed.store.members("jobs", now=1) == ["a"]


@pytest.mark.parametrize(
    ("taken", "given", "advice"),
    [
        ("-subscribe", "+subscribe", "`resetchannels &__redis__:invalidate +subscribe`"),
        ("resetchannels", "&__redis__:invalidate", "`resetchannels &__redis__:invalidate +subscribe`"),
        ("-client|tracking", "+client|tracking", "`+client|tracking`"),
    ],
)
async def test_a_refusal_is_told_once_with_the_right_that_is_missing(
    redis_server: RedisServer,
    told: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    taken: str,
    given: str,
    advice: str,
) -> None:
    monkeypatch.setattr(changes, "RETRY", 0.02)
    redis_server.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *LEAST_RIGHTS.split())
    redis_server.command("ACL", "SETUSER", "gateway", taken)
    store = open_at(f"redis://gateway:secret@127.0.0.1:{redis_server.port}/0", timeout=1)
    ups: list[bool] = []
    store.follow(lambda _: ups.append(store.following))
    redis_server.command("ACL", "LOG", "RESET")
    store.start()
    await until(lambda: len(ups) >= 4)
    assert not any(ups), "it was relied on before Redis had said that it would tell"
    assert [(line["level"], line["event"]) for line in told] == [("warning", "store_changes_not_followed")]
    assert advice in told[0]["advice"]
    redis_server.command("ACL", "SETUSER", "gateway", given)
    await until(lambda: store.following)
    assert [line["event"] for line in told[1:]] == ["store_changes_followed_again"]
    await store.close()


class Script:
    """A redis-py client whose pub/sub connections say what is in the script: messages, and errors to raise."""

    def __init__(self, *connections: list[object]) -> None:
        self.connections = list(connections)
        self.opened = 0

    def pubsub(self) -> ScriptedPubSub:
        self.opened += 1
        return ScriptedPubSub(self.connections.pop(0) if self.connections else [])

    async def aclose(self) -> None:
        """There is nothing to close."""


class ScriptedPubSub:
    def __init__(self, said: list[object]) -> None:
        self.said = [{"type": "subscribe", "channel": CHANNEL, "data": 1}, *said]
        self.connection = self

    async def connect(self) -> None: ...
    async def send_command(self, *words: object) -> None: ...
    async def subscribe(self, channel: str) -> None: ...
    async def ping(self) -> None: ...

    async def read_response(self) -> object:
        return 7

    async def get_message(self, *, timeout: float) -> object:  # noqa: ASYNC109 -- as redis-py has it
        if not self.said:
            await asyncio.sleep(timeout)
            return None
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def aclose(self) -> None:
        raise RuntimeError("a connection that cannot even be closed")


def message(data: object, kind: str = "message", channel: bytes = CHANNEL) -> dict[str, object]:
    return {"type": kind, "channel": channel, "data": data}


async def test_messages_of_every_odd_kind_are_survived() -> None:
    odd = [
        message(b"x"),
        message(7),
        message("x"),
        message({b"session:x": b"1"}),
        message([b"session:x"], channel=b"another"),
        message([b"session:x"], kind="pmessage"),
        message([b"session:x"], kind="nonsense"),
        message([b"\xff", b"session:\xc3\xa9"]),
        message([]),
    ]
    client, keys = Script([*odd, message([b"session:a"]), message([7, b"session:b"]), message(None)]), list[Any]()
    feed = ChangeFeed(client, ["session:"], timeout=1)
    feed.start(keys.append)
    await until(lambda: keys.count(None) == 3)
    assert keys == [None, "session:a", None, "session:b", None]
    assert feed.up
    assert client.opened == 1
    await feed.close()


@pytest.mark.parametrize(
    "fault",
    [
        AttributeError("a bug"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
        KeyError("type"),
        OSError(),
        ValueError(),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_whatever_goes_wrong_the_feed_tries_again(
    fault: Exception, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "RETRY", 0.01)
    client, keys = Script([fault], [fault], [message([b"session:a"])]), list[Any]()
    feed = ChangeFeed(client, ["session:"], timeout=1)
    feed.start(keys.append)
    await until(lambda: "session:a" in keys)
    assert feed.up
    # each connection tells at its beginning and at its end that anything may have changed
    assert keys == [None, None, None, None, None, "session:a"]
    assert [line["event"] for line in told] == ["store_changes_not_followed", "store_changes_followed_again"] * 2
    await feed.close()


async def test_a_follower_that_fails_does_not_end_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "RETRY", 0.01)
    client, calls = Script(), list[object]()
    feed = ChangeFeed(client, ["session:"], timeout=1)

    def changed(key: str | None) -> None:
        calls.append(key)
        if len(calls) <= 5:
            raise RuntimeError("a bug")

    feed.start(changed)
    await until(lambda: feed.up and len(calls) > 5)
    await feed.close()


class Topology:
    """A redis-py cluster client: its node's CLUSTER SLOTS is what the script says, the last of it for ever."""

    host = "127.0.0.1"

    def __init__(self, *said: object) -> None:
        self.said = list(said)

    async def initialize(self) -> None: ...

    def get_random_primary_node(self) -> Topology:
        return self

    async def execute_command(self, words: str) -> object:
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.mark.parametrize("odd", [None, [], [[0]], [[0, 1, [b"\xff", "x"]]], 7, RedisClusterException(), KeyError()])
async def test_whatever_a_cluster_says_of_itself_its_changes_are_followed_in_the_end(
    odd: object, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PULSE", 0.01)
    monkeypatch.setattr("gateway.store.cluster.log", changes.log)  # type: ignore[attr-defined]
    slots = [[0, 16383, [b"", 7000]]]
    keys: list[str | None] = []
    feed = ClusterFeed(
        Topology(slots, odd, odd, slots),
        lambda host, port: ChangeFeed(Script([message([b"session:a"])]), ["session:"], timeout=1),
        timeout=1,
    )
    ups: list[bool] = []

    def changed(key: str | None) -> None:
        keys.append(key)
        ups.append(feed.up)

    feed.start(changed)
    await until(lambda: False in ups and True in ups and feed.up and "session:a" in keys)
    await feed.close()


async def test_a_cluster_without_masters_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PULSE", 0.01)
    feed = ClusterFeed(Topology([]), lambda host, port: ChangeFeed(Script(), [], timeout=1), timeout=1)
    ups: list[bool] = []
    feed.start(lambda key: ups.append(feed.up))
    await until(lambda: bool(ups))
    assert not feed.up
    assert not any(ups)
    await feed.close()
