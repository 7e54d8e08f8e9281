"""What one person who is signed in takes in Redis, with tokens of one length, beside others that keep them there."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import redis

from benchmarks.options import Options
from benchmarks.peers import APACHE, GATEWAY, OAUTH2_PROXY, Peer, start
from benchmarks.peers.openid import OAUTH2_PROXY_WITHOUT_ID_TOKEN
from benchmarks.peers.sign_in import sign_in_often
from benchmarks.peers.version import sign_in_many
from benchmarks.process import ProgramFailed, pinned
from benchmarks.report import Chart, Table
from benchmarks.scenarios.sessions import fresh_redis
from benchmarks.stage import Stage

PEOPLE, SIGNED_IN = 100_000, 2_000
"""How many people; how many of them really sign in to others than the gateway. The rest are copies of those."""
QUICK = (10_000, 200)
BATCH = 5_000
TOKENS_ONLY = "tokens only"
KEPT = {
    GATEWAY.name: "access, refresh; name, picture, browser",
    OAUTH2_PROXY.name: "access, refresh, id_token; e-mail",
    OAUTH2_PROXY_WITHOUT_ID_TOKEN.name: "access; e-mail",
    APACHE.name: "access, refresh, id_token; all claims",
}
"""What is in the records."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """Of one person."""

    memory: float
    """Bytes that Redis uses."""
    values: float
    """Bytes of the values alone."""
    keys: float


def run(stage: Stage, options: Options) -> Sequence[Table]:
    """Measure each in a Redis of its own."""
    people, signed_in = QUICK if options.quick else (PEOPLE, SIGNED_IN)
    stored: dict[str, Stored] = {}
    for peer in options.find_versions(GATEWAY):
        stored[peer.name] = _seed(peer, stage, people, tokens_only=False)
    for peer in options.find_versions(GATEWAY):
        stored[f"{peer.name}, {TOKENS_ONLY}"] = _seed(peer, stage, people, tokens_only=True)
    for peer in (OAUTH2_PROXY, OAUTH2_PROXY_WITHOUT_ID_TOKEN, APACHE):
        if peer.find() and (not options.peers or any(word in peer.name for word in options.peers)):
            stored[peer.name] = _sign_in(peer, stage, people, signed_in)
    return [_report(stored, people, signed_in)]


def _seed(peer: Peer, stage: Stage, people: int, *, tokens_only: bool) -> Stored:
    """Write what the gateway writes."""
    with fresh_redis(stage) as (port, client):
        empty = _read_used(client)
        with pinned(stage.proxy_core, stage.load_core):
            now = datetime.now(UTC)
            sign_in_many(peer, port, stage.secret_key, people, seen_at=now, tokens_only=tokens_only)
        return _measure(client, empty, people)


def _sign_in(peer: Peer, stage: Stage, people: int, signed_in: int) -> Stored:
    """Sign in to a peer; then copy what it has written, to as many people as there are of the others."""
    with fresh_redis(stage) as (port, client):
        with start(peer, dataclasses.replace(stage, redis=port)) as proxy:
            client.flushall()
            empty = _read_used(client)
            sign_in_often(f"http://127.0.0.1:{proxy.port}", signed_in)
        keys = [key.decode("ascii") for key in client.scan_iter(count=BATCH)]
        if len(keys) < signed_in:
            raise ProgramFailed(f"{peer.name} keeps {len(keys)} keys of {signed_in} people")
        _copy(client, keys, people // signed_in - 1)
        return _measure(client, empty, people)


def _copy(client: redis.Redis, keys: Sequence[str], times: int) -> None:
    """Copy each key, with its time to live, under other names of the same length."""
    numbers = itertools.count()
    for key in keys:
        pipeline = client.pipeline(transaction=False)
        for _ in range(times):
            number = f"{next(numbers):08x}"
            pipeline.copy(key, key[: -len(number)] + number)
        pipeline.execute()


def _measure(client: redis.Redis, empty: int, people: int) -> Stored:
    memory = _read_used(client) - empty
    keys = list(client.scan_iter(count=BATCH))
    if len(keys) < people:
        raise ProgramFailed(f"{len(keys)} keys for {people} people")
    pipeline = client.pipeline(transaction=False)
    strings = [key for key in keys[:BATCH] if client.type(key) == b"string"]
    for key in strings:
        pipeline.strlen(key)
    values = sum(pipeline.execute()) / len(keys[:BATCH]) * len(keys)
    return Stored(memory=memory / people, values=values / people, keys=len(keys) / people)


def _tell_kept(name: str) -> str:
    if name.startswith(GATEWAY.name):
        return "access, refresh" if name.endswith(TOKENS_ONLY) else KEPT[GATEWAY.name]
    return KEPT[name]


def _read_used(client: redis.Redis) -> int:
    used: int = client.info("memory")["used_memory"]
    return used


def _report(stored: dict[str, Stored], people: int, signed_in: int) -> Table:
    return Table(
        title=f"stored: {people:,} people in Redis",
        note=(
            "Growth of Redis' `used_memory` for each person with one session; access and refresh token as long as "
            f"TikTok's. To the others {signed_in:,} people really sign in, and their records are copied under keys of "
            f"the same length. `{TOKENS_ONLY}`: the gateway, with people of whom it keeps as little as oauth2-proxy. "
            "Length of values: of a sample, without indexes."
        ),
        columns=("proxy", "bytes a person", "keys a person", "bytes of values", "tokens; besides"),
        rows=[
            (
                name,
                f"{one.memory:,.0f}",
                f"{one.keys:.1f}",
                f"{one.values:,.0f}",
                _tell_kept(name),
            )
            for name, one in stored.items()
        ],
        chart=Chart(
            name="stored",
            title="Redis memory for each person who is signed in",
            unit="bytes",
            series={"": {name: one.memory for name, one in stored.items()}},
        ),
    )
