"""How many sign-ins may begin (rate limit): it bounds what strangers can write to the store (and see `kept_posts`).

Each sign-in that begins writes one record, which stays for `ATTEMPT_KEPT` or until the callback takes it. One network
may begin few in a minute; all together may begin more, but not more than the store can hold. A sign-in refused
by the limit of its network does not count towards that of all: one network cannot use up what is there for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from gateway.core.forwarded import find_network
from gateway.errors import SignInsBusy, TooManyAttempts
from gateway.flows.ports import Counter

WINDOW: Final = 60
"""Seconds in which attempts are counted."""


class AttemptLimit:
    """Counts sign-ins that begin. Limits are per minute; 0: none."""

    def __init__(self, store: Counter, *, of_network: int, of_all: int, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._of_network = of_network
        self._of_all = of_all
        self._clock = clock

    async def count(self, client_address: str) -> None:
        """Count one attempt. Raises `TooManyAttempts` or `SignInsBusy` beyond a limit."""
        window = int(self._clock().timestamp() // WINDOW)
        # without an address everybody would share the limit of one
        if self._of_network and client_address:
            network = hashlib.sha256(find_network(client_address).encode()).hexdigest()[:32]
            if await self._store.increment(f"attempts-from:{network}:{window}", ttl=WINDOW) > self._of_network:
                raise TooManyAttempts(f"more than {self._of_network} sign-ins a minute from one network")
        if self._of_all and await self._store.increment(f"attempts:{window}", ttl=WINDOW) > self._of_all:
            raise SignInsBusy(f"more than {self._of_all} sign-ins a minute: raise limits.sign_in_attempts_of_all")
