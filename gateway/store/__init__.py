"""Where sessions live: Redis, or the embedded store for development. Bytes in, bytes out.

redis     the store, over redis-py
memory    the same store over fakeredis, within this process
"""

from __future__ import annotations

from gateway.store.redis import RedisStore


def open_store(url: str, *, key_prefix: str, timeout: float) -> RedisStore:
    """Return the store that a URL names; makes no connection yet.

    `timeout` (seconds) bounds every call. Raises `SettingsError` when `memory://` is asked for and not installed.
    """
    if url.startswith("memory:"):
        from gateway.store.memory import open_memory_store

        return open_memory_store(key_prefix=key_prefix, timeout=timeout)
    from gateway.store.redis import open_redis_store

    return open_redis_store(url, key_prefix=key_prefix, timeout=timeout)
