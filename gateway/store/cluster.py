"""A Redis Cluster (sharding): reads go to the masters of their slots, and the changes of every master are followed.

A session and its grant are in different slots, mostly on different nodes: MGET cannot read both, so each node is sent
its GETs at once. What a node answers with MOVED or ASK, or does not answer, is asked again through redis-py, which
learns the new topology by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import redis.asyncio as redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError

from gateway.settings.redis import ClusterSettings, RedisSettings, split_node
from gateway.store.changes import PULSE, Changed, ChangeFeed
from gateway.store.connection import connection_options, meet_master, tls_options
from gateway.store.inspection import Node
from gateway.store.reader import Reader, TaskReader, Values, pack
from gateway.store.redis import FOLLOWED, MAX_CONNECTIONS, RedisStore, read_cursor
from gateway.tasks import stop, until_told
from gateway.telemetry.logs import log

_RETRIES: Final = 5
_PAUSE: Final = 0.05  # seconds between two of them


class _Unread:
    """In place of a value: this node cannot say."""


_UNREAD: Final = _Unread()


class ClusterReader:
    """Reads many keys, wherever they are."""

    def __init__(self, client: Any, open_node: Callable[[str, int], Any], *, timeout: float) -> None:
        self._client = client
        self._open_node = open_node
        self._timeout = timeout
        self._readers: dict[str, Reader] = {}
        self._tasks = TaskReader(self._read_all, timeout=timeout)

    def read(self, keys: Sequence[str], told: Callable[[Values | Exception], None]) -> None:
        """Have the values told, in order; or one of `FAULTS`."""
        self._tasks.read(keys, told)

    async def _read_all(self, keys: Sequence[str]) -> Values:
        await self._client.initialize()
        at: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            at.setdefault(self._client.get_node_from_key(key).name, []).append(key)
        found: dict[str, bytes | None] = {}
        for part in await asyncio.gather(*(self._read_from(name, asked) for name, asked in at.items())):
            found.update(part)
        return [found[key] for key in keys]

    async def _read_from(self, name: str, keys: list[str]) -> dict[str, bytes | None]:
        commands = b"".join(pack("GET", key) for key in keys)
        values = await until_told(partial(self._reader(name).exchange, commands, len(keys), _read_each))
        if isinstance(values, Exception):
            values = [_UNREAD] * len(keys)
        return {
            key: await self._client.get(key) if isinstance(value, _Unread) else value
            for key, value in zip(keys, values, strict=True)
        }

    def _reader(self, name: str) -> Reader:
        if name not in self._readers:
            host, _, port = name.rpartition(":")
            pool = self._open_node(host, int(port)).connection_pool
            self._readers[name] = Reader(pool.make_connection, timeout=self._timeout)
        return self._readers[name]

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._tasks.close()
        for reader in self._readers.values():
            reader.close()


def _read_each(answers: list[Any]) -> list[bytes | _Unread | None]:
    """Read the answers to several GET: one may be a refusal while the next is a value."""
    return [_read_one(answer) for answer in answers]


def _read_one(answer: Any) -> bytes | _Unread | None:
    if not isinstance(answer, RedisError):
        value: bytes | None = answer
        return value
    # what is no string is none of ours; MGET says nil, too (RESP errors begin with their kind)
    return None if str(answer).startswith("WRONGTYPE") else _UNREAD


class ClusterScan:
    """Scans one master after the other, in the order of their addresses; `at` is `HOST:PORT@CURSOR`.

    A master that has gone meanwhile is passed over: its slots are with others then, some of them behind us. So is a
    slot that moves. Whoever must not miss anything walks again.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    async def __call__(self, at: str, pattern: str, count: int) -> tuple[list[bytes], str | None]:
        """Return what is found, and where the next begins."""
        name, _, cursor = (at or "@0").rpartition("@")
        begun = read_cursor(cursor)
        await self._client.initialize()
        nodes = sorted((node for node in self._client.get_primaries() if node.name >= name), key=lambda node: node.name)
        if not nodes:
            return [], None
        begun = begun if nodes[0].name == name else 0
        then, found = await nodes[0].execute_command("SCAN", begun, "MATCH", pattern, "COUNT", count)
        if int(then):
            return found, f"{nodes[0].name}@{int(then)}"
        return found, f"{nodes[1].name}@0" if len(nodes) > 1 else None


def _read_address(node: Sequence[Any], asked: str) -> tuple[str, int]:
    """Read one node of CLUSTER SLOTS; without a host, it is the one that was asked."""
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    return host or asked, int(node[1])


class ClusterFeed:
    """Follows every master; `up` only while all of them are followed and the topology is known."""

    def __init__(self, client: Any, open_feed: Callable[[str, int], ChangeFeed], *, timeout: float) -> None:
        self._client = client
        self._open_feed = open_feed
        self._timeout = timeout
        self._feeds: dict[tuple[str, int], ChangeFeed] = {}
        self._known = False
        self._told = ""  # why the topology is not known, once that is in the log
        self._task: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether every change is told now."""
        return self._known and bool(self._feeds) and all(feed.up for feed in self._feeds.values())

    def start(self, changed: Changed) -> None:
        """Begin to follow, within the event loop; `changed(None)` means that anything may have changed."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch(changed), name="cluster topology")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await stop(self._task)
        for feed in self._feeds.values():
            await feed.close()

    async def _watch(self, changed: Changed) -> None:
        while True:
            try:
                await self._look(changed)
            except Exception as error:  # noqa: BLE001 -- whatever it was: the topology is to be known again
                self._known = False
                if type(error).__name__ != self._told:  # once, not every second
                    self._told = type(error).__name__
                    log.warning("cluster_not_known", reason=self._told, advice="every request asks Redis meanwhile")
            await asyncio.sleep(PULSE)

    async def _look(self, changed: Changed) -> None:
        """Learn who the masters are, and follow them."""
        try:
            async with asyncio.timeout(self._timeout):
                masters = await self._find_masters()
            await self._follow(masters, changed)
        except BaseException:
            if self._known:
                self._known = False
                changed(None)
            raise
        if not self._known:
            self._known, self._told = True, ""
            changed(None)

    async def _find_masters(self) -> set[tuple[str, int]]:
        await self._client.initialize()
        node = self._client.get_random_primary_node()
        slots = await node.execute_command("CLUSTER SLOTS")  # [[first, last, [host, port, …] of the master, …], …]
        return {_read_address(part[2], node.host) for part in slots}

    async def _follow(self, masters: set[tuple[str, int]], changed: Changed) -> None:
        """Follow these, and nobody else."""
        gone = self._feeds.keys() - masters
        if gone or masters - self._feeds.keys():
            self._known = False
            changed(None)
        for address in masters - self._feeds.keys():
            self._feeds[address] = self._open_feed(*address)
            self._feeds[address].start(changed)
        for address in gone:
            await self._feeds.pop(address).close()


def open_cluster_store(settings: RedisSettings, cluster: ClusterSettings) -> RedisStore:
    """Return a store over a cluster; connects when it is first used."""
    timeout = settings.timeout.total_seconds()
    options = connection_options(settings) | tls_options(settings)
    options |= {
        "ssl": settings.tls is not None,
        "username": cluster.username,
        "password": cluster.password.get_secret_value() if cluster.password else None,
    }
    client: Any = RedisCluster(
        startup_nodes=[ClusterNode(*split_node(node)) for node in cluster.nodes],
        # a part that is gone must not take the others with it
        require_full_coverage=False,
        # MOVED corrects one slot: learning all anew would break off what is under way at every node
        reinitialize_steps=0,
        max_connections=MAX_CONNECTIONS,
        retry=Retry(ConstantBackoff(_PAUSE), _RETRIES),
        socket_timeout=timeout,
        **options,
    )
    prefixes = [settings.key_prefix + kind for kind in FOLLOWED]

    def open_node(host: str, port: int) -> Any:
        pool_options = options | {"retry": Retry(NoBackoff(), 0)}
        node = redis.Redis(host=host, port=port, **pool_options)
        node.connection_pool.connection_kwargs["redis_connect_func"] = meet_master
        return node

    def open_feed(host: str, port: int) -> ChangeFeed:
        return ChangeFeed(open_node(host, port), prefixes, timeout=timeout)

    async def try_feed(host: str, port: int) -> None:
        feed = open_feed(host, port)
        try:
            await feed.try_out()
        finally:
            await feed.close()

    async def masters() -> Mapping[str, Node]:
        await client.initialize()
        return {
            f"Redis at {node.name}": Node(node.execute_command, partial(try_feed, node.host, node.port))
            for node in client.get_primaries()
        }

    return RedisStore(
        client,
        address=f"Redis Cluster at {', '.join(cluster.nodes)}",
        key_prefix=settings.key_prefix,
        timeout=timeout,
        reader=ClusterReader(client, open_node, timeout=timeout),
        feed=ClusterFeed(client, open_feed, timeout=timeout),
        encrypted=settings.tls is not None,
        nodes=masters,
        scan=ClusterScan(client),
    )
