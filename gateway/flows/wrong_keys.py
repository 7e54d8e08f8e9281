"""How often somebody may show a key that is none (brute force): few times a minute from one network, more from all.

It is counted in the store, so that several workers and replicas give no more tries than one, nor does a reload; and in
this process besides, which holds while the store does not answer: an operator gets in, to see why.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from gateway.core.forwarded import find_network
from gateway.errors import StoreUnavailable, TooManyAttempts
from gateway.flows import ports

WINDOW: Final = 60
"""Seconds in which wrong keys are counted."""
OF_NETWORK: Final = 10
OF_ALL: Final = 100
"""Most wrong keys in a window."""
_ALL: Final = "all"


class CountStore(ports.Records, ports.Counter, Protocol):
    """What this needs of the store."""


class WrongKeys:
    """Counts wrong keys; beyond the bounds nobody is heard, whatever they show."""

    def __init__(self, store: CountStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._here = Counter[str]()
        self._window = 0

    async def admit(self, client_address: str, *, wrong: bool) -> None:
        """Count a key that is `wrong`; one that is right never counts. Raises `TooManyAttempts` beyond a bound."""
        network = find_network(client_address) if client_address else ""
        self._admit_here(network, wrong=wrong)
        mark = hashlib.sha256(network.encode()).hexdigest()[:32]
        keys = f"wrong-keys-from:{mark}:{self._window}", f"wrong-keys:{self._window}"
        try:
            counts = [int(count or 0) for count in await self._store.read_many(keys)]
            if counts[0] >= OF_NETWORK or counts[1] >= OF_ALL:
                raise _too_many()
            if wrong:
                for key in keys:
                    await self._store.increment(key, ttl=WINDOW)
        except StoreUnavailable:  # then what was counted here has to do
            return

    def _admit_here(self, network: str, *, wrong: bool) -> None:
        """Do so in this process, before anything is waited for: many tries at once are no more than one by one."""
        window = int(self._clock().timestamp() // WINDOW)
        if window != self._window:
            self._window = window
            self._here.clear()
        if self._here[network] >= OF_NETWORK or self._here[_ALL] >= OF_ALL:
            raise _too_many()
        if wrong:
            self._here.update((network, _ALL))


def _too_many() -> TooManyAttempts:
    return TooManyAttempts("too many wrong keys in a minute")
