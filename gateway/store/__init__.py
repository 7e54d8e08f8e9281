"""Where sessions live: Redis, or the embedded store for development. Bytes in, bytes out.

redis       the store, over redis-py; what it promises is said in `flows.ports`
scripts     what Redis does in one step
parts       what differs between the kinds of Redis
faults      what goes wrong, in our words

single      one server: redis://, rediss://, unix://
sentinel    the master that Sentinels name
cluster     every master of a cluster
connection  what their connections have in common
embedded    the same store over fakeredis, within this process
company     whether that is the only process of its gateway

batch       joins reads into few commands
reader      the read that nearly every request needs, past redis-py's costs
swaps       replaces many records with one exchange
wire        the connection that it uses, with many commands under way
changes     Redis tells what changes, so that a memory of it can be trusted
inspection  whether a Redis is set up as it should be

All of them speak Redis' protocol. A store of another kind would be a class that obeys `flows.ports.Store`, and a line
in `open_store`; nobody else would notice.
"""

from __future__ import annotations

from gateway.settings.redis import RedisSettings
from gateway.store.redis import RedisStore


def open_store(settings: RedisSettings, *, gateway: str = "", before: object = None) -> RedisStore:
    """Return the store that the settings name; makes no connection yet. `gateway` is the public address of whose it is.

    The embedded store of `before`, a store of this process, is handed on with all that is in it.

    Raises `SettingsError` when `memory://` is asked for and not installed.
    """
    # each is imported when it is asked for: redis-py is large
    if settings.embedded:
        from gateway.store.embedded import EmbeddedStore, open_embedded_store

        if isinstance(before, EmbeddedStore):
            return before.share()
        timeout = settings.timeout.total_seconds()
        return open_embedded_store(gateway=gateway, key_prefix=settings.key_prefix, timeout=timeout)
    if settings.sentinel is not None:
        from gateway.store.sentinel import open_sentinel_store

        return open_sentinel_store(settings, settings.sentinel)
    if settings.cluster is not None:
        from gateway.store.cluster import open_cluster_store

        return open_cluster_store(settings, settings.cluster)
    from gateway.store.single import open_single_store

    return open_single_store(settings)
