"""Which sessions a person has (secondary index): a sorted set of their store keys, by the times at which they end.

A member is a key without what all of them begin with. That makes it 64 bytes long, and Redis keeps small sets with
members up to that length in one piece (`zset-max-listpack-value`), in a quarter of the memory. Versions before 0.2 have
whole keys as members: those are read and removed too, and written as long as `compact` is not asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gateway.core.grant import build_index_key
from gateway.core.session import SESSION_KEY
from gateway.flows.ports import Index, Records


class SessionIndexStore(Records, Index, Protocol):
    """What an index is kept in."""


class SessionIndex:
    """The sessions of the people of one app at TikTok."""

    def __init__(self, store: SessionIndexStore, client_key: str) -> None:
        self._store = store
        self._client_key = client_key

    async def add(self, subject: str, key: str, *, ends_at: datetime, now: datetime, compact: bool) -> None:
        """Add a session until it ends at the latest."""
        member = key.removeprefix(SESSION_KEY) if compact else key
        expires_at = int(ends_at.timestamp()) + 1
        await self._store.add_member(self._name(subject), member, expires_at=expires_at, now=int(now.timestamp()))

    async def keys(self, subject: str, now: datetime) -> list[str]:
        """Return the keys of a person's sessions, whether they live or not."""
        members = await self._store.members(self._name(subject), now=int(now.timestamp()))
        return list(dict.fromkeys(SESSION_KEY + member.removeprefix(SESSION_KEY) for member in members))

    async def remove(self, subject: str, key: str) -> int:
        """Remove a session; returns how many are left."""
        return await self._store.remove_member(self._name(subject), key, key.removeprefix(SESSION_KEY))

    async def drop(self, subject: str) -> None:
        """Remove all that a person has."""
        await self._store.delete(self._name(subject))

    def _name(self, subject: str) -> str:
        return build_index_key(self._client_key, subject)
