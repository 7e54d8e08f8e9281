"""Operators sign in to the admin listener's pages with one of `admin.keys`.

Rules
1. Every key is compared, in constant time, by its digest.
2. Who shows wrong keys is not heard for a while (`wrong_keys`). An operator gets in while Redis is away.
3. A session is its cookie (`core/operator_session.py`). Signing out leaves a mark in the store, for as long as the
   cookie could have lived: a copy of it is worth nothing from then on. While the store does not answer, marks are not
   seen; an operator may still look why it does not, and can change nothing that is kept there.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from gateway.core.keyring import Keyring
from gateway.core.operator_session import (
    ABSOLUTE,
    OperatorSession,
    begin_operator_session,
    open_operator_session,
    seal_operator_session,
)
from gateway.errors import StoreUnavailable, Unauthenticated
from gateway.flows.wrong_keys import CountStore, WrongKeys


class OperatorKey(msgspec.Struct, frozen=True):
    """One of `admin.keys`: its digest, and who it stands for in the log."""

    name: str
    digest: bytes

    @classmethod
    def of(cls, key: str, name: str = "admin") -> OperatorKey:
        """Return a key as it is kept here."""
        return cls(name, hashlib.sha256(key.encode()).digest())


class OperatorKeys:
    """All of `admin.keys`."""

    def __init__(self, keys: Sequence[OperatorKey]) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._keys)

    def find(self, key: str) -> OperatorKey | None:
        """Return which key that is; None for none of them."""
        return self.find_digest(hashlib.sha256(key.encode()).digest())

    def find_digest(self, digest: bytes) -> OperatorKey | None:
        """Return which key has that digest; None for none of them."""
        found = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found


class Operators:
    """Who may oversee this gateway."""

    def __init__(
        self, store: CountStore, keyring: Keyring, keys: Sequence[OperatorKey], *, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._keyring = keyring
        self.keys = OperatorKeys(keys)
        self._clock = clock
        self._wrong_keys = WrongKeys(store, clock=clock)

    @property
    def have_keys(self) -> bool:
        """Whether anybody may."""
        return bool(self.keys)

    def find(self, key: str) -> OperatorKey | None:
        """Return which key that is; None for none of them."""
        return self.keys.find(key)

    async def sign_in(self, key: str, client_address: str, *, secure: bool) -> tuple[OperatorKey, str]:
        """Begin a session; returns whose it is, and its cookie. Raises `Unauthenticated`, `TooManyAttempts`."""
        known = self.find(key)
        await self._wrong_keys.admit(client_address, wrong=known is None)
        if known is None:
            raise Unauthenticated("none of `admin.keys`")
        session = begin_operator_session(known.digest, self._clock(), secure=secure)
        return known, seal_operator_session(self._keyring, session)

    async def recall(self, cookie: bytes) -> tuple[OperatorSession, OperatorKey] | None:
        """Return whose cookie it is; None when it is nobody's, or no longer."""
        session = open_operator_session(self._keyring, cookie)
        key = self.keys.find_digest(session.key_digest) if session is not None else None
        if session is None or key is None or not session.is_live(self._clock()) or await self._has_ended(session):
            return None
        return session, key

    def renew(self, session: OperatorSession) -> str | None:
        """Return a newer cookie; None while the one that the browser has is new enough."""
        now = self._clock()
        return seal_operator_session(self._keyring, session.seen(now)) if session.is_to_be_written(now) else None

    async def sign_out(self, session: OperatorSession) -> None:
        """End a session for good. Raises `StoreUnavailable`, when only the browser can forget it."""
        await self._store.write(_mark(session), b"ended", int(ABSOLUTE.total_seconds()) + 1)

    async def _has_ended(self, session: OperatorSession) -> bool:
        try:
            return await self._store.read(_mark(session)) is not None
        except StoreUnavailable:
            return False


def _mark(session: OperatorSession) -> str:
    return f"operator-out:{session.session_id}"
