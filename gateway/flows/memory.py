"""Callers remembered for a short while, so that most requests ask the store nothing.

Rules
1. Only what the store would have said is remembered, at most `lasts` long, and never beyond the moment at which
   something has to be done about the session (it expires, it must be marked as seen, its token is due).
2. Whoever changes a session or a grant, on whatever replica, makes it forgotten: the store tells each change.
   While the store cannot promise that, nothing is remembered and nothing is recalled.
   Whoever holds a `Known` asks whether it is still `remembered`; that is taken away at once.
3. A read that a change may have crossed on its way is not remembered: it may be the older of the two.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.core.decision import Allow
from gateway.flows.ports import Store
from gateway.flows.sessions import SignedIn

SIZE: Final = 20_000
"""Most callers remembered; more are forgotten all at once, which costs one read each."""
RECENT: Final = 10_000
"""Most changes of which it is known what they changed; before them, anything may have changed."""


class Known(msgspec.Struct):
    """Who is signed in, and until when nothing has to be done about it."""

    signed_in: SignedIn
    allow: Allow
    until: datetime
    remembered: bool = False  # whether it may be answered from: set and taken away by `Memory` only


class Memory:
    """Callers by session key."""

    def __init__(self, store: Store, lasts: timedelta) -> None:
        self._store = store
        self.lasts = lasts
        self._known: dict[str, Known] = {}
        self._leaning: defaultdict[str, set[str]] = defaultdict(set)  # session keys by grant key
        self._count = 0  # of changes so far
        self._recent: dict[str, int] = {}  # key to the number of its last change
        self._horizon = 0  # changes up to this one are no longer known by key
        store.follow(self.forget)

    def recall(self, session_key: str, now: datetime) -> Known | None:
        """Return who is signed in, if remembered and still true."""
        known = self._known.get(session_key)
        return known if known is not None and self.holds(known, now) else None

    def holds(self, known: Known, now: datetime) -> bool:
        """Whether this is remembered and still true."""
        return known.remembered and now < known.until and self._store.following

    def begin_read(self) -> int:
        """Return a mark to be taken before the store is asked."""
        return self._count

    def remember(self, known: Known, mark: int, now: datetime) -> None:
        """Remember what was read since `mark`, unless it has changed meanwhile."""
        session_key, grant_key = known.signed_in.session_key, known.signed_in.session.grant_key
        if now >= known.until or not self._store.following or mark < self._horizon:
            return
        if max(self._recent.get(session_key, 0), self._recent.get(grant_key, 0)) > mark:
            return
        if len(self._known) >= SIZE:
            self._forget_all()
        self._drop(session_key)  # what was known of it before may be in somebody's hands
        self._known[session_key] = known
        self._leaning[grant_key].add(session_key)
        known.remembered = True

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

    def _drop(self, session_key: str) -> None:
        known = self._known.pop(session_key, None)
        if known is None:
            return
        known.remembered = False
        grant_key = known.signed_in.session.grant_key
        leaning = self._leaning.get(grant_key)
        if leaning is not None:
            leaning.discard(session_key)
            if not leaning:
                del self._leaning[grant_key]

    def _forget_all(self) -> None:
        for known in self._known.values():
            known.remembered = False
        self._known.clear()
        self._leaning.clear()
