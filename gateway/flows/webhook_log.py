"""The last webhooks that were taken, for operators: kind, time, whom by a mark, and what came of it. No content.

There are `SLOTS` places, which are written over in turn, and what is in one is gone after a week. Only what TikTok has
signed comes here, so that nobody else can fill them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol

from gateway.core.keyring import Keyring
from gateway.core.record import Record, read_record, seal_record
from gateway.core.webhook import WebhookEvent
from gateway.errors import StoreUnavailable
from gateway.flows.ports import Counter, Records

SLOTS: Final = 100
KEPT: Final = timedelta(days=7)
_LONGEST_NAME: Final = 64


class NotedWebhook(Record, frozen=True):
    """An event, as it is kept."""

    purpose: ClassVar[str] = "webhook-log"

    name: str
    taken_at: datetime
    created_at: datetime
    mark: str  # of the person, see `mark_person`; empty where the event names nobody
    outcome: str  # taken, repeated, ended, late


class LogStore(Records, Counter, Protocol):
    """What the log is kept in."""


class WebhookLog:
    """Notes events, and tells of them."""

    def __init__(self, store: LogStore, keyring: Keyring, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._prefix = f"webhook-log:{keyring.instance.hex()}"

    async def note(self, event: WebhookEvent, outcome: str) -> None:
        """Note an event. A store that does not answer loses the note, and nothing else."""
        noted = NotedWebhook(
            name=event.name[:_LONGEST_NAME],
            taken_at=self._clock(),
            created_at=event.created_at,
            mark=mark_person(event.subject) if event.subject else "",
            outcome=outcome,
        )
        seconds = int(KEPT.total_seconds())
        with contextlib.suppress(StoreUnavailable):
            count = await self._store.increment(f"{self._prefix}:count", ttl=seconds)
            key = f"{self._prefix}:{count % SLOTS}"
            await self._store.write(key, seal_record(self._keyring, key, noted), seconds)

    async def forget(self, subject: str) -> None:
        """Forget what was about a person: who knows their open_id knows the mark. Raises `StoreUnavailable`."""
        mark = mark_person(subject)
        await self._store.delete(*[key for key, noted in await self._read() if noted.mark == mark])

    async def recent(self) -> list[NotedWebhook]:
        """Return what is noted, the latest first. Raises `StoreUnavailable`."""
        noted = [noted for _, noted in await self._read()]
        return sorted(noted, key=lambda each: each.taken_at, reverse=True)

    async def _read(self) -> list[tuple[str, NotedWebhook]]:
        keys = [f"{self._prefix}:{slot}" for slot in range(SLOTS)]
        opened = [
            (key, read_record(self._keyring, key, sealed, NotedWebhook))
            for key, sealed in zip(keys, await self._store.read_many(keys), strict=True)
        ]
        return [(key, noted) for key, noted in opened if noted is not None]


def mark_person(subject: str) -> str:
    """Return a mark that tells one person from another, and does not name them."""
    return hashlib.sha256(b"webhook-log\0" + subject.encode()).hexdigest()[:12]
