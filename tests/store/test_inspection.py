"""What `gateway doctor` is told of a Redis."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from gateway.core.finding import Finding
from gateway.errors import StoreUnavailable
from gateway.store.changes import CannotFollow
from gateway.store.inspection import Node, NodeState, ask_node, judge
from tests.redis_server import RedisServer, run_redis
from tests.store.stores import LEAST_RIGHTS, open_at

pytestmark = pytest.mark.anyio

SOUND = {"redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction", "aof_enabled": 1}
USER = "redis://gateway:secret@127.0.0.1:{port}/0"


def bad(findings: list[Finding]) -> dict[str, str]:
    return {finding.name.rsplit(": ")[-1]: finding.advice for finding in findings if not finding.ok}


async def inspect(url: str) -> list[Finding]:
    store = open_at(url, timeout=2)
    try:
        return await store.inspect()
    finally:
        await store.close()


def test_what_is_sound_needs_no_advice() -> None:
    findings = judge(NodeState("Redis", SOUND), encrypted=True)
    assert len(findings) == 6
    assert bad(findings) == {}


@pytest.mark.parametrize(
    ("encrypted", "same_machine", "advice"),
    [(True, False, None), (True, True, None), (False, True, None), (False, False, "use rediss://")],
)
def test_what_stays_on_one_machine_needs_no_encryption(encrypted: bool, same_machine: bool, advice: str | None) -> None:
    node = NodeState("Redis", SOUND)
    found = bad(judge(node, encrypted=encrypted, same_machine=same_machine)).get("encryption")
    assert (found is None) == (advice is None)
    assert advice is None or advice in str(found)


@pytest.mark.parametrize(
    ("change", "name", "advice"),
    [
        ({"redis_version": "5.0.9"}, "version", "Redis 6"),
        ({"redis_version": "?"}, "version", "Redis 6"),
        ({"role": "slave"}, "role", "read-only"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy", "noeviction"),
        ({"aof_enabled": 0}, "persistence", "appendonly yes"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(change: dict[str, object], name: str, advice: str) -> None:
    found = bad(judge(NodeState("Redis", SOUND | change), encrypted=True))
    assert list(found) == [name]
    assert advice in found[name]


async def test_a_real_redis_is_inspected(redis_server: RedisServer) -> None:
    found = bad(await inspect(redis_server.url))
    assert set(found) == {"persistence"}  # it is on this machine
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert "noeviction" in bad(await inspect(redis_server.url))["maxmemory-policy"]
    finally:
        redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("taken", "advice"),
    [
        ("-client|tracking", "add `+client|tracking`"),
        ("-subscribe", "add `resetchannels &__redis__:invalidate +subscribe`"),
        ("resetchannels", "add `resetchannels &__redis__:invalidate +subscribe`"),
    ],
)
async def test_the_right_that_following_changes_lacks_is_named(
    redis_server: RedisServer, taken: str, advice: str
) -> None:
    redis_server.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret", *LEAST_RIGHTS.split())
    redis_server.command("ACL", "LOG", "RESET")
    url = USER.format(port=redis_server.port)
    assert set(bad(await inspect(url))) == {"persistence"}
    assert redis_server.command("ACL", "LOG").startswith("*0"), "doctor asks for what the user must not"
    redis_server.command("ACL", "SETUSER", "gateway", taken)
    assert advice in bad(await inspect(url))["changes"]
    redis_server.command("ACL", "SETUSER", "gateway", "-info")
    assert "add `+info`" in bad(await inspect(url))["INFO"]


def test_valkey_is_called_by_its_own_version() -> None:
    state = NodeState("Redis", SOUND | {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"})
    assert {finding.found for finding in judge(state, encrypted=True) if finding.name == "Redis: version"} == {
        "Valkey 9.1.2"
    }


async def test_a_server_that_does_not_know_a_command_is_told_apart_from_one_that_refuses_it() -> None:
    """What stands in for Redis in tests says less of itself, and nothing wrong must be said of it."""

    async def refuse(*words: str) -> object:
        raise ResponseError("unknown command")

    async def cannot_follow() -> None:
        raise CannotFollow("CLIENT TRACKING", ResponseError("unknown subcommand"), "+client|tracking")

    found = bad(judge(await ask_node("Redis", Node(refuse, cannot_follow)), encrypted=True))
    assert "does not know INFO" in found["INFO"]
    assert "does not know CLIENT TRACKING" in found["changes"]
    assert "ACL" not in " ".join(found.values())
    found = bad(judge(NodeState("Redis", {"redis_version": "6.2.0"}), encrypted=True))
    assert "role" not in found


async def test_the_embedded_store_says_what_it_is() -> None:
    assert "real Redis" in bad(await inspect("memory://"))["store"]


async def test_a_redis_that_is_away_is_told() -> None:
    with run_redis() as server:
        server.stop()
        with pytest.raises(StoreUnavailable):
            await inspect(server.url)
