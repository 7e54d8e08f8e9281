"""What processes tell each other of refreshes that are under way or have failed, besides the lease."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Final, Protocol

from gateway.errors import ProviderError, ProviderMisconfigured, ProviderUnavailable
from gateway.flows.ports import Counter, Records

NOTE_LASTS: Final = timedelta(days=1)
"""How long it is known that a refresh token's fate is not."""
FAILURE_LASTS: Final = timedelta(seconds=5)
"""How long nobody tries again after a failure."""
FORCED_EVERY: Final = timedelta(minutes=1)
"""How often a grant may be refreshed before it is due, by whatever process: anybody who is signed in can ask for it."""
_MISCONFIGURED: Final = b"misconfigured"
_UNAVAILABLE: Final = b"unavailable"


class NoteStore(Records, Counter, Protocol):
    """What the notes are kept in."""


class RefreshAttempts:
    """Notes in the store, beside each grant. They hold no secret: a hash of the refresh token, a kind of failure."""

    def __init__(self, store: NoteStore) -> None:
        self._store = store

    async def begin(self, grant_key: str, refresh_token: str) -> bool:
        """Note that a refresh token is sent off; returns whether it was before, and no word of it has come."""
        digest = hashlib.sha256(refresh_token.encode()).digest()
        unsure = await self._store.read(_attempt_key(grant_key)) == digest
        await self._store.write(_attempt_key(grant_key), digest, int(NOTE_LASTS.total_seconds()))
        return unsure

    async def may_force(self, grant_key: str) -> bool:
        """Whether a refresh that is not due yet may go to TikTok now; counts it."""
        return await self._store.increment(_forced_key(grant_key), ttl=int(FORCED_EVERY.total_seconds())) == 1

    async def forget(self, grant_key: str) -> None:
        """Take the note back: TikTok's word is known."""
        await self._store.delete(_attempt_key(grant_key))

    async def note_failure(self, grant_key: str, error: ProviderError) -> None:
        """Note that TikTok could not, or would not, refresh; in the second case it has changed nothing."""
        refused = isinstance(error, ProviderMisconfigured)
        kind = _MISCONFIGURED if refused else _UNAVAILABLE
        await self._store.write(_failure_key(grant_key), kind, int(FAILURE_LASTS.total_seconds()))
        if refused:
            await self.forget(grant_key)

    async def raise_recent_failure(self, grant_key: str) -> None:
        """Raise the `ProviderError` of a failure that was noted a moment ago, by whatever process."""
        match await self._store.read(_failure_key(grant_key)):
            case None:
                return
            case kind if kind == _MISCONFIGURED:
                raise ProviderMisconfigured("TikTok refused a refresh of this grant a moment ago")
            case _:
                raise ProviderUnavailable("a refresh of this grant failed a moment ago")


class KeyChanges:
    """Waits for the store to tell that a key has changed."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    def note(self, key: str | None) -> None:
        """Wake who waits for the key; None: everybody."""
        if key is None:
            for event in self._waiting.values():
                event.set()
        elif key in self._waiting:
            self._waiting[key].set()

    async def wait(self, key: str, seconds: float) -> None:
        """Return when the key changes, or after so many seconds. One may wait for each key."""
        event = self._waiting[key] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.pop(key, None)


def keys_beside(grant_key: str) -> tuple[str, ...]:
    """Return the keys of the notes beside a grant."""
    return _attempt_key(grant_key), _failure_key(grant_key), _forced_key(grant_key)


def _attempt_key(grant_key: str) -> str:
    return "refreshing:" + grant_key


def _forced_key(grant_key: str) -> str:
    return "refresh-forced:" + grant_key


def _failure_key(grant_key: str) -> str:
    return "refresh-failed:" + grant_key
