"""Another master takes over, a slot moves, a node goes: nothing is lost, nothing old is believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import StoreUnavailable
from gateway.store.redis import RedisStore
from tests.redis_server import RedisServer
from tests.redis_topologies import SERVICE, move_slot, run_cluster, run_sentinel
from tests.store.stores import LEAST_RIGHTS, open_at, until
from tests.waiting import wait_for

pytestmark = pytest.mark.anyio

TIMEOUT = 1.0


async def persist(call: Callable[[], Awaitable[object]], *, within: float = 20) -> object:
    """Call until there is an answer; each call ends in time."""
    end = time.monotonic() + within
    while True:
        began = time.monotonic()
        try:
            return await call()
        except StoreUnavailable:
            assert time.monotonic() - began < TIMEOUT + 1
            assert time.monotonic() < end, "it does not recover"
            await asyncio.sleep(0.05)


async def follow(store: RedisStore, keys: list[str | None]) -> None:
    store.follow(keys.append)
    await store.read("session:a")
    await until(lambda: store.following)


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_the_next_master_is_followed(fault: str) -> None:
    with run_sentinel() as watched:
        store = open_at(sentinel={"nodes": [watched.node], "service": SERVICE}, timeout=TIMEOUT)
        keys: list[str | None] = []
        await follow(store, keys)
        await store.write("session:a", b"1", 60)
        await asyncio.to_thread(
            wait_for, lambda: watched.replica.command("GET", "test:session:a")[0:2] == "$1", "a copy"
        )
        strike, heal = {
            "kill": (watched.master.stop, watched.master.start),
            "pause": (watched.master.pause, watched.master.resume),
        }[fault]
        strike()
        await until(lambda: not store.following)
        assert None in keys
        await asyncio.to_thread(wait_for, lambda: watched.named_port() == watched.replica.port, "failover")
        assert await persist(lambda: store.read("session:a")) == b"1"
        await persist(lambda: store.write("session:a", b"2", 60))
        await until(lambda: store.following)
        # the old one comes back, with what it knew
        heal()
        for _ in range(50):
            assert await persist(lambda: store.read("session:a")) == b"2"
            await asyncio.sleep(0.02)
        keys.clear()
        watched.replica.command("SET", "test:session:b", "1")
        await until(lambda: "session:b" in keys)
        await store.close()


def open_cluster(nodes: list[RedisServer]) -> RedisStore:
    return open_at(cluster={"nodes": [f"127.0.0.1:{node.port}" for node in nodes]}, timeout=TIMEOUT)


async def test_a_slot_that_moves_takes_its_sessions_along() -> None:
    with run_cluster() as nodes:
        store, keys = open_cluster(nodes), list[str | None]()
        await follow(store, keys)
        await store.write("session:a", b"1", 60)
        for _ in range(2):
            keys.clear()
            target = await asyncio.to_thread(move_slot, "test:session:a", nodes)
            assert await store.read_many(["session:a", "grant:b"]) == [b"1", None]
            keys.clear()
            target.command("SET", "test:session:a", "1", "EX", "60")
            await until(lambda: "session:a" in keys)
        assert await store.replace("session:a", old=b"1", new=b"2", ttl=60)
        await store.close()


async def test_every_master_of_a_cluster_is_followed_or_none_is_relied_on() -> None:
    with run_cluster() as nodes:
        store, keys = open_cluster(nodes), list[str | None]()
        await follow(store, keys)
        for key in ("session:a", "session:b", "session:c", "grant:a", "grant:b"):
            await store.write(key, b"1", 60)
        assert await store.read_many(["session:a", "grant:a", "session:b"]) == [b"1"] * 3
        nodes[1].pause()
        await until(lambda: not store.following)
        nodes[1].resume()
        await until(lambda: store.following)
        await store.close()


async def test_every_master_of_a_cluster_is_inspected() -> None:
    with run_cluster() as nodes:
        store = open_cluster(nodes)
        findings = await store.inspect()
        assert len({finding.name.rsplit(": ")[0] for finding in findings}) == 3
        await store.close()


async def test_the_rights_that_the_readme_names_are_enough_in_a_cluster() -> None:
    with run_cluster() as nodes:
        rights = f"{LEAST_RIGHTS} +cluster|slots +command"
        for node in nodes:
            node.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *rights.split())
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        store = open_at(cluster={"nodes": addresses, "username": "gateway", "password": "secret"}, timeout=TIMEOUT)
        await follow(store, [])
        await store.write("session:a", b"1", 60)
        assert await store.replace("session:a", old=b"1", new=b"2", ttl=60)
        assert await store.read("session:a") == b"2"
        assert len(await store.inspect()) == 18
        await store.close()
