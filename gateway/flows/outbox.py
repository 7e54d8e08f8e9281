"""What must be done in the end, whatever happens meanwhile: jobs kept in the store until they are done.

Rules
1. A job is written, sealed, before anybody is told that it will be done, and deleted when it has been. So it is done at
   least once, maybe twice, by whatever replica is there, and a restart loses nothing.
2. A lease on each job keeps replicas from doing it at the same time. It is longer than doing it may take.
3. What fails is tried again after a while that doubles, up to an hour, and given up after three days, with a word in
   the log: TikTok does the same with its webhooks.
4. There are at most `MOST_JOBS`: beyond, new ones are refused as if the store were full.
5. A job has an id of its maker's choice. Adding it again replaces it; it can be withdrawn.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final

import msgspec

from gateway.core.keyring import Keyring
from gateway.core.record import Record, read_record, seal_record
from gateway.errors import GatewayError, StoreUnavailable
from gateway.flows.ports import Store
from gateway.telemetry.logs import log

MOST_JOBS: Final = 10_000
KEPT: Final = timedelta(hours=72)
"""After that a job is given up."""
TICK: Final = 5.0
"""Seconds between two looks for what is due."""
TIME: Final = timedelta(seconds=60)
"""Longest time that doing a job may take; the lease lasts a little longer."""
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
_INDEX: Final = "jobs"


class Job(Record, frozen=True):
    """Something to be done, as kept in the store."""

    purpose: ClassVar[str] = "job"

    kind: str
    data: bytes
    added_at: datetime
    due_at: datetime
    failures: int = 0


Save = Callable[[bytes], Awaitable[None]]
Perform = Callable[[bytes, Save], Awaitable[None]]
"""Does a job with its data. It may save other data first, to be found should it be done again. Raises a `GatewayError`
when it has to be tried again later."""


class Outbox:
    """The jobs. `performers` do them, by kind."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        performers: Mapping[str, Perform],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._performers = performers
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to look for jobs, within the event loop; those of before a restart are among them."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="outbox")

    async def close(self) -> None:
        """Stop; what is under way is cancelled, and done again by somebody."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def add(self, job_id: str, kind: str, data: bytes) -> None:
        """Keep a job until it is done. Raises `StoreUnavailable`, also when there are too many."""
        now = self._clock()
        if len(await self._store.members(_INDEX, now=_seconds(now))) >= MOST_JOBS:
            raise StoreUnavailable(f"there are {MOST_JOBS} jobs in the outbox already: does the app take webhooks?")
        # the index first: a job that nobody finds would never be done
        await self._store.add_member(_INDEX, job_id, expires_at=_seconds(now + KEPT), now=_seconds(now))
        await self._write(job_id, Job(kind=kind, data=data, added_at=now, due_at=now), now)
        self.start()

    async def withdraw(self, job_id: str) -> None:
        """Have a job done no more, if it is still there."""
        if await self._store.delete(_job_key(job_id)):
            await self._store.remove_member(_INDEX, job_id)

    async def perform(self, job_id: str) -> bool:
        """Do a job now, if it is due; returns whether it is done (by whomever)."""
        holder = secrets.token_hex(8)
        lease = f"lease:{_job_key(job_id)}"
        if not await self._store.acquire_lease(lease, holder, int((TIME.total_seconds() + 10) * 1000)):
            return False
        try:
            return await self._perform_as_holder(job_id)
        finally:
            await self._store.release_lease(lease, holder)

    async def _perform_as_holder(self, job_id: str) -> bool:
        now, key = self._clock(), _job_key(job_id)
        job = read_record(self._keyring, key, await self._store.read(key), Job)
        if job is None:  # done, withdrawn, or sealed by a key that is gone
            await self._store.remove_member(_INDEX, job_id)
            return True
        if now < job.due_at:
            return False
        saved = job

        async def save(data: bytes) -> None:
            nonlocal saved
            saved = msgspec.structs.replace(saved, data=data)
            await self._write(job_id, saved, self._clock())

        try:
            async with asyncio.timeout(TIME.total_seconds()):
                await self._performers[job.kind](job.data, save)
        except (GatewayError, TimeoutError, KeyError) as error:
            await self._put_off(job_id, saved, error)
            return False
        await self._store.delete(key)
        await self._store.remove_member(_INDEX, job_id)
        return True

    async def _put_off(self, job_id: str, job: Job, error: Exception) -> None:
        now = self._clock()
        pause = min(FIRST_PAUSE * 2 ** min(job.failures, 16), LONGEST_PAUSE)
        due_at = now + pause * random.uniform(0.8, 1.2)  # noqa: S311 -- no secret
        reason = str(error) or type(error).__name__
        if due_at >= job.added_at + KEPT:
            log.error("job_given_up", kind=job.kind, job_id=job_id, reason=reason, tries=job.failures + 1)
            await self.withdraw(job_id)
            return
        log.warning("job_put_off", kind=job.kind, job_id=job_id, reason=reason, seconds=int(pause.total_seconds()))
        await self._write(job_id, msgspec.structs.replace(job, due_at=due_at, failures=job.failures + 1), now)

    async def _write(self, job_id: str, job: Job, now: datetime) -> None:
        key = _job_key(job_id)
        ttl = max(1, _seconds(job.added_at + KEPT) - _seconds(now))
        await self._store.write(key, seal_record(self._keyring, key, job), ttl)

    async def _run(self) -> None:
        while True:
            try:
                for job_id in await self._store.members(_INDEX, now=_seconds(self._clock())):
                    await self.perform(job_id)
            except StoreUnavailable:
                pass  # the next look will tell
            except Exception as error:  # noqa: BLE001 -- a bug in one job must not end all others
                log.error("bug", exc_info=error)
            await asyncio.sleep(TICK * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret


def _job_key(job_id: str) -> str:
    return f"job:{job_id}"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
