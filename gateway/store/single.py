"""One Redis server (standalone): over TCP, TLS or a Unix socket."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.settings.redis import RedisSettings
from gateway.settings.scalars import is_loopback
from gateway.store.changes import ChangeFeed
from gateway.store.connection import connection_options, tls_options
from gateway.store.inspection import one_node
from gateway.store.reader import Reader
from gateway.store.redis import FOLLOWED, MAX_CONNECTIONS, RedisStore

ONCE_MORE: Final = 1
"""A pooled connection may have died while Redis restarted. No call of ours does harm by running twice, but a lease or a
taken attempt may then look as if somebody else had been quicker."""


def open_single_store(settings: RedisSettings) -> RedisStore:
    """Return a store over `redis://`, `rediss://` or `unix://`; connects when it is first used."""
    url, timeout = settings.address, settings.timeout.total_seconds()
    options = connection_options(settings) | tls_options(settings)
    if settings.password is not None:
        options |= {"username": settings.username, "password": settings.password.get_secret_value()}
    pool: Any = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), ONCE_MORE),
        **options,
    )
    # these never try again by themselves: what was missed meanwhile would go unnoticed
    plain = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    client = redis.Redis(connection_pool=pool)
    feed = ChangeFeed(plain, [settings.key_prefix + kind for kind in FOLLOWED], timeout=timeout)
    return RedisStore(
        client,
        address=_describe(url),
        key_prefix=settings.key_prefix,
        timeout=timeout,
        reader=Reader(plain.connection_pool.make_connection, timeout=timeout),
        feed=feed,
        encrypted=url.startswith("rediss:"),
        same_machine=url.startswith("unix:") or is_loopback(urlsplit(url).hostname or ""),
        nodes=one_node(_describe(url), client.execute_command, feed.try_out),
    )


def _describe(url: str) -> str:
    """Return the address without user and password."""
    parts = urlsplit(url)
    return f"Redis at {parts.path}" if parts.scheme == "unix" else f"Redis at {parts.hostname}:{parts.port or 6379}"
