"""What a store is made of besides a redis-py client: one Redis, Sentinel and a cluster have their own each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class QuickReader(Protocol):
    """Reads many keys at once."""

    def read(self, keys: Sequence[str], told: Callable[[list[bytes | None] | Exception], None]) -> None:
        """Have the values told, in order; or one of `FAULTS`. Once, whatever happens, and in time."""

    def close(self) -> None:
        """Close the connections that are not in use."""


class Feed(Protocol):
    """Tells what others change."""

    @property
    def up(self) -> bool:
        """Whether every change is told now."""

    def start(self, changed: Callable[[str | None], None]) -> None:
        """Begin, within the event loop."""

    async def close(self) -> None:
        """Stop."""


class Scan(Protocol):
    """One SCAN of many, over whatever nodes there are."""

    async def __call__(self, at: str, pattern: str, count: int) -> tuple[list[bytes], str | None]:
        """Return what is found, and where the next begins; None at the end. Raises what redis-py raises."""
