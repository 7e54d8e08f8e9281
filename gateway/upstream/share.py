"""What one client may hold of an upstream's connections, so that something is left for the others (bulkhead).

While more than a quarter of them are free, anybody takes what they need. The last quarter is for those who hold less
than a sixteenth: one client that holds requests open, however many, stops nobody else.

To count costs a look at every connection; so it is done only where it can matter, and not for each request. In between,
what was let through is added to the last count, and before anybody is made to wait it is counted anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

_FRESH: Final = 0.01
_STALE: Final = 1.0
"""Seconds for which a count is good enough to make somebody wait, and to let somebody through."""


class Shares:
    """Who holds how many connections, of `most`; `count` counts them, by client."""

    def __init__(self, most: int, count: Callable[[], Counter[str]]) -> None:
        self.reserve = most // 4
        self._share = max(1, most // 16)
        self._count = count
        self._held: Counter[str] = Counter()
        self._counted_at = -_STALE

    def may_take(self, client: str, now: float) -> bool:
        """Whether a client may take one of the last connections. Nobody in particular ("") may."""
        if not client:
            return True
        if now - self._counted_at >= (_FRESH if self._held[client] >= self._share else _STALE):
            self._held, self._counted_at = self._count(), now
        if self._held[client] >= self._share:
            return False
        self._held[client] += 1
        return True
