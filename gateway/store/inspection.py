"""Whether a Redis is set up so that nobody is signed out by it: version, memory, persistence, rights, encryption.

What one node says of itself comes in as values; only `ask_node` asks. A user whom Redis refuses CONFIG (as a good ACL
does) is answered from INFO.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from redis.exceptions import NoPermissionError, ResponseError

from gateway.core.finding import Finding

Execute = Callable[..., Awaitable[Any]]

OLDEST: Final = (6, 0)
"""The first version with CLIENT TRACKING and ACLs."""


class NodeState(msgspec.Struct, frozen=True):
    """What a node says of itself: INFO, a part of CONFIG GET (empty when refused), and whether it lets us track."""

    name: str
    info: Mapping[str, Any]
    config: Mapping[str, str]
    may_track: bool


async def ask_node(name: str, execute: Execute) -> NodeState:
    """Ask one node. Raises what redis-py raises, but a refusal is an answer."""
    info = await execute("INFO")
    try:
        config = await execute("CONFIG GET", "save")
    except (NoPermissionError, ResponseError):
        config = {}
    try:
        # changes nothing, and is refused to whom ON would be
        await execute("CLIENT TRACKING", "OFF")
        may_track = True
    except (NoPermissionError, ResponseError):
        may_track = False
    return NodeState(name, info, {_text(key): _text(value) for key, value in config.items()}, may_track)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def judge(node: NodeState, *, encrypted: bool, same_machine: bool = False) -> list[Finding]:
    """Return what there is to say about a node that sessions are written to."""
    return [
        Finding(ok=not advice, name=f"{node.name}: {name}", found=found, advice=advice)
        for name, found, advice in _look(node, encrypted, same_machine)
    ]


def _look(node: NodeState, encrypted: bool, same_machine: bool) -> Iterator[tuple[str, str, str]]:
    info = node.info
    version = str(info.get("redis_version", "unknown"))
    yield "version", version, "" if _is_new_enough(version) else "use Redis 6 or newer: changes cannot be followed here"

    role = str(info.get("role", "unknown"))
    yield "role", role, "" if role == "master" else "is a read-only replica: point `redis` at the master"

    policy = str(info.get("maxmemory_policy", "unknown"))
    yield "maxmemory-policy", policy, "" if policy == "noeviction" else _EVICTION

    found, advice = _look_at_persistence(node)
    yield "persistence", found, advice

    yield "CLIENT TRACKING", *(
        ("allowed", "") if node.may_track else ("refused", "add `+client|tracking` to the user's ACL: without it each "
                                                "request asks Redis")
    )  # fmt: skip
    if same_machine and not encrypted:
        yield "encryption", "none, and none needed on one machine", ""
    else:
        advice = "use rediss:// unless the way to Redis is private"
        yield "encryption", *(("TLS", "") if encrypted else ("none", advice))


_EVICTION: Final = (
    "set `maxmemory-policy noeviction`: evicted sessions sign people out, evicted leases and attempts break sign-ins"
)


def _look_at_persistence(node: NodeState) -> tuple[str, str]:
    if int(node.info.get("aof_enabled", 0)):
        return "append-only file", ""
    advice = "set `appendonly yes`: without it a crash of Redis forgets sign-ins"
    if "save" not in node.config:
        return "no append-only file", advice
    return ("snapshots only", advice) if node.config["save"] else ("off", advice)


def _is_new_enough(version: str) -> bool:
    try:
        return tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
    except ValueError:
        return False
