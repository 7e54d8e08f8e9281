"""The store over Redis.

Every call is bounded by one timeout, waiting for a free connection included, and ends in a value or in
`StoreUnavailable`: a Redis that is away must never read as "signed out". Every key is written with a time to live.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from gateway.core.finding import Finding
from gateway.core.record import Swap
from gateway.errors import StoreRefused, StoreUnavailable
from gateway.store.batch import ReadBatch
from gateway.store.faults import FAULTS, translate
from gateway.store.inspection import REFUSED, Nodes, ask_node, judge
from gateway.store.parts import Feed, QuickReader, Scan
from gateway.store.reader import Reader, TaskReader
from gateway.store.scripts import Scripts
from gateway.store.swaps import swap_each

P = ParamSpec("P")
T = TypeVar("T")

MAX_CONNECTIONS: Final = 64
FOLLOWED: Final = ("session:", "grant:")
"""Kinds of keys whose changes are told."""


def _bounded(
    method: Callable[Concatenate[RedisStore, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[RedisStore, P], Coroutine[Any, Any, T]]:
    """Bound a call in time, and translate what goes wrong."""

    @functools.wraps(method)
    async def call(self: RedisStore, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            # waiting for one's turn is within the time: not every pool of redis-py lets one wait
            async with asyncio.timeout(self.timeout), self._turns:
                return await method(self, *args, **kwargs)
        except FAULTS as error:
            raise self._translate(error) from None

    return call  # type: ignore[return-value]  # `wraps` hides that it is a method


class RedisStore:
    """The store over a redis-py client; see `flows.ports` for what each method promises."""

    def __init__(
        self,
        client: Any,
        *,
        address: str,
        key_prefix: str,
        timeout: float,
        reader: QuickReader | None = None,
        feed: Feed | None = None,
        encrypted: bool = False,
        same_machine: bool = False,
        nodes: Nodes | None = None,
        scan: Scan | None = None,
    ) -> None:
        """`reader` reads quickly; `feed` tells what others change. The embedded store has neither.

        `scan` is for where there are several nodes.
        """
        self._client = client
        self._prefix = key_prefix
        self.address = address
        self.timeout = timeout
        self._reader = reader or TaskReader(client.mget, timeout=timeout)
        self._feed = feed
        self._encrypted = encrypted
        self._same_machine = same_machine
        self._nodes = nodes
        self._scan = scan or self._scan_one
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._followers: list[Callable[[str | None], None]] = []
        self._reads = ReadBatch(self._fetch)
        self._scripts = Scripts(client)

    @property
    def following(self) -> bool:
        """Whether every change is being told now."""
        return bool(self._followers) and (self._feed is None or self._feed.up)

    def follow(self, changed: Callable[[str | None], None]) -> None:
        """Have each change told; those of others from `start` on, or from the first read."""
        self._followers.append(changed)

    def _tell(self, key: str) -> None:
        """Tell a change of our own at once: the feed's word takes its way through Redis."""
        for changed in self._followers:
            changed(key)

    def _tell_fed(self, key: str | None) -> None:
        for changed in self._followers:
            changed(key.removeprefix(self._prefix) if key is not None else None)

    async def read(self, key: str) -> bytes | None:
        """Return what is stored, or None."""
        return (await self._reads.read((key,)))[0]

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each key, in order."""
        return await self._reads.read(keys)

    def ask(self, keys: Sequence[str], told: Callable[[list[bytes | None] | StoreUnavailable], None]) -> None:
        """As `read_many`, but the values, or why there are none, are told."""
        self._reads.ask(keys, told)

    def start(self) -> None:
        """Begin to have others' changes told, within the event loop."""
        if self._feed is not None and self._followers:
            self._feed.start(self._tell_fed)

    def _fetch(self, keys: Sequence[str], told: Callable[[list[bytes | None] | StoreUnavailable], None]) -> None:
        self.start()

        def tell(found: list[bytes | None] | Exception) -> None:
            told(found if isinstance(found, list) else self._translate(found))

        self._reader.read([self._prefix + key for key in keys], tell)

    def _translate(self, error: Exception) -> StoreUnavailable:
        if isinstance(error, TimeoutError):
            return StoreUnavailable(f"{self.address} did not answer within {self.timeout:g} s")
        return translate(self.address, error)

    @_bounded
    async def write(self, key: str, value: bytes, ttl: int) -> None:
        """Store for `ttl` seconds."""
        try:
            await self._client.set(self._prefix + key, value, ex=ttl)
        finally:
            self._tell(key)

    @_bounded
    async def replace(self, key: str, *, old: bytes, new: bytes, ttl: int) -> bool:
        """Store `new` only if the key still holds exactly `old`."""
        try:
            return bool(await self._scripts.replace(keys=[self._prefix + key], args=[old, new, ttl]))
        finally:
            self._tell(key)

    async def replace_each(self, swaps: Sequence[Swap]) -> list[bool]:
        """As `replace`, of many keys: with one exchange where a connection of our own leads to all of them."""
        done = await self._swap(swaps)
        left = [swap for swap, was in zip(swaps, done, strict=True) if was is None]
        late = iter(
            await asyncio.gather(*(self.replace(key, old=old, new=new, ttl=ttl) for key, old, new, ttl in left))
        )
        return [next(late) if was is None else was for was in done]

    @_bounded
    async def _swap(self, swaps: Sequence[Swap]) -> list[bool | None]:
        if not swaps or not isinstance(self._reader, Reader):
            return [None] * len(swaps)
        try:
            full = [(self._prefix + key, old, new, ttl) for key, old, new, ttl in swaps]
            return await swap_each(self._reader, self._scripts.replace.sha, full)
        finally:
            for key, *_ in swaps:
                self._tell(key)

    @_bounded
    async def take(self, key: str) -> bytes | None:
        """Read and delete in one step."""
        found: bytes | None = await self._client.getdel(self._prefix + key)
        return found

    @_bounded
    async def delete(self, *keys: str) -> int:
        """Delete; returns how many existed."""
        deleted = 0
        for key in keys:
            try:
                deleted += await self._client.delete(self._prefix + key)
            finally:
                self._tell(key)
        return deleted

    @_bounded
    async def remove(self, key: str, *, old: bytes) -> bool:
        """Delete only if the key still holds exactly `old`."""
        try:
            return bool(await self._scripts.remove(keys=[self._prefix + key], args=[old]))
        finally:
            self._tell(key)

    async def walk(self, kind: str) -> AsyncIterator[str]:
        """Yield every key that begins with `kind`."""
        try:
            async for key in self._client.scan_iter(match=self._pattern(kind), count=1000):
                if key.isascii():  # all of ours are; somebody else's may be any bytes
                    yield key.decode("ascii").removeprefix(self._prefix)
        except FAULTS as error:
            raise translate(self.address, error) from None

    @_bounded
    async def step(self, kind: str, at: str, count: int) -> tuple[list[str], str | None]:
        """Take one step of a walk, past about `count` keys."""
        found, then = await self._scan(at, self._pattern(kind), count)
        return [key.decode("ascii").removeprefix(self._prefix) for key in found if key.isascii()], then

    async def _scan_one(self, at: str, pattern: str, count: int) -> tuple[list[bytes], str | None]:
        cursor, found = await self._client.scan(cursor=read_cursor(at or "0"), match=pattern, count=count)
        return found, str(cursor) if cursor else None

    def _pattern(self, kind: str) -> str:
        return re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix + kind) + "*"

    @_bounded
    async def add_member(self, index: str, member: str, *, expires_at: int, now: int) -> None:
        """Add to an index until `expires_at` (Unix seconds)."""
        await self._scripts.add_member(keys=[self._prefix + index], args=[expires_at, member, now])

    @_bounded
    async def members(self, index: str, *, now: int) -> list[str]:
        """Return the members that have not expired."""
        found = await self._client.zrangebyscore(self._prefix + index, f"({now}", "+inf")
        return [member.decode("ascii") for member in found if member.isascii()]  # as in `walk`

    @_bounded
    async def remove_member(self, index: str, *members: str) -> int:
        """Remove; returns how many members are left."""
        return int(await self._scripts.remove_member(keys=[self._prefix + index], args=list(members)))

    @_bounded
    async def increment(self, key: str, *, ttl: int, by: int = 1) -> int:
        """Count up, and return the count."""
        return int(await self._scripts.increment(keys=[self._prefix + key], args=[ttl, by]))

    @_bounded
    async def acquire_lease(self, key: str, holder: str, ttl: int) -> bool:
        """Take a lease for `ttl` milliseconds, unless somebody holds it."""
        return bool(await self._client.set(self._prefix + key, holder, nx=True, px=ttl))

    @_bounded
    async def renew_lease(self, key: str, holder: str, ttl: int) -> bool:
        """Prolong a lease; False when it is no longer ours."""
        return bool(await self._scripts.prolong(keys=[self._prefix + key], args=[holder, ttl]))

    @_bounded
    async def release_lease(self, key: str, holder: str) -> None:
        """Give a lease back, if it is still ours."""
        await self._scripts.remove(keys=[self._prefix + key], args=[holder])

    @_bounded
    async def ping(self) -> None:
        """Return when Redis answers."""
        await self._client.ping()

    @_bounded
    async def inspect(self) -> list[Finding]:
        """Return what an operator should know of how Redis is set up."""
        try:
            nodes = await self._nodes() if self._nodes is not None else {}
            asked = [await ask_node(name, node) for name, node in nodes.items()]
        except FAULTS as error:
            refused = translate(self.address, error)
            if not isinstance(refused, StoreRefused):
                raise
            return [Finding(False, "Redis", str(refused), REFUSED)]
        kept = {"encrypted": self._encrypted, "same_machine": self._same_machine}
        return [finding for state in asked for finding in judge(state, **kept)]

    async def close(self) -> None:
        """Close all connections."""
        if self._feed is not None:
            await self._feed.close()
        self._reader.close()
        await self._client.aclose()
        if (pool := getattr(self._client, "connection_pool", None)) is not None:  # a cluster's client has none
            await pool.disconnect()


def read_cursor(at: str) -> int:
    """Read a cursor of SCAN, an unsigned 64-bit number. Raises `ValueError` for what is none."""
    if not re.fullmatch(r"[0-9]{1,20}", at) or int(at) >= 1 << 64:
        raise ValueError("no cursor of SCAN")
    return int(at)
