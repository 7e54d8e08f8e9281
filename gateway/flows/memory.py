"""Callers remembered for a short while (cache), so that most requests ask the store little or nothing.

Rules
1. Only what the store would have said is remembered, at most `lasts` long, and never beyond the moment at which
   something has to be done about the session (it expires, it must be marked as seen, its token is due).
2. Whoever changes a session or a grant, on whatever replica, makes it forgotten (cache invalidation): the store tells
   each change. While the store cannot promise that, nothing is answered from memory. Whoever holds a `KnownCaller` asks
   whether it is still `remembered`; that is taken away at once.
3. A read that a change may have crossed on its way is not remembered: it may be the older of the two. Whoever is let
   in by it is to be judged again at once: the change was told before anybody knew of them.
4. What is too old to be answered from is kept all the same: if the store still has the same bytes, it is true again.
5. No more than so many bytes are kept, whoever comes: who came first is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.core.decision import Allow
from gateway.flows.ports import Changes
from gateway.flows.sessions import SignedIn

BESIDES: Final = 3_000
"""Bytes that a caller takes besides the records and lines of headers: Python's objects, as measured."""
RECENT: Final = 10_000
"""Most changes of which it is known what they changed; before them, anything may have changed."""


class KnownCaller(msgspec.Struct, gc=False):
    """Who is signed in, and until when nothing has to be done about it."""

    signed_in: SignedIn
    allow: Allow
    settled_until: datetime
    until: datetime  # when the store has to be asked again
    era: int = 0  # of the gate's decisions
    by_route: dict[int, Allow] = msgspec.field(default_factory=dict)  # of routes with headers of their own
    remembered: bool = False  # whether it may be answered from till then: set and taken away by `Memory` only
    weight: int = 0  # in bytes; 0 while it is not kept


class Memory:
    """Callers by session key."""

    def __init__(
        self, store: Changes, lasts: timedelta, most: int = 64 << 20, resized: Callable[[int], None] = lambda _: None
    ) -> None:
        """`most` is in bytes; `resized` is told how many there are."""
        self._store = store
        self.lasts = lasts
        self._most = most
        self._resized = resized
        self._weight = 0
        self._known: OrderedDict[str, KnownCaller] = OrderedDict()  # who came first, first
        self._leaning: defaultdict[str, set[str]] = defaultdict(set)  # session keys by grant key
        self._count = 0  # of changes so far
        self._recent: dict[str, int] = {}  # key to the number of its last change
        self._horizon = 0  # changes up to this one are no longer known by key
        store.follow(self.forget)

    def recall(self, session_key: str, now: datetime) -> KnownCaller | None:
        """Return who is signed in, if remembered and still true."""
        known = self._known.get(session_key)
        if known is None or not known.remembered or now >= known.until or not self._store.following:
            return None
        return known

    def find(self, session_key: str, now: datetime) -> KnownCaller | None:
        """Return who was signed in; true only if the store still has the bytes that it was read from."""
        known = self._known.get(session_key)
        return known if known is not None and now < known.settled_until else None

    def begin_read(self) -> int:
        """Return a mark to be taken before the store is asked."""
        return self._count

    def remember(self, known: KnownCaller, mark: int, now: datetime) -> None:
        """Remember what was read, or found to be the same, since `mark`."""
        session_key, grant_key = known.signed_in.session_key, known.signed_in.session.grant_key
        if self._has_changed(session_key, grant_key, mark):
            known.settled_until = now
        if now >= known.settled_until:
            return
        if self._known.get(session_key) is not known:
            self._drop(session_key)  # what was known of it before may be in somebody's hands
            self._known[session_key] = known
            self._leaning[grant_key].add(session_key)
            self._weigh(known, _weigh(known))
        if not self.lasts or not known.weight:  # it is larger than all there is room for
            return
        known.until = min(now + self.lasts, known.settled_until)
        known.remembered = self._store.following

    def note_growth(self, known: KnownCaller, allow: Allow) -> None:
        """Note what was made for a caller besides."""
        if known.weight:
            self._weigh(known, _weigh_lines(allow))

    def _weigh(self, known: KnownCaller, more: int) -> None:
        known.weight += more
        self._weight += more
        while self._weight > self._most:
            self._drop(next(iter(self._known)))
        self._resized(self._weight)

    def _has_changed(self, session_key: str, grant_key: str, mark: int) -> bool:
        """Whether either may have changed since `mark`."""
        return mark < self._horizon or max(self._recent.get(session_key, 0), self._recent.get(grant_key, 0)) > mark

    def forget(self, key: str | None) -> None:
        """Forget what leans on a session or grant key; None: everything."""
        self._count += 1
        if key is None or len(self._recent) >= RECENT:
            self._recent.clear()
            self._horizon = self._count
        if key is None:
            self._forget_all()
            return
        self._recent[key] = self._count
        for session_key in self._leaning.pop(key, ()):
            self._drop(session_key)
        self._drop(key)
        self._resized(self._weight)

    def _drop(self, session_key: str) -> None:
        known = self._known.pop(session_key, None)
        if known is None:
            return
        known.remembered = False
        self._weight -= known.weight
        known.weight = 0
        grant_key = known.signed_in.session.grant_key
        leaning = self._leaning.get(grant_key)
        if leaning is not None:
            leaning.discard(session_key)
            if not leaning:
                del self._leaning[grant_key]

    def _forget_all(self) -> None:
        for known in self._known.values():
            known.remembered, known.weight = False, 0
        self._known.clear()
        self._leaning.clear()
        self._weight = 0
        self._resized(0)


def _weigh(known: KnownCaller) -> int:
    """Return about how many bytes of memory a caller takes."""
    signed_in = known.signed_in
    records = len(signed_in.sealed_session) + len(signed_in.sealed_grant) * 2  # as they are stored, and opened
    return BESIDES + records + sum(map(_weigh_lines, (known.allow, *known.by_route.values())))


def _weigh_lines(allow: Allow) -> int:
    """Return about how many bytes the headers for an app take, as fields and as lines."""
    return 2 * len(allow.set_lines) + 100 * len(allow.set_headers)
