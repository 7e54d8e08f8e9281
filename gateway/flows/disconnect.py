"""Disconnect: end the app's grant at TikTok (token revocation), and every session that leans on it.

Not the same as sign-out, which ends one session and leaves TikTok alone.

Here everything ends at once; only a refresh that is under way is waited for, since it may be the end of the tokens in
hand. TikTok is told at once too, if it answers; else again and again, by a job that survives restarts. Revoking needs a
live access token, so an expired one is refreshed first, and the rotated tokens are kept in the job before they are
used. A grant may have spare tokens, of a later sign-in; then its own may be dead, and TikTok says of dead tokens, too,
that they are revoked. So both are revoked. A new sign-in withdraws the job: revoking ends whatever the person has
granted, and they have just granted it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from gateway.core.audit import AuditEvent, What
from gateway.core.grant import Grant, build_lease_key
from gateway.core.tiktok import TokenSet
from gateway.errors import AccessTokenDead, GrantDead, StoreUnavailable
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.outbox import Outbox, Save
from gateway.flows.ports import Lease, Provider
from gateway.flows.sessions import Sessions
from gateway.telemetry.logs import log

REVOCATION: Final = "revocation"
"""Kind of the jobs."""
PATIENCE: Final = 5.0
"""Seconds in which TikTok may answer while the person waits."""

_PAUSE: Final = 0.2
_LEASE: Final = 10_000  # milliseconds

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[TokenSet, ...] | TokenSet)


class Disconnect:
    """Ends grants."""

    def __init__(
        self,
        store: Lease,
        sessions: Sessions,
        outbox: Outbox,
        *,
        clock: Callable[[], datetime],
        announce: Announce = keep_silent,
    ) -> None:
        self._announce = announce
        self._store = store
        self._sessions = sessions
        self._outbox = outbox
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()

    async def disconnect(self, grant: Grant) -> tuple[str, ...]:
        """End all the person's sessions here, and the grant at TikTok, now or later; returns the sessions' keys.

        Raises `StoreUnavailable`: then it may not have happened, and can be tried again.
        """
        job_id = self._job_id(grant.subject)
        async with self._without_refresh(grant.subject):
            stored = await self._sessions.find_grant(grant.subject)
            latest = stored.grant if stored is not None else grant
            tokens = [each for each in (latest.tokens, latest.spare) if each is not None]
            await self._outbox.add(job_id, REVOCATION, _encode(tokens))
            ended = await self._sessions.end_all(grant.subject, self._clock())
        self._announce(AuditEvent(what=What.GRANT_REVOKED, subject=grant.subject, ended=len(ended)))
        # never cancelled: it may hold the only copy of a rotated token
        task = asyncio.create_task(self._perform(job_id), name="revocation")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait((task,), timeout=PATIENCE)
        return ended

    async def close(self) -> None:
        """Let those under way finish, as `Refresh` does; a job takes no longer than `outbox.TIME`."""
        if self._under_way:
            await asyncio.wait(set(self._under_way))

    @contextlib.asynccontextmanager
    async def _without_refresh(self, subject: str) -> AsyncGenerator[None]:
        """Keep the grant from being refreshed meanwhile: once a refresh under way has ended, or takes too long."""
        lease, holder = build_lease_key(self._sessions.grant_key_of(subject)), secrets.token_hex(8)
        for _ in range(int(PATIENCE / _PAUSE)):
            if await self._store.acquire_lease(lease, holder, _LEASE):
                break
            await asyncio.sleep(_PAUSE)
        try:
            yield
        finally:
            with contextlib.suppress(StoreUnavailable):  # it runs out by itself
                await self._store.release_lease(lease, holder)

    async def is_over(self, subject: str) -> bool:
        """Whether TikTok has been told; another replica may be doing it, and is given some time."""
        for _ in range(int(PATIENCE / _PAUSE)):
            if not await self._outbox.holds(self._job_id(subject)):
                return True
            await asyncio.sleep(_PAUSE)
        return False

    async def _perform(self, job_id: str) -> None:
        try:
            await self._outbox.perform(job_id)
        except StoreUnavailable as error:
            log.info("revocation_goes_on", reason=str(error))

    async def withdraw(self, subject: str) -> None:
        """Leave the grant at TikTok alone, if it still is: the person has signed in again."""
        await self._outbox.withdraw(self._job_id(subject))
        await self._outbox.withdraw("revocation-" + _digest(subject))  # its id in older versions

    def _job_id(self, subject: str) -> str:
        """Return the same for all gateways of this app: whoever signs in at one must not be disconnected by another."""
        return "revocation-" + _digest(self._sessions.grant_key_of(subject))


class Revocation:
    """Does the jobs."""

    def __init__(self, provider: Provider, *, clock: Callable[[], datetime]) -> None:
        self._provider = provider
        self._clock = clock

    async def __call__(self, data: bytes, save: Save) -> None:
        """Revoke at TikTok; a grant that is dead already is fine. Raises `ProviderError` to be asked again."""
        found = _decoder.decode(data)
        held = [found] if isinstance(found, TokenSet) else list(found)
        for number, tokens in enumerate(held):
            with contextlib.suppress(GrantDead, AccessTokenDead):
                if self._clock() >= tokens.access_expires_at:
                    held[number] = await self._provider.refresh(tokens)
                    with contextlib.suppress(StoreUnavailable):  # they are in hand: what counts is to revoke them
                        await save(_encode(held))
                await self._provider.revoke(held[number].access_token)


def _encode(held: Sequence[TokenSet]) -> bytes:
    """Write what is to be revoked; one alone as older versions have it."""
    return _encoder.encode(held if len(held) > 1 else held[0])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
