"""What the flows need from the world, said by them; `store` and `provider` obey.

The store is asked through small ports (interface segregation): each flow names those that it uses, in a type of its own
where there are several. So it is seen at a glance what a flow can do to the store, and a test needs no more of one.

Keys are relative, the store adds its prefix, and all that is kept under them expires. Every method that asks the store
raises `StoreUnavailable`, within the configured timeout, when the store cannot answer as it should; every method of
`Provider` raises a `ProviderError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from gateway.core.finding import Finding
from gateway.core.qr_code import QrCode, Scan
from gateway.core.record import Swap
from gateway.core.sign_in import VerifiedCode
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import StoreUnavailable


class Records(Protocol):
    """Bytes in, bytes out (key-value)."""

    async def read(self, key: str) -> bytes | None:
        """Return what is stored, or None."""

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each key, in order."""

    async def write(self, key: str, value: bytes, ttl: int) -> None:
        """Store for `ttl` seconds (> 0)."""

    async def take(self, key: str) -> bytes | None:
        """Read and delete in one step: of many callers, one gets the value."""

    async def delete(self, *keys: str) -> int:
        """Delete; returns how many existed."""


class CompareAndSwap(Protocol):
    """Changes only what nobody else has changed since it was read (optimistic locking)."""

    async def replace(self, key: str, *, old: bytes, new: bytes, ttl: int) -> bool:
        """Store `new` only if the key still holds exactly `old`; never creates."""

    async def replace_each(self, swaps: Sequence[Swap]) -> list[bool]:
        """As `replace`, of many keys that have nothing to do with each other; some may be done when it raises."""

    async def remove(self, key: str, *, old: bytes) -> bool:
        """Delete only if the key still holds exactly `old`."""


class Asking(Protocol):
    """Reads for those who cannot wait in a task."""

    def ask(self, keys: Sequence[str], told: Callable[[list[bytes | None] | StoreUnavailable], None]) -> None:
        """As `Records.read_many`, but the values, or why there are none, are told."""


class Walk(Protocol):
    """Reads all there is (scan). For operators."""

    def walk(self, kind: str) -> AsyncIterator[str]:
        """Yield every key that begins with `kind`, in no order; some twice.

        Who else writes to the store may have given its keys odd names: those that are not ASCII are left out.
        """

    async def step(self, kind: str, at: str, count: int) -> tuple[list[str], str | None]:
        """Take one step of such a walk, past about `count` keys of whatever kind (cursor).

        Returns those found, which may be none, and where the next step begins; None at the end. `at` is "" at first.
        What is there during the whole walk is found. Raises `ValueError` for an `at` that no step has returned.
        """


class Index(Protocol):
    """Sets of names, each of which has its own end (secondary index)."""

    async def add_member(self, index: str, member: str, *, expires_at: int, now: int) -> None:
        """Add to an index until `expires_at` (Unix seconds); members past their time are dropped."""

    async def members(self, index: str, *, now: int) -> list[str]:
        """Return the members that have not expired."""

    async def remove_member(self, index: str, *members: str) -> int:
        """Remove; returns how many members are left."""


class Counter(Protocol):
    """Counts what all processes do (rate limit, quota)."""

    async def increment(self, key: str, *, ttl: int, by: int = 1) -> int:
        """Count up, and return the count; the counter ends `ttl` seconds after its first step."""


class Lease(Protocol):
    """Keeps all but one from doing something at a time (distributed lock), until its holder dies or is done."""

    async def acquire_lease(self, key: str, holder: str, ttl: int) -> bool:
        """Take a lease for `ttl` milliseconds, unless somebody holds it."""

    async def renew_lease(self, key: str, holder: str, ttl: int) -> bool:
        """Prolong a lease; False when it is no longer ours."""

    async def release_lease(self, key: str, holder: str) -> None:
        """Give a lease back, if it is still ours."""


class Changes(Protocol):
    """Tells every change of a session or a grant, by whomever it is made (publish/subscribe, cache invalidation)."""

    @property
    def following(self) -> bool:
        """Whether every change is being told now."""

    def follow(self, changed: Callable[[str | None], None]) -> None:
        """Have `changed` called with the key of each change from now on; None: anything may have changed.

        It is called with None, too, at the moment from which on changes are no longer told.
        """

    def start(self) -> None:
        """Begin to have others' changes told, within the event loop; otherwise it begins with the first read."""


class Health(Protocol):
    """How the store is."""

    async def ping(self) -> None:
        """Return when the store answers."""

    async def inspect(self) -> list[Finding]:
        """Return what an operator should know of how the store is set up."""


class Store(Records, CompareAndSwap, Asking, Walk, Index, Counter, Lease, Changes, Health, Protocol):
    """All of it: for those who make flows. No flow asks for it."""


class QrCodes(Protocol):
    """TikTok's codes for phones to scan. Every method raises a `ProviderError`."""

    async def begin_qr_code(self, scopes: Sequence[str], state: str, ticket: str) -> QrCode:
        """Have TikTok give a code; our ticket is in it."""

    async def check_qr_code(self, token: str) -> Scan:
        """Ask how far the person is with it."""


class Provider(Protocol):
    """TikTok."""

    async def redeem(self, code: VerifiedCode) -> TokenSet:
        """Exchange a verified code for tokens."""

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        """Renew the access token."""

    async def revoke(self, access_token: str) -> None:
        """End the grant at TikTok."""

    async def tell_time(self) -> datetime | None:
        """Return what time it is at TikTok, if it says."""

    async def user_info(self, access_token: str, scopes: Sequence[str], *, open_id: str = "") -> Profile:
        """Read the person's profile, with the fields that the granted scopes permit."""
