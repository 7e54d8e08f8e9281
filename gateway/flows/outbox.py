"""What must be done in the end, whatever happens meanwhile: jobs kept in the store until they are done.

The outbox pattern, with at-least-once delivery.

Rules
1. A job is written, sealed, before anybody is told that it will be done, and deleted when it has been. So it is done at
   least once, maybe twice, by whatever replica is there, and a restart loses nothing.
2. A lease on each job keeps replicas from doing it at the same time. It is longer than doing it may take.
3. What fails is tried again after a while that doubles, up to an hour, and given up after three days, with a word in
   the log: TikTok does the same with its webhooks.
4. There are at most `MOST_JOBS`: beyond, new ones are refused as if the store were full.
5. A job has an id of its maker's choice. Adding it again replaces it; it can be withdrawn.
6. Jobs of other gateways on the same store are left to them; so are those of a kind that only a newer version knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol

import msgspec

from gateway.core.keyring import Keyring
from gateway.core.record import Record, read_record, seal_record
from gateway.errors import GatewayError, StoreUnavailable
from gateway.flows.ports import CompareAndSwap, Index, Lease, Records
from gateway.tasks import stop
from gateway.telemetry.logs import log

MOST_JOBS: Final = 10_000
KEPT: Final = timedelta(hours=72)
"""After that a job is given up."""
AT_ONCE: Final = 8
"""Most jobs that a replica does at the same time: one that hangs must not keep all others waiting."""
TICK: Final = 5.0
"""Seconds between two looks for what is due."""
TIME: Final = timedelta(seconds=60)
"""Longest time that doing a job may take; the lease lasts a little longer."""
FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(hours=1)
_INDEX: Final = "jobs"
_random: Final = random.SystemRandom()  # the same in no two workers, and nobody else's to seed


class Job(Record, frozen=True):
    """Something to be done, as kept in the store."""

    purpose: ClassVar[str] = "job"

    kind: str
    data: bytes
    added_at: datetime
    due_at: datetime
    failures: int = 0


class WaitingJob(msgspec.Struct, frozen=True):
    """A job as an operator sees it: not what is in it."""

    kind: str
    added_at: datetime
    due_at: datetime
    failures: int


class JobStore(Records, CompareAndSwap, Index, Lease, Protocol):
    """What jobs are kept in."""


Save = Callable[[bytes], Awaitable[None]]
Perform = Callable[[bytes, Save], Awaitable[None]]
"""Does a job with its data. It may save other data first, to be found should it be done again. Raises a `GatewayError`
when it has to be tried again later."""


class Outbox:
    """The jobs. `performers` do them, by kind."""

    def __init__(
        self,
        store: JobStore,
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
        self._soon: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        """Begin to look for jobs, within the event loop; those of before a restart are among them."""
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="outbox")

    async def close(self) -> None:
        """Stop; what is under way is cancelled, and done again by somebody."""
        self._closed = True
        for task in (*self._soon, *([self._task] if self._task is not None else ())):
            await stop(task)

    async def add(self, job_id: str, kind: str, data: bytes) -> None:
        """Keep a job until it is done. Raises `StoreUnavailable`, also when there are too many."""
        now = self._clock()
        if len(await self._store.members(_INDEX, now=_seconds(now))) >= MOST_JOBS:
            raise StoreUnavailable(f"there are {MOST_JOBS} jobs in the outbox already: does the app take webhooks?")
        # the index first: a job that nobody finds would never be done
        await self._store.add_member(_INDEX, job_id, expires_at=_seconds(now + KEPT), now=_seconds(now))
        job, key = Job(kind=kind, data=data, added_at=now, due_at=now), _job_key(job_id)
        await self._store.write(key, seal_record(self._keyring, key, job), self._left(job))
        self.start()

    def perform_soon(self, job_id: str) -> None:
        """Do a job beside whoever asks for it."""
        task = asyncio.get_running_loop().create_task(self._try(job_id), name="job")
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)

    async def withdraw(self, job_id: str) -> None:
        """Have a job done no more, if it is still there."""
        if await self._store.delete(_job_key(job_id)):
            await self._store.remove_member(_INDEX, job_id)

    async def holds(self, job_id: str) -> bool:
        """Whether a job is still to be done."""
        return await self._store.read(_job_key(job_id)) is not None

    async def waiting(self, most: int) -> tuple[int, list[WaitingJob]]:
        """Return how many jobs there are, and `most` of them, what is due first at the front; for operators."""
        jobs = await self._store.members(_INDEX, now=_seconds(self._clock()))
        keys = [_job_key(job_id) for job_id in jobs[:most]]
        sealed = await self._store.read_many(keys) if keys else []
        found = [read_record(self._keyring, key, value, Job) for key, value in zip(keys, sealed, strict=True)]
        shown = [WaitingJob(job.kind, job.added_at, job.due_at, job.failures) for job in found if job is not None]
        return len(jobs), sorted(shown, key=lambda job: job.due_at)

    async def perform(self, job_id: str) -> bool:
        """Do a job now, if it is due; returns whether it is done (by whomever)."""
        key = _job_key(job_id)
        sealed = await self._store.read(key)
        if sealed is not None and read_record(self._keyring, key, sealed, Job) is None:
            return False  # another gateway's, or sealed by a key that is gone: the index forgets it in time
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
        sealed = await self._store.read(key)
        job = read_record(self._keyring, key, sealed, Job)
        if job is None or sealed is None:  # done, or withdrawn
            await self._store.remove_member(_INDEX, job_id)
            return True
        if now < job.due_at:
            return False
        performer = self._performers.get(job.kind)
        if performer is None:
            return False
        held = _Held(job, sealed)

        async def save(data: bytes) -> None:
            await self._rewrite(job_id, held, msgspec.structs.replace(held.job, data=data))

        try:
            async with asyncio.timeout(TIME.total_seconds()):
                await performer(job.data, save)
        except Exception as error:  # noqa: BLE001 -- whatever happened, it is to be done again
            if not isinstance(error, GatewayError | TimeoutError):
                log.error("bug", job_id=job_id, exc_info=error)
            await self._put_off(job_id, held, error)
            return False
        await self._forget(job_id, held)
        return True

    async def _put_off(self, job_id: str, held: _Held, error: Exception) -> None:
        job = held.job
        pause = min(FIRST_PAUSE * 2 ** min(job.failures, 16), LONGEST_PAUSE)
        due_at = self._clock() + pause * _random.uniform(0.8, 1.2)
        reason = str(error) or type(error).__name__
        if due_at >= job.added_at + KEPT:
            log.error("job_given_up", kind=job.kind, job_id=job_id, reason=reason, tries=job.failures + 1)
            await self._forget(job_id, held)
            return
        log.warning("job_put_off", kind=job.kind, job_id=job_id, reason=reason, seconds=int(pause.total_seconds()))
        await self._rewrite(job_id, held, msgspec.structs.replace(job, due_at=due_at, failures=job.failures + 1))

    async def _rewrite(self, job_id: str, held: _Held, job: Job) -> None:
        """Write a job anew, unless it was withdrawn or replaced meanwhile: it must not come back."""
        key = _job_key(job_id)
        sealed = seal_record(self._keyring, key, job)
        if await self._store.replace(key, old=held.sealed, new=sealed, ttl=self._left(job)):
            held.job, held.sealed = job, sealed

    async def _forget(self, job_id: str, held: _Held) -> None:
        """Delete a job, but not one that has taken its place meanwhile."""
        if await self._store.remove(_job_key(job_id), old=held.sealed):
            await self._store.remove_member(_INDEX, job_id)

    def _left(self, job: Job) -> int:
        return max(1, _seconds(job.added_at + KEPT) - _seconds(self._clock()))

    async def _run(self) -> None:
        while True:
            # first: who adds a job means to do it at once
            await asyncio.sleep(TICK * _random.uniform(0.5, 1.5))
            try:
                await self._look()
            except StoreUnavailable:
                pass  # the next look will tell
            except Exception as error:  # noqa: BLE001 -- a bug in one look must not end all further ones
                log.error("bug", exc_info=error)

    async def _look(self) -> None:
        """Do what is due."""
        jobs = await self._store.members(_INDEX, now=_seconds(self._clock()))
        for start in range(0, len(jobs), AT_ONCE):
            await asyncio.gather(*(self._try(job_id) for job_id in jobs[start : start + AT_ONCE]))

    async def _try(self, job_id: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # the next look will tell
            await self.perform(job_id)


class _Held:
    """A job under way, and the bytes that are stored of it."""

    def __init__(self, job: Job, sealed: bytes) -> None:
        self.job = job
        self.sealed = sealed


def _job_key(job_id: str) -> str:
    return f"job:{job_id}"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
