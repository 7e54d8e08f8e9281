"""The embedded store: the same code over fakeredis, in this process. For the demo, development and fast tests.

It forgets everything when the process ends and cannot be shared between processes.
"""

from __future__ import annotations

from gateway.core.finding import Finding
from gateway.errors import SettingsError
from gateway.store.redis import RedisStore


class MemoryStore(RedisStore):
    """The store over fakeredis."""

    async def inspect(self) -> list[Finding]:
        """Say what it is."""
        return [Finding(ok=False, name="store", found=self.address, advice="use a real Redis but for development")]


def open_memory_store(*, key_prefix: str, timeout: float) -> RedisStore:
    """Return a fresh, empty store. Raises `SettingsError` when the extra is not installed."""
    try:
        # fakeredis runs scripts by it, and may be installed without
        import lupa  # type: ignore[import-untyped]  # noqa: F401
        from fakeredis import FakeAsyncRedis, FakeServer
    except ImportError:
        raise SettingsError(
            "redis: `memory://` needs the extra: pip install 'tiktok-gateway[demo]', or use a real Redis"
        ) from None
    client = FakeAsyncRedis(server=FakeServer(version=(7, 0)))
    return MemoryStore(client, address="the embedded store", key_prefix=key_prefix, timeout=timeout)
