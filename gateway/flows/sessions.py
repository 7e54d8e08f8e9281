"""Sessions and grants in the store: typed, sealed, with the right time to live.

A value that no key opens counts as absent: it was altered, or sealed by a key that has been retired. So does what
another gateway on the same store has written for itself: its sessions are not ours, whatever they could open. The grant
is of the app at TikTok, so gateways with the same client key share it, and the index of the sessions that lean on it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, Protocol

import msgspec

from gateway.core.device_key import DeviceKey
from gateway.core.grant import Grant, build_grant_key
from gateway.core.keyring import Keyring
from gateway.core.record import R, Record, Swap, open_record, read_record, seal_record
from gateway.core.session import SESSION_KEY, Session, SessionLimits, build_session_key, new_session_id, public_id
from gateway.errors import OfAnotherInstance, SealBroken, StoreUnavailable
from gateway.flows.ports import Asking, CompareAndSwap, Records, Walk
from gateway.flows.record_form import RecordForm
from gateway.flows.session_index import SessionIndex, SessionIndexStore
from gateway.flows.touches import Seen, Touches
from gateway.telemetry.logs import log

MEMO_SIZE: Final = 20_000
MOST_TRIES: Final = 5
SILENCE: Final = 60.0
"""Seconds between two warnings."""


class SessionStore(SessionIndexStore, Records, CompareAndSwap, Asking, Walk, Protocol):
    """What sessions, grants and their index are kept in."""


class SignedIn(msgspec.Struct, frozen=True, gc=False):
    """A live session with the grant it leans on, and the exact bytes both were read from."""

    session_key: str
    session: Session
    sealed_session: bytes
    grant: Grant
    sealed_grant: bytes


class StoredGrant(msgspec.Struct, frozen=True):
    """A grant with the exact bytes it was read from: a writer may only replace what it has seen."""

    key: str
    grant: Grant
    sealed: bytes


class Sessions:
    """Reads and writes the records that make a person signed in."""

    def __init__(
        self,
        store: SessionStore,
        keyring: Keyring,
        limits: SessionLimits,
        *,
        client_key: str,
        keep_grants: bool = False,
        compact_after: timedelta = timedelta(),
    ) -> None:
        """`keep_grants`: a grant outlives its last session, as long as it can be renewed.

        `compact_after`: how long versions before 0.2 may run on the store beside this one.
        """
        self._keep_grants = keep_grants
        self._store = store
        self._keyring = keyring
        self._limits = limits
        self._touch_interval = limits.touch_interval
        self._warned_at = -SILENCE
        self._touches = Touches(self._touch_all)
        self._client_key = client_key
        self._index = SessionIndex(store, client_key)
        self._form = RecordForm(store, compact_after)
        # which grant a session leans on never changes: knowing it, both are read at once
        self._grant_keys: dict[str, str] = {}

    async def read(self, key: str, now: datetime) -> SignedIn | None:
        """Return who a session key stands for; None when it stands for nobody (any more)."""
        grant_key = self._grant_keys.get(key, "")
        sealed, sealed_grant = await self._read_both(key, grant_key)
        session = self._open_session(key, sealed)
        if session is None or sealed is None or now >= session.expires_at(self._limits):
            return None
        sealed = await self._seal_anew(key, session, sealed, self._time_to_live(session, now))
        if session.grant_key != grant_key:
            sealed_grant = await self._store.read(session.grant_key)
            self._remember(key, session.grant_key)
        grant = read_record(self._keyring, session.grant_key, sealed_grant, Grant)
        if grant is None or sealed_grant is None or grant.subject != session.subject:
            return None
        sealed_grant = await self._seal_anew(session.grant_key, grant, sealed_grant, self._keeping(grant, now))
        return SignedIn(key, session, sealed, grant, sealed_grant)

    def recognise(self, key: str, told: Callable[[SignedIn | StoreUnavailable | None], None]) -> None:
        """As `read`, but what is found is told, without a task, and whether the session has ended is not looked at.

        None is told where there is nobody, or anything to be done about the records: `read` does, and tells which.
        """
        grant_key = self._grant_keys.get(key)

        def read_session(values: list[bytes | None] | StoreUnavailable) -> None:
            if isinstance(values, StoreUnavailable):
                told(values)
                return
            session = self._open_session(key, values[0])
            if session is None:
                told(None)
            elif session.grant_key == grant_key:
                told(self._put_together(key, session, values))
            else:
                self._remember(key, session.grant_key)
                self._store.ask((session.grant_key,), functools.partial(read_grant, session, values))

        def read_grant(
            session: Session, sealed: list[bytes | None], values: list[bytes | None] | StoreUnavailable
        ) -> None:
            if isinstance(values, StoreUnavailable):
                told(values)
            else:
                told(self._put_together(key, session, [*sealed, *values]))

        self._store.ask((key,) if grant_key is None else (key, grant_key), read_session)

    def _put_together(self, key: str, session: Session, sealed: Sequence[bytes | None]) -> SignedIn | None:
        """Return a session with its grant; None if there is none, or if either is to be sealed anew."""
        sealed_session, sealed_grant = sealed
        is_newest = self._keyring.sealed_by_newest
        if (
            sealed_session is None
            or sealed_grant is None
            or not (is_newest(sealed_session) and is_newest(sealed_grant))
        ):
            return None
        grant = read_record(self._keyring, session.grant_key, sealed_grant, Grant)
        if grant is None or grant.subject != session.subject:
            return None
        return SignedIn(key, session, sealed_session, grant, sealed_grant)

    def ask_again(self, signed_in: SignedIn, told: Callable[[bool | StoreUnavailable], None]) -> None:
        """Have it told whether the records are stored as they were read: what is the same need not be opened again."""
        before = [signed_in.sealed_session, signed_in.sealed_grant]

        def compare(now: list[bytes | None] | StoreUnavailable) -> None:
            told(now == before if isinstance(now, list) else now)

        self._store.ask((signed_in.session_key, signed_in.session.grant_key), compare)

    def settled_until(self, signed_in: SignedIn) -> datetime:
        """Return when something has to be done: the session ends, is to be touched, or its token is due."""
        return min(self.lasts_until(signed_in), self._touch_at(signed_in.session))

    def lasts_until(self, signed_in: SignedIn) -> datetime:
        """Return when the session ends, or its token is due."""
        return min(signed_in.session.expires_at(self._limits), signed_in.grant.settled_until())

    def _touch_at(self, session: Session) -> datetime:
        return session.last_seen_at + self._touch_interval

    async def begin(self, grant: Grant, *, user_agent: str, now: datetime) -> str:
        """Write a grant and a new session that leans on it; returns the new session id for the cookie.

        The index is written first: a session that no sign-out could find must never exist, and whoever ends another
        session of the person meanwhile must see that this is not the last.
        """
        session_id = new_session_id()
        key = build_session_key(session_id.encode())
        assert key is not None  # noqa: S101 -- we made it
        grant_key = build_grant_key(self._client_key, grant.subject)
        session = Session(
            subject=grant.subject,
            grant_key=grant_key,
            signed_in_at=now,
            last_seen_at=now,
            user_agent=user_agent[:256],
        )
        compact, ends_at = await self._form.settle(now), now + self._limits.absolute
        await self._index.add(grant.subject, key, ends_at=ends_at, now=now, compact=compact)
        await self._store.write(grant_key, self._seal(grant_key, grant), self._keeping(grant, now))
        await self._store.write(key, self._seal(key, session), self._time_to_live(session, now))
        return session_id

    async def bind(self, key: str, device: DeviceKey, now: datetime) -> Session | None:
        """Bind a session to a device; returns it as it is from now on, bound to whoever came first.

        None where nobody is signed in under that key. Raises `StoreUnavailable`.
        """
        for _ in range(MOST_TRIES):  # it may be written by others at the same time: marked as seen, sealed anew
            sealed = await self._store.read(key)
            session = self._open_session(key, sealed)
            if session is None or sealed is None or now >= session.expires_at(self._limits):
                return None
            if session.device is not None:
                return session
            await self._form.settle(now)
            bound, ttl = session.bound(device), self._time_to_live(session, now)
            if await self._store.replace(key, old=sealed, new=self._seal(key, bound), ttl=ttl):
                return bound
        raise StoreUnavailable("a session changes faster than it can be bound")

    async def touch(self, signed_in: SignedIn, now: datetime) -> None:
        """Write down that the session is in use, at most every `touch_interval`.

        Replaces exactly what was read, so that a sign-out in between is never undone.
        """
        if now < self._touch_at(signed_in.session):
            return
        await self._form.settle(now)
        key, old, new, ttl = self._build_touch(signed_in, now)
        await self._store.replace(key, old=old, new=new, ttl=ttl)

    def touch_soon(self, signed_in: SignedIn, now: datetime) -> None:
        """Have it written down, for nobody to wait for: if Redis is away then, the next request does it."""
        self._touches.note(signed_in, now)

    async def _touch_all(self, seen: Sequence[Seen]) -> None:
        await self._form.settle(seen[-1][1])
        await self._store.replace_each([self._build_touch(*each) for each in seen])

    def _build_touch(self, signed_in: SignedIn, now: datetime) -> Swap:
        session, key = signed_in.session.touched(now), signed_in.session_key
        return key, signed_in.sealed_session, self._seal(key, session), self._time_to_live(session, now)

    async def close(self) -> None:
        """Wait for what is being written down; no call to the store takes longer than its timeout."""
        await self._touches.close()

    async def end(self, signed_in: SignedIn) -> None:
        """End one session; the grant goes with the last one, unless it is kept."""
        await self.end_session(signed_in.session_key, signed_in.session)

    async def end_session(self, key: str, session: Session) -> None:
        """End the session under a store key; otherwise as `end`."""
        await self._store.delete(key)
        sealed_grant = await self._store.read(session.grant_key)
        if await self._index.remove(session.subject, key) or self._keep_grants or sealed_grant is None:
            return
        # exactly that one: a sign-in that has come in between wrote another
        await self._store.remove(session.grant_key, old=sealed_grant)

    async def sign_out_all(self, subject: str, now: datetime) -> tuple[str, ...]:
        """End every session of a person; the grant goes with them, unless it is kept. Returns their keys.

        Sessions of another gateway go on, and so does the grant that they lean on.
        """
        keys = await self._index.keys(subject, now)
        others = await self._find_others(keys)
        if not others:
            return await self.end_all(subject, now, drop_grant=not self._keep_grants)
        own = tuple(key for key in keys if key not in others)
        for key in own:
            await self._store.delete(key)
            await self._index.remove(subject, key)
        return own

    async def _find_others(self, keys: Sequence[str]) -> set[str]:
        """Return those that are another gateway's."""
        others: set[str] = set()
        for key, sealed in zip(keys, await self._store.read_many(keys), strict=True):
            try:
                if sealed is not None:
                    open_record(self._keyring, key, sealed, Session)
            except OfAnotherInstance:
                others.add(key)
            except SealBroken:
                pass
        return others

    async def end_all(self, subject: str, now: datetime, *, drop_grant: bool = True) -> tuple[str, ...]:
        """End every session of a person and drop the grant, for whatever gateway; returns the keys of the sessions."""
        # the grant first: without it no session of the person counts any more
        if drop_grant:
            await self._store.delete(build_grant_key(self._client_key, subject))
        keys = await self._index.keys(subject, now)
        for key in keys:
            await self._store.delete(key)
        await self._index.drop(subject)
        return tuple(keys)

    async def of_subject(
        self, subject: str, now: datetime, unreadable: set[str] | None = None
    ) -> list[tuple[str, Session]]:
        """Return a person's live sessions with their keys, most recently seen first.

        The keys of records that cannot be opened are added to `unreadable`, here and below.
        """
        found = await self.read_sessions(await self.keys_of(subject, now), now, unreadable)
        return sorted(found, key=lambda pair: pair[1].last_seen_at, reverse=True)

    async def keys_of(self, subject: str, now: datetime) -> list[str]:
        """Return the keys of a person's sessions, whether they live or not."""
        return await self._index.keys(subject, now)

    async def read_sessions(
        self, keys: Sequence[str], now: datetime, unreadable: set[str] | None = None
    ) -> list[tuple[str, Session]]:
        """Return those of the sessions that live, with their keys, in order."""
        opened = [
            (key, self._open_session(key, sealed, unreadable))
            for key, sealed in zip(keys, await self._store.read_many(keys) if keys else [], strict=True)
        ]
        return [(key, each) for key, each in opened if each is not None and now < each.expires_at(self._limits)]

    async def read_grants(self, keys: Sequence[str], unreadable: set[str] | None = None) -> dict[str, Grant]:
        """Return those of the grants that there are, and are this app's, by their keys."""
        opened = {
            key: self._open(key, sealed, Grant, unreadable)
            for key, sealed in zip(keys, await self._store.read_many(keys) if keys else [], strict=True)
        }
        return {key: each for key, each in opened.items() if each and key == self.grant_key_of(each.subject)}

    async def read_grant(self, key: str, unreadable: set[str] | None = None) -> StoredGrant | None:
        """Return the grant under `key`, or None."""
        sealed = await self._store.read(key)
        grant = self._open(key, sealed, Grant, unreadable)
        return StoredGrant(key, grant, sealed) if grant is not None and sealed is not None else None

    def grant_key_of(self, subject: str) -> str:
        """Return the store key of a person's grant."""
        return build_grant_key(self._client_key, subject)

    async def find_grant(self, subject: str) -> StoredGrant | None:
        """Return the person's grant, or None."""
        return await self.read_grant(self.grant_key_of(subject))

    async def replace_grant(self, stored: StoredGrant, grant: Grant) -> bool:
        """Write `grant` in place of exactly what was read; False when somebody else wrote in between."""
        sealed = self._seal(stored.key, grant)
        ttl = self._keeping(grant, grant.tokens.obtained_at)
        return await self._store.replace(stored.key, old=stored.sealed, new=sealed, ttl=ttl)

    async def find_key(self, session_id: str) -> str | None:
        """Return the store key of the session that has a public id; all there are are looked at, and none is opened."""
        async for key in self._store.walk(SESSION_KEY):
            if public_id(key) == session_id:
                return key
        return None

    def _seal(self, key: str, record: Record) -> bytes:
        return seal_record(self._keyring, key, record, compact=self._form.compact)

    def _open(self, key: str, sealed: bytes | None, kind: type[R], unreadable: set[str] | None) -> R | None:
        """Return a record of ours; see `read_record`."""
        try:
            return open_record(self._keyring, key, sealed, kind) if sealed is not None else None
        except OfAnotherInstance:
            return None
        except SealBroken:
            if unreadable is not None:
                unreadable.add(key)
            else:  # somebody has come with it, and is nobody
                self._warn_of_unreadable()
            return None

    def _warn_of_unreadable(self) -> None:
        now = monotonic()
        if now - self._warned_at >= SILENCE:
            self._warned_at = now
            log.warning(
                "session_unreadable",
                advice="none of `secret_keys` opens it, and its owner counts as signed out: if another replica has a "
                "key that this one lacks, add it here, behind the others; if an old key was taken out, this passes",
            )

    def _open_session(self, key: str, sealed: bytes | None, unreadable: set[str] | None = None) -> Session | None:
        session = self._open(key, sealed, Session, unreadable)
        if session is not None and not session.instance and session.grant_key != self.grant_key_of(session.subject):
            return None  # it does not say whose it is, but that it is another app's
        return session

    async def _seal_anew(self, key: str, record: Record, sealed: bytes, ttl: int) -> bytes:
        """Seal what an older key has sealed under the newest; returns what is stored now, as far as we know."""
        if self._keyring.sealed_by_newest(sealed):
            return sealed
        new = self._seal(key, record)
        with contextlib.suppress(StoreUnavailable):  # the next one who reads it will
            if await self._store.replace(key, old=sealed, new=new, ttl=ttl):
                return new
        return sealed

    async def _read_both(self, key: str, grant_key: str) -> tuple[bytes | None, bytes | None]:
        if not grant_key:
            return await self._store.read(key), None
        sealed, sealed_grant = await self._store.read_many((key, grant_key))
        return sealed, sealed_grant

    def _remember(self, key: str, grant_key: str) -> None:
        if len(self._grant_keys) >= MEMO_SIZE:
            self._grant_keys.clear()
        self._grant_keys[key] = grant_key

    def _keeping(self, grant: Grant, now: datetime) -> int:
        """Return how long a grant is kept, in seconds from now: as long as a session may lean on it, or be useful."""
        if not self._keep_grants:
            return _seconds(self._limits.absolute)
        return _seconds(max(grant.tokens.refresh_expires_at - now, self._limits.absolute))

    def _time_to_live(self, session: Session, now: datetime) -> int:
        return _seconds(session.expires_at(self._limits) - now)


def _seconds(span: timedelta) -> int:
    return max(1, int(span.total_seconds()) + 1)
