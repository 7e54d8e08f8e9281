"""Whether a Redis is set up so that nobody is signed out by it: version, memory, persistence, rights, encryption.

What one node says of itself comes in as values; only `ask_node` asks. It asks nothing that a good ACL refuses: a denied
command is an alarm in Redis' ACL LOG. Not every server that speaks Redis' protocol says all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from gateway.core.finding import Finding
from gateway.store.changes import CannotFollow

Execute = Callable[..., Awaitable[Any]]

OLDEST: Final = (6, 0)
"""The first version with CLIENT TRACKING and ACLs."""
REFUSED: Final = "it runs: mend the user or the password in `redis`, or that user in Redis' ACL"
"""What to do where a Redis lets nobody in by this user and password."""
_UNSAID: Final = "not told by this server"


class Node(NamedTuple):
    """A way to ask a node: a command, and whether it would tell changes (raises as `ChangeFeed.try_out` does)."""

    execute: Execute
    try_feed: Callable[[], Awaitable[None]]


Nodes = Callable[[], Awaitable[Mapping[str, Node]]]


def one_node(name: str, execute: Execute, try_feed: Callable[[], Awaitable[None]]) -> Nodes:
    """Return the only node there is, by its name."""

    async def nodes() -> Mapping[str, Node]:
        return {name: Node(execute, try_feed)}

    return nodes


class NodeState(msgspec.Struct, frozen=True):
    """What a node says of itself: INFO, why it refused that, and why it would not tell changes."""

    name: str
    info: Mapping[str, Any]
    info_refused: str = ""
    feed_refused: str = ""
    feed_advice: str = ""


async def ask_node(name: str, node: Node) -> NodeState:
    """Ask one node. Raises what redis-py raises, but a refusal is an answer."""
    info, info_refused = {}, ""
    try:
        info = await node.execute("INFO")
    except NoPermissionError:
        info_refused = "add `+info` to the user's ACL"
    except ResponseError:
        info_refused = "this server does not know INFO: use Redis 6 or newer, or Valkey"
    try:
        await node.try_feed()
    except CannotFollow as error:
        return NodeState(name, info, info_refused, str(error), error.advice)
    except RedisError as error:
        return NodeState(name, info, info_refused, type(error).__name__, "see what stands between here and Redis")
    return NodeState(name, info, info_refused)


def judge(node: NodeState, *, encrypted: bool, same_machine: bool = False) -> list[Finding]:
    """Return what there is to say about a node that sessions are written to."""
    return [
        Finding(not advice, f"{node.name}: {name}", found, advice, warns=bool(advice) and name in _MERELY_UNSAFE)
        for name, found, advice in _look(node, encrypted=encrypted, same_machine=same_machine)
    ]


def _look(node: NodeState, *, encrypted: bool, same_machine: bool) -> Iterator[tuple[str, str, str]]:
    if node.info_refused:
        yield "INFO", "refused", node.info_refused
    else:
        yield from _look_at_info(node.info)
    yield "changes", *((node.feed_refused, node.feed_advice + _NO_FEED) if node.feed_refused else ("told", ""))
    if encrypted:
        yield "encryption", "TLS", ""
    elif same_machine:
        yield "encryption", "none, and none needed on one machine", ""
    else:
        yield "encryption", "none", "use rediss:// unless the way to Redis is private"


def _look_at_info(info: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    version = str(info.get("redis_version", _UNSAID))
    # Valkey, which gives the version of Redis that it can stand in for besides its own
    shown = f"Valkey {info['valkey_version']}" if "valkey_version" in info else version
    yield "version", shown, "" if _is_new_enough(version) else "use Redis 6 or newer, or Valkey"

    role = str(info.get("role", _UNSAID))
    yield "role", role, "is a read-only replica: point `redis` at the master" if role in {"slave", "replica"} else ""

    policy = str(info.get("maxmemory_policy", _UNSAID))
    yield "maxmemory-policy", policy, "" if policy == "noeviction" else _EVICTION

    persists = int(info.get("aof_enabled", 0))
    yield "persistence", *(("append-only file", "") if persists else ("no append-only file", _PERSISTENCE))


_MERELY_UNSAFE: Final = frozenset({"persistence", "encryption"})
"""What works as it is, and may be meant."""
_NO_FEED: Final = "; without it each request asks Redis"
_EVICTION: Final = (
    "set `maxmemory-policy noeviction`: evicted sessions sign people out, evicted leases and attempts break sign-ins"
)
_PERSISTENCE: Final = "set `appendonly yes`: without it a crash of Redis forgets sign-ins"


def _is_new_enough(version: str) -> bool:
    try:
        return tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
    except ValueError:
        return False
