"""The embedded store: the same code over fakeredis, in this process. For the demo, development and fast tests.

It forgets everything when the process ends and cannot be shared between processes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from gateway.core.finding import Finding
from gateway.errors import SettingsError
from gateway.store.batch import ReadBatch, Told
from gateway.store.company import Company
from gateway.store.redis import RedisStore


class EmbeddedStore(RedisStore):
    """The store over fakeredis; warns where another process has one for the same `gateway`."""

    def __init__(self, client: Any, *, gateway: str, key_prefix: str, timeout: float) -> None:
        super().__init__(client, address="the embedded store", key_prefix=key_prefix, timeout=timeout)
        self._company = Company(f"{gateway}:{key_prefix}")
        self._sharers: set[EmbeddedStore] = {self}

    def share(self) -> EmbeddedStore:
        """Return the same store for somebody else in this process, with followers of their own."""
        other = copy.copy(self)
        other._followers, other._reads = [], ReadBatch(other._fetch)
        self._sharers.add(other)
        return other

    def _tell(self, key: str) -> None:
        for sharer in tuple(self._sharers):
            for changed in sharer._followers:
                changed(key)

    def _fetch(self, keys: Sequence[str], told: Told) -> None:
        self._company.look()
        super()._fetch(keys, told)

    async def write(self, key: str, value: bytes, ttl: int) -> None:
        """Store for `ttl` seconds."""
        self._company.look()
        await super().write(key, value, ttl)

    async def close(self) -> None:
        """Close it; with the last who shares it, everything is forgotten."""
        self._sharers.discard(self)
        if self._sharers:
            return
        self._company.leave()
        await super().close()

    async def inspect(self) -> list[Finding]:
        """Say what it is."""
        advice = "use a real Redis but for development"
        return [Finding(ok=False, name="store", found=self.address, advice=advice, warns=True)]


def open_embedded_store(*, gateway: str, key_prefix: str, timeout: float) -> RedisStore:
    """Return a fresh, empty store. Raises `SettingsError` when the extra is not installed, or not the whole of it."""
    try:
        import_module("lupa")  # fakeredis runs no scripts without it, and says so only when it is to run one
        from fakeredis import FakeAsyncRedis, FakeServer
    except ImportError:
        raise SettingsError(
            "redis: `memory://` needs the extra `demo`: install it too (in a clone: pip install '.[demo]'), "
            "or use a real Redis"
        ) from None
    client = FakeAsyncRedis(server=FakeServer(version=(7, 0)))
    return EmbeddedStore(client, gateway=gateway, key_prefix=key_prefix, timeout=timeout)
