"""One contract for every store: the embedded one and a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from gateway.errors import SettingsError, StoreUnavailable
from gateway.store.redis import RedisStore
from tests.ports import free_port
from tests.redis_server import RedisServer, run_redis
from tests.redis_topologies import SERVICE, Watched, run_cluster, run_sentinel
from tests.store.stores import LEAST_RIGHTS, make_certificates, open_at, until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def watched() -> Generator[Watched]:
    with run_sentinel() as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Generator[list[RedisServer]]:
    with run_cluster() as nodes:
        yield nodes


@pytest.fixture(params=["memory", "redis", "user", "unix", "tls", "sentinel", "cluster"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[RedisStore]:
    with contextlib.ExitStack() as stack:
        store = open_topology(request, stack, tmp_path)
        yield store
        await store.close()


def open_topology(request: pytest.FixtureRequest, stack: contextlib.ExitStack, folder: Path) -> RedisStore:
    match request.param:
        case "memory":
            return open_at("memory://")
        case "sentinel":
            watched: Watched = request.getfixturevalue("watched")
            watched.master.command("FLUSHALL")
            return open_at(sentinel={"nodes": [watched.node], "service": SERVICE})
        case "cluster":
            nodes: list[RedisServer] = request.getfixturevalue("cluster")
            for node in nodes:
                node.command("FLUSHALL")
            return open_at(cluster={"nodes": [f"127.0.0.1:{node.port}" for node in nodes[:2]]})
        case "unix":
            socket_path = folder / "redis"
            stack.enter_context(run_redis("--unixsocket", str(socket_path)))
            return open_at(f"unix://{socket_path}")
        case "tls":
            certificates = make_certificates(folder)
            port = free_port()
            stack.enter_context(run_redis("--tls-port", str(port), *certificates.redis_words))
            return open_at(f"rediss://127.0.0.1:{port}/0", tls=certificates.settings)
        case _:
            server: RedisServer = request.getfixturevalue("redis_server")
            server.command("FLUSHALL")
            if request.param == "redis":
                return open_at(server.url)
            server.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *LEAST_RIGHTS.split())
            return open_at(f"redis://gateway:secret@127.0.0.1:{server.port}/0")


async def test_what_is_written_is_read(store: RedisStore) -> None:
    assert await store.read("a") is None
    await store.write("a", b"\x00\xff", 60)
    assert await store.read("a") == b"\x00\xff"
    assert await store.read_many(["a", "b", "a"]) == [b"\x00\xff", None, b"\x00\xff"]
    assert await store.read_many([]) == []


async def test_deleting_counts_what_was_there(store: RedisStore) -> None:
    await store.write("a", b"1", 60)
    assert await store.delete("a", "b") == 1
    assert await store.delete() == 0
    assert await store.read("a") is None


async def test_a_value_is_replaced_only_while_it_is_what_was_read(store: RedisStore) -> None:
    assert not await store.replace("a", old=b"1", new=b"2", ttl=60)
    assert await store.read("a") is None
    await store.write("a", b"1", 60)
    assert not await store.replace("a", old=b"0", new=b"2", ttl=60)
    assert await store.replace("a", old=b"1", new=b"2", ttl=60)
    assert await store.read("a") == b"2"


async def test_many_values_are_replaced_at_once_each_while_it_is_what_was_read(store: RedisStore) -> None:
    keys = [f"session:{number}" for number in range(20)]
    assert await store.replace_each([]) == []
    for key in keys[:10]:
        await store.write(key, b"1\r\n\x00" * 100, 60)
    told: list[str | None] = []
    store.follow(told.append)
    swaps = [(key, b"1\r\n\x00" * 100 if number != 3 else b"0", b"2\xff", 60) for number, key in enumerate(keys)]
    assert await store.replace_each(swaps) == [number < 10 and number != 3 for number in range(20)]
    assert set(keys) <= set(told)
    found = await store.read_many(keys)
    assert [value == b"2\xff" for value in found] == [number < 10 and number != 3 for number in range(20)]
    assert await store.replace_each(swaps) == [False] * 20


async def test_a_redis_that_has_started_anew_is_taught_the_script_again(redis_server: RedisServer) -> None:
    store = open_at(redis_server.url)
    await store.write("session:a", b"1", 60)
    redis_server.command("SCRIPT", "FLUSH")
    assert await store.replace_each([("session:a", b"1", b"2", 60), ("session:b", b"1", b"2", 60)]) == [True, False]
    assert await store.replace_each([("session:a", b"2", b"3", 60)]) == [True]
    await store.close()


async def test_of_many_who_replace_one_wins(store: RedisStore) -> None:
    await store.write("a", b"0", 60)
    won = await asyncio.gather(*(store.replace("a", old=b"0", new=b"%d" % n, ttl=60) for n in range(1, 30)))
    assert won.count(True) == 1


async def test_of_many_who_take_one_gets_it(store: RedisStore) -> None:
    await store.write("a", b"1", 60)
    taken = await asyncio.gather(*(store.take("a") for _ in range(50)))
    assert sorted(taken, key=bool) == [None] * 49 + [b"1"]


async def test_an_index_forgets_members_past_their_time(store: RedisStore) -> None:
    now = int(time.time())
    await store.add_member("i", "old", expires_at=now + 40, now=now)
    await store.add_member("i", "new", expires_at=now + 100, now=now)
    assert sorted(await store.members("i", now=now)) == ["new", "old"]
    assert await store.members("i", now=now + 50) == ["new"]
    await store.add_member("i", "newer", expires_at=now + 200, now=now + 50)
    assert sorted(await store.members("i", now=now)) == ["new", "newer"]
    assert await store.remove_member("i", "new") == 1
    assert await store.remove_member("i", "nobody") == 1
    assert await store.remove_member("i", "newer") == 0


async def test_a_counter_counts_and_ends(store: RedisStore) -> None:
    assert [await store.increment("c", ttl=1) for _ in range(3)] == [1, 2, 3]
    assert [await store.increment("of many", ttl=60, by=by) for by in (5, 70_000)] == [5, 70_005]
    await asyncio.sleep(1.1)
    assert await store.increment("c", ttl=1) == 1


async def test_a_lease_has_one_holder(store: RedisStore) -> None:
    assert await store.acquire_lease("l", "me", 60_000)
    assert not await store.acquire_lease("l", "you", 60_000)
    assert not await store.renew_lease("l", "you", 60_000)
    await store.release_lease("l", "you")
    assert not await store.acquire_lease("l", "you", 60_000)
    assert await store.renew_lease("l", "me", 60_000)
    await store.release_lease("l", "me")
    assert await store.acquire_lease("l", "you", 60_000)


async def test_a_lease_runs_out(store: RedisStore) -> None:
    assert await store.acquire_lease("l", "me", 100)
    await asyncio.sleep(0.2)
    assert not await store.renew_lease("l", "me", 100)
    assert await store.acquire_lease("l", "you", 100)


async def test_every_key_ends_by_itself(redis_server: RedisServer) -> None:
    redis_server.command("FLUSHALL")
    store = open_at(redis_server.url, timeout=2)
    now = int(time.time())
    await store.write("w", b"1", 60)
    await store.replace("w", old=b"1", new=b"2", ttl=60)
    await store.increment("c", ttl=60)
    await store.increment("c", ttl=60)
    await store.acquire_lease("l", "me", 60_000)
    await store.add_member("i", "m", expires_at=now + 60, now=now)
    await store.close()
    for key in ("w", "c", "l", "i"):
        ttl = int(redis_server.command("TTL", f"test:{key}").split("\r\n")[0][1:])
        assert 0 < ttl <= 60, key


async def test_a_redis_that_is_away_is_told_apart_from_an_empty_one() -> None:
    with run_redis() as server:
        store = open_at(server.url, timeout=0.5)
        await store.write("a", b"1", 60)
        server.stop()
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{server.port}"):
            await store.read("a")
        server.start()
        await store.ping()
        assert await store.read("a") is None
        await store.close()


async def test_a_redis_that_hangs_is_given_up_in_time() -> None:
    with run_redis() as server:
        store = open_at(server.url, timeout=0.5)
        await store.ping()
        server.pause()
        async with asyncio.timeout(20):
            results = await asyncio.gather(*(store.read("a") for _ in range(100)), return_exceptions=True)
        assert all(isinstance(result, StoreUnavailable) for result in results)
        server.resume()
        await store.ping()
        await store.close()


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ([("REPLICAOF", "127.0.0.1", "1")], "read-only"),
        ([("CONFIG", "SET", "maxmemory", "1")], "full"),
        ([("CONFIG", "SET", "requirepass", "x")], "password"),
    ],
)
async def test_a_redis_that_refuses_is_explained(commands: list[tuple[str, ...]], words: str) -> None:
    with run_redis() as server:
        for command in commands:
            server.command(*command)
        store = open_at(server.url, timeout=2)
        with pytest.raises(StoreUnavailable, match=words):
            await store.write("a", b"1", 60)
        await store.close()


async def test_a_password_is_never_told() -> None:
    store = open_at("redis://user:hunter2@127.0.0.1:1/0", timeout=0.5)
    with pytest.raises(StoreUnavailable) as caught:
        await store.ping()
    assert "hunter2" not in str(caught.value)
    await store.close()


async def test_every_change_of_ones_own_is_told_before_the_call_returns(store: RedisStore) -> None:
    keys: list[str | None] = []
    store.follow(keys.append)
    for change in (
        store.write("session:a", b"1", 60),
        store.replace("session:a", old=b"1", new=b"2", ttl=60),
        store.delete("session:a"),
    ):
        keys.clear()
        await change
        assert "session:a" in keys


async def test_the_embedded_store_follows_from_the_start() -> None:
    store = open_at("memory://", timeout=2)
    assert not store.following
    store.follow(lambda key: None)
    assert store.following
    await store.close()


async def follow(server: RedisServer, keys: list[str | None]) -> RedisStore:
    store = open_at(server.url, timeout=0.5)
    store.follow(keys.append)
    assert not store.following
    await store.read("session:a")
    await until(lambda: store.following)
    return store


async def test_what_others_change_is_told(redis_server: RedisServer) -> None:
    keys: list[str | None] = []
    store = await follow(redis_server, keys)
    for words in (("SET", "test:session:a", "1"), ("SET", "test:grant:b", "1"), ("DEL", "test:session:a")):
        keys.clear()
        redis_server.command(*words)
        await until(lambda words=words: words[1].removeprefix("test:") in keys)  # type: ignore[misc]
    keys.clear()
    redis_server.command("SET", "test:session:short", "1", "PX", "20")
    await until(lambda: keys.count("session:short") == 2)  # written, and expired by itself
    keys.clear()
    redis_server.command("SET", "test:attempt:c", "1")
    redis_server.command("SET", "test:session:d", "1")
    await until(lambda: "session:d" in keys)
    assert "attempt:c" not in keys
    keys.clear()
    redis_server.command("FLUSHALL")
    await until(lambda: None in keys)
    await store.close()


async def test_a_lost_channel_is_noticed_and_found_again(redis_server: RedisServer) -> None:
    keys: list[str | None] = []
    store = await follow(redis_server, keys)
    keys.clear()
    redis_server.command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: None in keys)
    assert not store.following
    await until(lambda: store.following)
    await store.close()


async def test_a_channel_that_goes_silent_is_not_relied_on(redis_server: RedisServer) -> None:
    """A connection that nobody closed, over which nothing comes any more."""
    store = await follow(redis_server, [])
    redis_server.pause()
    try:
        await until(lambda: not store.following)
    finally:
        redis_server.resume()
    await until(lambda: store.following)
    await store.close()


@pytest.mark.parametrize("missing", ["fakeredis", "lupa"])
async def test_the_embedded_store_names_the_extra_it_needs(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `lupa`, fakeredis is there, but runs none of the scripts."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=r"pip install \'\.\[demo\]\'"):
        open_at("memory://")


async def test_a_cluster_that_nobody_answers_for_is_away() -> None:
    store = open_at(cluster={"nodes": [f"127.0.0.1:{free_port()}"]}, timeout=1)
    for call in (store.ping, lambda: store.read("a"), store.inspect):
        with pytest.raises(StoreUnavailable):
            await call()
    await store.close()


async def test_every_store_can_be_inspected(store: RedisStore) -> None:
    findings = {finding.name.rsplit(": ")[-1]: finding for finding in await store.inspect()}
    if "store" in findings:  # the embedded one
        return
    assert {"version", "role", "maxmemory-policy", "persistence", "changes", "encryption"} == set(findings)
    assert (findings["changes"].ok, findings["changes"].found) == (True, "told")


async def walk_in_steps(store: RedisStore, kind: str, count: int) -> list[str]:
    found: list[str] = []
    at: str | None = ""
    while at is not None:
        some, at = await store.step(kind, at, count)
        found += some
    return found


async def test_a_walk_in_steps_finds_all_of_a_kind(store: RedisStore) -> None:
    sessions = {f"session:{number}" for number in range(120)}
    for key in (*sessions, *(f"grant:{number}" for number in range(120))):
        await store.write(key, b"x", 60)
    assert set(await walk_in_steps(store, "session:", 10)) == sessions
    assert set(await walk_in_steps(store, "session:", 1000)) == sessions
    assert await walk_in_steps(store, "none:", 10) == []
    # a step is a part: nobody waits for all of it
    some, at = await store.step("session:", "", 10)
    assert len(some) < len(sessions)
    assert at is not None
    # what is there from the beginning to the end is found, though others come and go
    found, left = set(some), {f"session:{number}" for number in range(60)}
    for number in range(60, 120):
        await store.delete(f"session:{number}")
        await store.write(f"session:new-{number}", b"x", 60)
    while at is not None:
        some, at = await store.step("session:", at, 10)
        found |= set(some)
    if "embedded" not in store.address:  # fakeredis counts in the list of keys, which has become another
        assert left <= found


@pytest.mark.parametrize("at", ["x", "-1", "1.5", "18446744073709551616", "9" * 100, "@", "a:1@x", "\0"])
async def test_a_step_from_nowhere_is_refused(store: RedisStore, at: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.step("session:", at, 10)
