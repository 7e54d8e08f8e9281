"""Refresh of access tokens: ahead of need, once, and never lost.

The protocol:
1. A grant is due once most of its token's lifetime is used. While the token still serves, requests go on with it and
   the refresh runs beside them; once it no longer serves, requests wait for the refresh.
2. In one process there is at most one refresh per grant: everybody waits for the same task. The task belongs to
   nobody, so a client that hangs up cancels nothing.
3. Across processes a lease decides who refreshes. Whoever does not get it waits until the stored grant has changed.
   Whoever gets it reads the grant again first: it may have been refreshed just before.
4. The new tokens are written, in place of exactly the grant that was read, before anybody uses them: a holder whose
   lease ran out cannot overwrite what its successor wrote. Writing is retried while the store is away, because the
   old refresh token may be dead by now.
5. Only `invalid_grant` ends the grant, and only if nobody has replaced it meanwhile. Any other failure is
   remembered for a few seconds, so that a crowd does not storm TikTok, and leaves everything as it is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from gateway.core.grant import Grant, build_lease_key
from gateway.core.tiktok import TokenSet
from gateway.errors import GrantDead, ProviderError, ProviderUnavailable, StoreUnavailable
from gateway.flows.ports import Provider, Store
from gateway.flows.sessions import Sessions, StoredGrant
from gateway.telemetry.logs import log

LEASE: Final = timedelta(seconds=45)
"""Longer than one exchange with TikTok may take, so that a slow TikTok does not bring a second refresher."""
WAIT: Final = timedelta(seconds=30)
"""Longest time a request waits for a refresh."""
POLL: Final = timedelta(milliseconds=150)
"""How often a process looks whether another one has finished (one look a grant, not one a request)."""
REMEMBER_FAILURE: Final = timedelta(seconds=5)


class Refresh:
    """Keeps grants fresh. One object a process."""

    def __init__(self, store: Store, sessions: Sessions, provider: Provider, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._sessions = sessions
        self._provider = provider
        self._clock = clock
        self._running: dict[str, asyncio.Task[Grant | None]] = {}
        self._failed: dict[str, tuple[datetime, ProviderError]] = {}
        self._profiles: set[asyncio.Task[None]] = set()

    async def fresh(self, key: str, grant: Grant) -> Grant | None:
        """Return the grant with a usable access token; None when the grant is over.

        Raises `ProviderError` when TikTok cannot renew the token now and the old one no longer serves.
        """
        now = self._clock()
        if not grant.is_refresh_due(now):
            return grant if grant.is_usable(now) else None
        if grant.is_usable(now):
            if not self._has_failed(key, now):
                self._start(key)
            return grant
        return await self.renew(key)

    async def renew(self, key: str, *, force: bool = False) -> Grant | None:
        """Refresh if it is due, or wait for the refresh that runs; returns and raises as `fresh` does.

        `force` refreshes a token that is not due yet.
        """
        failed = self._has_failed(key, self._clock())
        if failed is not None:
            raise failed.with_traceback(None)
        try:
            async with asyncio.timeout(WAIT.total_seconds()):
                # shielded: the refresh goes on when this request is cancelled
                return await asyncio.shield(self._start(key, force=force))
        except TimeoutError:
            raise ProviderUnavailable("the refresh of the access token takes too long") from None

    async def close(self) -> None:
        """Let the refreshes under way finish: each may hold the only copy of a rotated token."""
        under_way = {*self._running.values(), *self._profiles}
        if under_way:
            await asyncio.wait(under_way, timeout=LEASE.total_seconds())

    def _has_failed(self, key: str, now: datetime) -> ProviderError | None:
        until, error = self._failed.get(key, (now, None))
        if error is None or now >= until:
            self._failed.pop(key, None)
            return None
        return error

    def _start(self, key: str, *, force: bool = False) -> asyncio.Task[Grant | None]:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(
                self._refresh(key, self._clock() if force else None), name="refresh"
            )
            task.add_done_callback(lambda done: self._finished(key, done))
        return task

    def _finished(self, key: str, task: asyncio.Task[Grant | None]) -> None:
        self._running.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ProviderError):
            self._failed[key] = (self._clock() + REMEMBER_FAILURE, error)
        if error is not None:
            log.warning("refresh_failed", reason=str(error), code=getattr(error, "code", "internal_error"))

    def _is_wanted(self, grant: Grant, forced_at: datetime | None) -> bool:
        """Whether this grant still needs what was asked for; somebody else may have done it meanwhile."""
        if forced_at is not None and grant.tokens.refresh_token:
            return grant.tokens.obtained_at < forced_at
        return grant.is_refresh_due(self._clock())

    async def _refresh(self, key: str, forced_at: datetime | None) -> Grant | None:
        holder, lease = secrets.token_hex(8), build_lease_key(key)
        while not await self._store.acquire_lease(lease, holder, int(LEASE.total_seconds() * 1000)):
            await asyncio.sleep(POLL.total_seconds())
            stored = await self._sessions.read_grant(key)
            if stored is None or not self._is_wanted(stored.grant, forced_at):
                return stored.grant if stored is not None else None
        try:
            return await self._refresh_as_holder(key, forced_at)
        finally:
            await _quietly(self._store.release_lease(lease, holder))

    async def _refresh_as_holder(self, key: str, forced_at: datetime | None) -> Grant | None:
        stored = await self._sessions.read_grant(key)
        if stored is None or not self._is_wanted(stored.grant, forced_at):
            return stored.grant if stored is not None else None
        try:
            tokens = await self._provider.refresh(stored.grant.tokens)
        except GrantDead:
            return await self._end(stored)
        if tokens.open_id != stored.grant.subject:
            log.error("refresh_answered_other_subject", advice="the grant was ended; tell TikTok's support")
            return await self._end(stored)
        return await self._save(stored, tokens)

    async def _save(self, stored: StoredGrant, tokens: TokenSet) -> Grant | None:
        grant = stored.grant.with_tokens(tokens)
        give_up_at = self._clock() + LEASE
        while True:
            try:
                replaced = await self._sessions.replace_grant(stored, grant)
                break
            except StoreUnavailable:
                if self._clock() >= give_up_at:
                    raise
                await asyncio.sleep(POLL.total_seconds())
        current = await self._sessions.read_grant(stored.key)
        if replaced and current is not None and grant.is_profile_stale(self._clock()):
            task = asyncio.create_task(self._renew_profile(current), name="profile")
            self._profiles.add(task)
            task.add_done_callback(self._profiles.discard)
        return current.grant if current is not None else None

    async def _renew_profile(self, stored: StoredGrant) -> None:
        """Read the profile again, since avatar URLs expire; a courtesy, so nobody waits and no failure counts."""
        grant = stored.grant
        try:
            profile = await self._provider.user_info(grant.tokens.access_token, grant.tokens.scopes)
            if profile.open_id == grant.subject:
                await self._sessions.replace_grant(stored, grant.with_profile(profile, self._clock()))
        except (ProviderError, StoreUnavailable) as error:
            log.info("profile_not_renewed", reason=str(error))

    async def _end(self, stored: StoredGrant) -> Grant | None:
        """The refresh token is dead, unless somebody has replaced the grant since it was read."""
        current = await self._sessions.read_grant(stored.key)
        if current is not None and current.sealed != stored.sealed:
            return current.grant
        await self._sessions.end_all(stored.grant.subject, self._clock())
        return None


async def _quietly(call: Awaitable[None]) -> None:
    """A lease that cannot be given back runs out by itself."""
    try:
        await call
    except StoreUnavailable as error:
        log.info("lease_not_given_back", reason=str(error))
