"""Who is seen is written down behind the answer, many at a time, and for nobody to wait for (write-behind).

What cannot be written is dropped: whoever is seen next is written down then. At the end all that is noted is written at
once, and takes no longer than one call to the store may.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway.errors import StoreUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.flows.sessions import SignedIn

TOGETHER: Final = 0.02
"""Seconds for which others are waited for."""
MOST_TOGETHER: Final = 64
"""Most that are written with one call: reads are answered between two of them."""

Seen = tuple["SignedIn", "datetime"]


class Touches:
    """Notes who is seen. `write` writes several down, and raises `StoreUnavailable`."""

    def __init__(self, write: Callable[[Sequence[Seen]], Awaitable[None]]) -> None:
        self._write = write
        self._noted: dict[str, Seen] = {}  # by session key, what is still to be written or being so
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    def note(self, signed_in: SignedIn, now: datetime) -> None:
        """Have a session written down as seen now, within the event loop; once, however often it is noted meanwhile."""
        self._noted.setdefault(signed_in.session_key, (signed_in, now))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="touches")

    async def close(self) -> None:
        """Write down what is noted, and return when it is; or as soon as it cannot be."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), TOGETHER)
            while self._noted:
                keys = tuple(islice(self._noted, MOST_TOGETHER))
                await self._write([self._noted[key] for key in keys])
                for key in keys:
                    del self._noted[key]
        except StoreUnavailable:
            pass
        finally:
            self._noted.clear()
            self._task = None
