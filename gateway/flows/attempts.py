"""Sign-in attempts in the store: kept, found by the state, taken once; and for a while, where the finished ones led."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.binding import Binding, is_opaque
from gateway.core.keyring import Keyring
from gateway.core.record import read_record, seal_record
from gateway.core.sign_in import (
    ATTEMPT_KEPT,
    FINISHED_LASTS,
    FinishedSignIn,
    SignInAttempt,
    build_attempt_key,
    build_finished_key,
    hash_binding,
)
from gateway.errors import AttemptOfOtherBrowser, AttemptUnknown, AttemptWithoutCookie
from gateway.flows.ports import Records


class FoundAttempt(msgspec.Struct, frozen=True):
    """A browser's own attempt, the bytes it was read from, and the binding that proves whose it is."""

    state: str
    attempt: SignInAttempt
    sealed: bytes
    binding: Binding

    def __repr__(self) -> str:
        """Do not show the state."""
        return f"FoundAttempt({self.binding!r})"


class Attempts:
    """Reads and writes them."""

    def __init__(self, store: Records, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def keep(self, key: str, attempt: SignInAttempt) -> None:
        """Write an attempt that begins now, under its key."""
        await self._store.write(key, seal_record(self._keyring, key, attempt), int(ATTEMPT_KEPT.total_seconds()))

    async def find(self, state: str, bindings: Sequence[Binding]) -> FoundAttempt:
        """Return a browser's own attempt; nothing is used up.

        Raises `AttemptUnknown`, `AttemptWithoutCookie` or `AttemptOfOtherBrowser`.
        """
        if not is_opaque(state):
            raise AttemptUnknown("the state is not one of ours")
        key = build_attempt_key(state)
        sealed = await self._store.read(key)
        attempt = read_record(self._keyring, key, sealed, SignInAttempt)
        if attempt is None or sealed is None:
            raise AttemptUnknown("no sign-in attempt has this state: it expired or was used")
        if not bindings:
            raise AttemptWithoutCookie("the binding cookie did not come back to the callback's address")
        binding = next((each for each in bindings if attempt.belongs_to(each.value)), None)
        if binding is None:
            # not consumed: it is the other browser's, and that one may still finish
            raise AttemptOfOtherBrowser("the state belongs to another browser's sign-in attempt")
        return FoundAttempt(state, attempt, sealed, binding)

    async def take(self, found: FoundAttempt) -> None:
        """Use an attempt up, atomically: of several that try, one does. Raises `AttemptUnknown` for the others."""
        if await self._store.take(build_attempt_key(found.state)) != found.sealed:
            raise AttemptUnknown("the sign-in attempt was used a moment ago")

    async def remember_finished(self, found: FoundAttempt) -> None:
        """Write down where an attempt that was taken leads."""
        key = build_finished_key(found.state)
        record = FinishedSignIn(binding=found.attempt.binding, return_to=found.attempt.return_to)
        await self._store.write(key, seal_record(self._keyring, key, record), int(FINISHED_LASTS.total_seconds()))

    async def read_finished(self, state: str | None, *, bindings: Sequence[Binding]) -> str | None:
        """Return where an attempt led, if this browser did finish it."""
        if state is None or not is_opaque(state) or not bindings:
            return None
        key = build_finished_key(state)
        finished = read_record(self._keyring, key, await self._store.read(key), FinishedSignIn)
        if finished is None or finished.binding not in {hash_binding(each.value) for each in bindings}:
            return None
        return finished.return_to
