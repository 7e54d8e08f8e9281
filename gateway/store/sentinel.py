"""The master that Sentinels name, whichever server that is now (Redis Sentinel: automatic failover).

Sentinel closes the connections of a master that it demotes, and every new connection is asked for its role. An
ex-master that is cut off from the Sentinels can do neither: so the feed asks them every second, and when they name
another one, all connections to the old one end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import redis.asyncio as redis
from redis.asyncio import sentinel as redis_sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.settings.redis import RedisSettings, SentinelSettings, split_node
from gateway.store.changes import ChangeFeed
from gateway.store.connection import connection_options, meet_master, tls_options
from gateway.store.inspection import one_node
from gateway.store.reader import Reader
from gateway.store.redis import FOLLOWED, MAX_CONNECTIONS, RedisStore
from gateway.store.single import ONCE_MORE

# redis-py gives them no types
SentinelConnectionPool: Any = redis_sentinel.SentinelConnectionPool
Sentinel: Any = redis_sentinel.Sentinel


class SharedSentinel(Sentinel):  # type: ignore[misc]  # redis-py gives it no type
    """Sentinels that are asked once for all who ask at the same time: after a failover every connection does."""

    _asking: asyncio.Task[tuple[str, int]] | None = None

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port. Raises what redis-py raises."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(super().discover_master(service_name), name="sentinel")
        return await asyncio.shield(self._asking)


class SentinelStore(RedisStore):
    """The store over the master of a service; closes the connections to the Sentinels, too."""

    def __init__(self, sentinel: Any, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self._sentinel = sentinel

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        await _close_sentinels(self._sentinel)


def open_sentinel_store(settings: RedisSettings, watched: SentinelSettings) -> RedisStore:
    """Return a store over the master of `watched.service`; connects when it is first used."""
    timeout = settings.timeout.total_seconds()
    sentinel = _open_sentinel(settings, watched)
    options = connection_options(settings) | tls_options(settings)
    options |= {
        "ssl": settings.tls is not None,
        "db": watched.database,
        "username": watched.username,
        "password": watched.password.get_secret_value() if watched.password else None,
        "redis_connect_func": meet_master,
    }

    def open_pool(retries: int, **more: Any) -> Any:
        return SentinelConnectionPool(watched.service, sentinel, retry=Retry(NoBackoff(), retries), **options, **more)

    # `RedisStore` lets no more than these run at once
    pool = open_pool(ONCE_MORE, max_connections=MAX_CONNECTIONS, socket_timeout=timeout)
    plain_pool = open_pool(0)
    reader = Reader(plain_pool.make_connection, timeout=timeout)

    async def confirm(connection: Any) -> None:
        async with asyncio.timeout(timeout):
            master = await sentinel.discover_master(watched.service)
        if master != (connection.host, connection.port):
            reader.close()
            await pool.disconnect()
            raise RedisConnectionError("the Sentinels name another master")

    address = f"Redis `{watched.service}` behind Sentinel at {', '.join(watched.nodes)}"
    prefixes = [settings.key_prefix + kind for kind in FOLLOWED]
    client = redis.Redis(connection_pool=pool)
    feed = ChangeFeed(redis.Redis(connection_pool=plain_pool), prefixes, timeout=timeout, confirm=confirm)
    return SentinelStore(
        sentinel,
        client,
        address=address,
        key_prefix=settings.key_prefix,
        timeout=timeout,
        reader=reader,
        feed=feed,
        encrypted=settings.tls is not None,
        nodes=one_node(address, client.execute_command, feed.try_out),
    )


def _open_sentinel(settings: RedisSettings, watched: SentinelSettings) -> Any:
    # one Sentinel that hangs must leave time to ask the next
    share = settings.timeout.total_seconds() / (len(watched.nodes) + 1)
    options = connection_options(settings) | tls_options(settings)
    options |= {"socket_timeout": share, "socket_connect_timeout": share, "retry": Retry(NoBackoff(), 0)}
    options |= {"username": watched.sentinel_username, "ssl": settings.tls is not None}
    if watched.sentinel_password:
        options["password"] = watched.sentinel_password.get_secret_value()
    return SharedSentinel([split_node(node) for node in watched.nodes], sentinel_kwargs=options)


async def _close_sentinels(sentinel: Any) -> None:
    for client in sentinel.sentinels:
        await client.aclose()
        await client.connection_pool.disconnect()
