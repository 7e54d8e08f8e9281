"""A small world in virtual time: a store that may be away, a TikTok that loses answers, replicas that die.

The event loop does not wait: when nothing can run, its clock jumps to the next moment at which something can. So an
hour takes as long as what happens in it.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from gateway.core.grant import Grant, build_grant_key
from gateway.core.keyring import Keyring
from gateway.core.session import SessionLimits
from gateway.core.sign_in import VerifiedCode
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import GrantDead, ProviderUnavailable, StoreUnavailable
from gateway.flows.ports import Store
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME = 600.0  # of an access token, in seconds
CLIENT_KEY = "k"
SUBJECT = "-somebody"
KEY = build_grant_key(CLIENT_KEY, SUBJECT)
DAYS = timedelta(days=30)


class _Jumping(selectors.DefaultSelector):  # the best one of the platform
    """Never waits: tells the loop how long it would have."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.jump(timeout)
        return list(ready)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is made."""

    def __init__(self) -> None:
        selector = _Jumping()
        super().__init__(selector)
        self._now = 0.0
        selector.jump = self._jump

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class ModelStore:
    """A store in memory, with a way to it that takes time, and that may be away."""

    def __init__(self, chance: random.Random) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.away_until = 0.0
        self._chance = chance
        self._followers: list[Callable[[str | None], None]] = []
        self.following = True

    def follow(self, changed: Callable[[str | None], None]) -> None:
        self._followers.append(changed)

    async def read(self, key: str) -> bytes | None:
        await self._travel()
        return self._look(key)

    async def read_many(self, keys: Sequence[str]) -> list[bytes | None]:
        await self._travel()
        return [self._look(key) for key in keys]

    def ask(self, keys: Sequence[str], told: Callable[[Any], None]) -> None:
        raise NotImplementedError

    async def write(self, key: str, value: bytes, ttl: int) -> None:
        await self._travel()
        self._put(key, value, ttl)
        await self._travel()

    async def replace(self, key: str, *, old: bytes, new: bytes, ttl: int) -> bool:
        await self._travel()
        replaced = self._look(key) == old
        if replaced:
            self._put(key, new, ttl)
        await self._travel()  # the answer may be lost though it was done
        return replaced

    async def replace_each(self, swaps: Sequence[tuple[str, bytes, bytes, int]]) -> list[bool]:
        return [await self.replace(key, old=old, new=new, ttl=ttl) for key, old, new, ttl in swaps]

    async def take(self, key: str) -> bytes | None:
        await self._travel()
        return self.values.pop(key, (None, 0.0))[0]

    async def delete(self, *keys: str) -> int:
        await self._travel()
        for key in keys:
            self.values.pop(key, None)
            self._tell(key)
        return len(keys)

    async def remove(self, key: str, *, old: bytes) -> bool:
        raise NotImplementedError

    def walk(self, kind: str) -> AsyncIterator[str]:
        raise NotImplementedError

    async def add_member(self, index: str, member: str, *, expires_at: int, now: int) -> None:
        await self._travel()

    async def members(self, index: str, *, now: int) -> list[str]:
        await self._travel()
        return []

    async def remove_member(self, index: str, *members: str) -> int:
        await self._travel()
        return 1

    async def increment(self, key: str, *, ttl: int, by: int = 1) -> int:
        raise NotImplementedError

    async def acquire_lease(self, key: str, holder: str, ttl: int) -> bool:
        await self._travel()
        if self._look(key) is not None:
            return False
        self._put(key, holder.encode(), ttl / 1000)
        await self._travel()
        return True

    async def renew_lease(self, key: str, holder: str, ttl: int) -> bool:
        await self._travel()
        if self._look(key) != holder.encode():
            return False
        self._put(key, holder.encode(), ttl / 1000)
        return True

    async def release_lease(self, key: str, holder: str) -> None:
        await self._travel()
        if self._look(key) == holder.encode():
            del self.values[key]

    async def ping(self) -> None:
        await self._travel()

    async def close(self) -> None:
        return

    async def _travel(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.02))
        if _now() < self.away_until:
            await asyncio.sleep(0.5)
            raise StoreUnavailable("away")

    def _look(self, key: str) -> bytes | None:
        value, until = self.values.get(key, (None, 0.0))
        return value if _now() < until else None

    def _put(self, key: str, value: bytes, ttl: float) -> None:
        self.values[key] = value, _now() + ttl
        self._tell(key)

    def _tell(self, key: str) -> None:
        for changed in self._followers:
            changed(key)


class ReplicaStore:
    """The store as one replica sees it; a dead one does nothing to it any more."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self.alive = True

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._store, name)
        if name == "follow":
            return act

        async def act_if_alive(*args: Any, **kwargs: Any) -> Any:
            if not self.alive:
                raise StoreUnavailable("dead")
            return await act(*args, **kwargs)

        return act_if_alive


class ModelTikTok:
    """One person's grant at TikTok. It rotates refresh tokens; what it does is noted for the invariants."""

    def __init__(self) -> None:
        self.delay = 0.2
        self.failing = False
        self.losing = 0  # so many answers to come are lost after the tokens have changed
        self.rotates = True
        self.number = 0
        self.live_refresh = "r0"
        self.asked: set[str] = set()  # replicas that wait for an answer now
        self.most_at_once = 0
        self.received: dict[int, str] = {}  # numbers of the token sets that reached a replica, which still lives
        self.issued: dict[str, float] = {}  # access tokens by their true end, in the loop's time
        self.connected = True

    def issue(self, obtained_at: datetime) -> TokenSet:
        self.number += 1
        if self.rotates:
            self.live_refresh = f"r{self.number}"
        access = f"a{self.number}"
        self.issued[access] = _now() + LIFETIME
        return TokenSet(
            open_id=SUBJECT,
            access_token=access,
            refresh_token=self.live_refresh,
            scopes=("user.info.basic",),
            obtained_at=obtained_at,
            access_expires_at=obtained_at + timedelta(seconds=LIFETIME),
            refresh_expires_at=obtained_at + timedelta(days=365),
        )

    async def refresh(self, replica: str, tokens: TokenSet, clock: Callable[[], datetime]) -> TokenSet:
        self.asked.add(replica)
        self.most_at_once = max(self.most_at_once, len(self.asked))
        try:
            await asyncio.sleep(self.delay)
            if self.failing:
                raise ProviderUnavailable("HTTP 500")
            if not self.connected or tokens.refresh_token != self.live_refresh:
                raise GrantDead("invalid_grant")
            issued = self.issue(clock())
            if self.losing:
                self.losing -= 1
                raise ProviderUnavailable("the answer was lost")
            self.received[self.number] = replica
            return issued
        finally:
            self.asked.discard(replica)


class ModelProvider:
    """TikTok as one replica sees it."""

    def __init__(self, tiktok: ModelTikTok, replica: str, clock: Callable[[], datetime]) -> None:
        self._tiktok, self._replica, self._clock = tiktok, replica, clock

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        return await self._tiktok.refresh(self._replica, tokens, self._clock)

    async def redeem(self, code: VerifiedCode) -> TokenSet:
        raise NotImplementedError

    async def revoke(self, access_token: str) -> None:
        raise NotImplementedError

    async def tell_time(self) -> datetime | None:
        return self._clock()

    async def user_info(self, access_token: str, scopes: Sequence[str], *, open_id: str = "") -> Profile:
        return Profile(open_id=SUBJECT)

    async def close(self) -> None:
        return


class Replica:
    """One process of the gateway; its clock is off by so many seconds."""

    def __init__(self, name: str, world: ModelWorld, skew: float) -> None:
        self.name = name
        self._world = world
        self._skew = skew
        self.start()

    def clock(self) -> datetime:
        return ZERO + timedelta(seconds=_now() + self._skew)

    def start(self) -> None:
        world = self._world
        self._store = ReplicaStore(world.store)
        store = cast("Store", self._store)
        self.sessions = Sessions(store, world.keyring, SessionLimits(idle=DAYS, absolute=DAYS), client_key=CLIENT_KEY)
        provider = ModelProvider(world.tiktok, self.name, self.clock)
        self.refresh = Refresh(store, self.sessions, provider, clock=self.clock)
        self.tasks: set[asyncio.Task[Any]] = set()

    def kill(self) -> None:
        """Die, and be started anew: whatever was under way never goes on."""
        self._store.alive = False
        for task in (*self.tasks, *self.refresh.under_way):
            task.cancel()
        tiktok = self._world.tiktok
        tiktok.received = {number: name for number, name in tiktok.received.items() if name != self.name}
        self.start()

    def begin_request(self) -> None:
        """Begin to serve one request of the person."""
        task = asyncio.get_running_loop().create_task(self.request())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def request(self) -> None:
        """Serve one request of the person; what it is told is noted."""
        world, began_at = self._world, _now()
        try:
            stored = await self.sessions.read_grant(KEY)
            found = await self.refresh.fresh(KEY, stored.grant) if stored is not None else None
        except (StoreUnavailable, ProviderUnavailable):
            return
        finally:
            world.longest_wait = max(world.longest_wait, _now() - began_at)
        if found is None:
            world.refused += 1
        else:
            world.latest_end = max(world.latest_end, _now() - world.tiktok.issued[found.tokens.access_token])


class ModelWorld:
    """Everything, and what went wrong in it."""

    def __init__(self, seed: int, skews: Sequence[float]) -> None:
        self.chance = random.Random(seed)
        self.keyring = Keyring([b"k" * 32])
        self.store = ModelStore(self.chance)
        self.tiktok = ModelTikTok()
        self.replicas = [Replica(str(number), self, skew) for number, skew in enumerate(skews)]
        self.longest_wait = 0.0
        self.refused = 0  # requests that were told to sign in
        self.latest_end = -LIFETIME  # seconds from a token's true end to the latest moment it was handed on

    async def sign_in(self) -> None:
        tokens = self.tiktok.issue(ZERO + timedelta(seconds=_now()))
        self.tiktok.connected = True
        grant = Grant(tokens=tokens, profile=Profile(open_id=SUBJECT), profile_read_at=ZERO)
        await self.replicas[0].sessions.begin(grant, user_agent="", now=ZERO + timedelta(seconds=_now()))

    async def stored_token(self) -> str | None:
        """Return the access token that is stored now."""
        stored = await self.replicas[0].sessions.read_grant(KEY)
        return stored.grant.tokens.access_token if stored is not None else None


def _now() -> float:
    return asyncio.get_running_loop().time()
