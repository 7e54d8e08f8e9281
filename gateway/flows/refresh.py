"""Refresh of access tokens: ahead of need, once, and never lost.

The protocol:
1. A grant is due once most of its token's lifetime is used. While the token still serves, requests go on with it and
   the refresh runs beside them; once it no longer serves, requests wait for the refresh.
2. In one process there is at most one refresh per grant: everybody waits for the same task (single flight). The task
   belongs to nobody, so a client that hangs up cancels nothing.
3. Across processes a lease (distributed lock) decides who refreshes. It is short, so that a holder that died is soon
   followed, and the holder prolongs it while TikTok is slow. Whoever does not get it waits until the stored grant has
   changed, which the store tells; a look now and then is for when it does not. Whoever gets it reads the grant again
   first: it may have been refreshed just before.
4. The fence is the grant itself. New tokens are written in place of exactly the record they were made from, or of one
   that still has the same refresh token, before anybody uses them: a holder whose lease ran out cannot overwrite what a
   successor or a new sign-in wrote, and nobody can overwrite what the holder has got. Writing is retried while the
   store is away, because the old refresh token may be dead by now.
5. Before TikTok is asked, it is written down that this refresh token is on its way, and taken back once TikTok's word
   is known. If the word never comes (a holder dies, an answer is lost), TikTok may have rotated the token, and the new
   one is lost. The next holder sees that note. It tries the same token all the same, as it may not have been rotated;
   if that is dead, the access token serves for as long as it lives, and only then are people asked to sign in.
6. Without such a note, `invalid_grant` ends the grant, as does an answer about somebody else. Any other failure leaves
   everything as it is, and is remembered for a few seconds by all processes, so that no crowd storms TikTok (thundering
   herd).
7. Who is signed in may have a token refreshed that is not due, once a minute for each grant, in all processes together:
   TikTok's limit is the whole app's. More often, they are told of the token that there is.

Times are compared within a process, or with generous margins: clocks may differ by minutes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from gateway.core.audit import AuditEvent, What, Who
from gateway.core.grant import Grant, build_lease_key
from gateway.core.tiktok import TokenSet
from gateway.errors import GrantDead, ProviderError, ProviderUnavailable, StoreUnavailable
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.ports import Changes, Lease, Provider
from gateway.flows.refresh_attempts import FAILURE_LASTS, KeyChanges, NoteStore, RefreshAttempts
from gateway.flows.sessions import Sessions, StoredGrant
from gateway.telemetry.logs import log

LEASE: Final = timedelta(seconds=6)
"""How soon a holder that died is followed."""
RENEW: Final = LEASE / 3
"""How often a holder prolongs its lease."""
WAIT: Final = timedelta(seconds=30)
"""Longest time a request waits for a refresh."""
POLL: Final = timedelta(milliseconds=500)
"""How often a process looks whether another one has finished (one look a grant, not one a request)."""
KEEP_TRYING: Final = timedelta(seconds=45)
"""How long new tokens are tried to be written to a store that is away."""


class RefreshStore(NoteStore, Lease, Changes, Protocol):
    """What processes agree through on who refreshes."""


class Refresh:
    """Keeps grants fresh. One object a process."""

    def __init__(
        self,
        store: RefreshStore,
        sessions: Sessions,
        provider: Provider,
        *,
        clock: Callable[[], datetime],
        announce: Announce = keep_silent,
    ) -> None:
        self._announce = announce
        self._store = store
        self._sessions = sessions
        self._provider = provider
        self._clock = clock
        self._running: dict[str, asyncio.Task[Grant | None]] = {}
        self._failed: dict[str, tuple[datetime, ProviderError]] = {}
        self._attempts = RefreshAttempts(store)
        self._changed = KeyChanges()
        store.follow(self._changed.note)
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
        renewed = await self.renew(key)
        return renewed if renewed is not None and renewed.is_usable(self._clock()) else None

    async def renew(self, key: str, *, force: bool = False) -> Grant | None:
        """Refresh if it is due, or wait for the refresh that runs; returns and raises as `fresh` does.

        `force` refreshes a token that is not due yet, unless that was done within `FORCED_EVERY`.
        """
        failed = self._has_failed(key, self._clock())
        if failed is not None:
            raise failed.with_traceback(None)
        try:
            async with asyncio.timeout(WAIT.total_seconds()):
                # shielded: the refresh goes on when this request is cancelled
                return await asyncio.shield(self._start(key, force=force))
        except TimeoutError:
            stored = await self._sessions.read_grant(key)
            if stored is not None and stored.grant.is_usable(self._clock()):
                return stored.grant
            raise ProviderUnavailable("the refresh of the access token takes too long") from None

    @property
    def under_way(self) -> set[asyncio.Task[Any]]:
        """The tasks that run now."""
        return {*self._running.values(), *self._profiles}

    async def close(self) -> None:
        """Let the refreshes under way finish: each may hold the only copy of a rotated token."""
        under_way = self.under_way
        if under_way:
            await asyncio.wait(under_way, timeout=KEEP_TRYING.total_seconds())

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
            self._failed[key] = (self._clock() + FAILURE_LASTS, error)
        if error is not None:
            log.warning("refresh_failed", reason=str(error), code=getattr(error, "code", "internal_error"))

    def _is_wanted(self, grant: Grant, forced_at: datetime | None) -> bool:
        """Whether this grant still needs what was asked for; somebody else may have done it meanwhile."""
        if forced_at is not None and grant.is_renewable:
            return grant.tokens.obtained_at < forced_at
        return grant.is_refresh_due(self._clock())

    async def _refresh(self, key: str, forced_at: datetime | None) -> Grant | None:
        holder, lease = secrets.token_hex(8), build_lease_key(key)
        while not await self._store.acquire_lease(lease, holder, _milliseconds(LEASE)):
            await self._changed.wait(key, POLL.total_seconds())
            stored = await self._sessions.read_grant(key)
            if stored is None or not self._is_wanted(stored.grant, forced_at):
                return stored.grant if stored is not None else None
        holding = asyncio.create_task(self._hold(lease, holder), name="lease")
        try:
            return await self._refresh_as_holder(key, forced_at)
        finally:
            holding.cancel()
            await _quietly(self._store.release_lease(lease, holder))

    async def _hold(self, lease: str, holder: str) -> None:
        """Prolong the lease; if it was lost all the same, the fence holds."""
        while True:
            await asyncio.sleep(RENEW.total_seconds())
            await _quietly(self._store.renew_lease(lease, holder, _milliseconds(LEASE)))

    async def _refresh_as_holder(self, key: str, forced_at: datetime | None) -> Grant | None:
        stored = await self._sessions.read_grant(key)
        if stored is None or not self._is_wanted(stored.grant, forced_at):
            return stored.grant if stored is not None else None
        attempts = self._attempts
        await attempts.raise_recent_failure(key)
        if not stored.grant.is_refresh_due(self._clock()) and not await attempts.may_force(key):
            return stored.grant
        unsure = await attempts.begin(key, stored.grant.tokens.refresh_token)
        try:
            tokens = await self._provider.refresh(stored.grant.tokens)
        except GrantDead as error:
            ended = await self._bury(stored, error, unsure=unsure)
            await _quietly(attempts.forget(key))
            return ended
        except ProviderError as error:
            await _quietly(attempts.note_failure(key, error))
            raise
        if tokens.open_id != stored.grant.subject:
            log.error("refresh_answered_other_subject", advice="the grant was ended; tell TikTok's support")
            return await self._end(stored, ProviderUnavailable("TikTok answered about somebody else"))
        grant = await self._save(stored, tokens)
        await _quietly(attempts.forget(key))
        return grant

    async def _save(self, stored: StoredGrant, tokens: TokenSet) -> Grant | None:
        """Write new tokens down, whatever it takes; returns what is stored then."""
        spent, give_up_at = stored.grant.tokens.refresh_token, self._clock() + KEEP_TRYING
        while True:
            try:
                replaced = await self._sessions.replace_grant(stored, stored.grant.with_tokens(tokens))
                current = await self._sessions.read_grant(stored.key)
            except StoreUnavailable:
                if self._clock() >= give_up_at:
                    raise
                await asyncio.sleep(POLL.total_seconds())
                continue
            if replaced or current is None or current.grant.tokens.refresh_token != spent:
                break
            stored = current  # something else of the grant has changed
        if replaced and current is not None and current.grant.is_profile_stale(self._clock()):
            task = asyncio.create_task(self._renew_profile(current), name="profile")
            self._profiles.add(task)
            task.add_done_callback(self._profiles.discard)
        return current.grant if current is not None else None

    async def _bury(self, stored: StoredGrant, error: ProviderError, *, unsure: bool) -> Grant | None:
        """The refresh token is dead: go on with what there is."""
        if stored.grant.spare is not None:
            return await self.fall_back(stored)
        return await (self._lose(stored) if unsure else self._end(stored, error))

    async def fall_back(self, stored: StoredGrant) -> Grant | None:
        """Go on with the spare tokens, if there are some; returns what is stored then."""
        if stored.grant.spare is not None:
            await self._sessions.replace_grant(stored, stored.grant.with_tokens(stored.grant.spare))
        current = await self._sessions.read_grant(stored.key)
        return current.grant if current is not None else None

    async def _lose(self, stored: StoredGrant) -> Grant | None:
        """The refresh token is dead, and its successor was lost: the access token serves for as long as it lives."""
        log.warning("refresh_token_lost", advice="TikTok's answer to an earlier refresh never came")
        await self._sessions.replace_grant(stored, stored.grant.without_refresh())
        current = await self._sessions.read_grant(stored.key)
        return current.grant if current is not None else None

    async def _renew_profile(self, stored: StoredGrant) -> None:
        """Read the profile again, since avatar URLs expire; a courtesy, so nobody waits and no failure counts."""
        grant = stored.grant
        try:
            profile = await self._provider.user_info(
                grant.tokens.access_token, grant.tokens.scopes, open_id=grant.subject
            )
            if profile.open_id == grant.subject:
                await self._sessions.replace_grant(stored, grant.with_profile(profile, self._clock()))
        except (ProviderError, StoreUnavailable) as error:
            log.info("profile_not_renewed", reason=str(error))

    async def _end(self, stored: StoredGrant, error: ProviderError) -> Grant | None:
        """The refresh token is dead, unless somebody has replaced the grant since it was read."""
        current = await self._sessions.read_grant(stored.key)
        if current is not None and current.sealed != stored.sealed:
            return current.grant
        subject = stored.grant.subject
        ended = len(await self._sessions.end_all(subject, self._clock()))
        self._announce(
            AuditEvent(
                what=What.GRANT_ENDED,
                subject=subject,
                who=Who.GATEWAY,
                cause=error.code,
                log_id=error.log_id,
                ended=ended,
            )
        )
        return None


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


async def _quietly(call: Awaitable[object]) -> None:
    """Do what is not needed for the result: a lease runs out by itself, and so does a note."""
    try:
        await call
    except StoreUnavailable as error:
        log.info("refresh_not_tidied_up", reason=str(error))
