"""Memories for what comes again. They are bounded, whoever sends what: by number, or by weight too."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ONCE: Final = 8
"""So many times as many keys are remembered to have come once, as values are kept."""


class Recurring(Generic[K, V]):
    """Keeps a value when its key comes for the second time; `kept` has them. When there are `most`, all are let go.

    To keep what never comes again would cost more than it is worth: memory, and the time to let go of it.
    """

    __slots__ = ("_most", "_once", "kept")

    def __init__(self, most: int) -> None:
        self.kept: dict[K, V] = {}
        self._most = most
        self._once: set[int] = set()  # hashes: a key that is taken for another is kept a little early

    def note(self, key: K, value: V) -> None:
        """Note that a key has come that is not kept."""
        number = hash(key)
        if number not in self._once:
            if len(self._once) >= self._most * _ONCE:
                self._once.clear()
            self._once.add(number)
            return
        if len(self.kept) >= self._most:
            self.kept.clear()
        self.kept[key] = value


class Shelf(Generic[K, V]):
    """Keeps values at once: no more than `most`, whose keys weigh no more than `heaviest` bytes. Else all are let go.

    For keys that may be a thousand times as long as the usual ones, and whose values grow with them.
    """

    __slots__ = ("_heaviest", "_most", "_weight", "kept")

    def __init__(self, most: int, heaviest: int) -> None:
        self.kept: dict[K, V] = {}
        self._most = most
        self._heaviest = heaviest
        self._weight = 0

    def put(self, key: K, value: V, weight: int) -> None:
        """Keep a value, whose key weighs so many bytes."""
        if not self.has_room(weight):
            self.clear()
        self.kept[key] = value
        self._weight += weight

    def has_room(self, weight: int) -> bool:
        """Whether nothing has to go for a value whose key weighs so many bytes."""
        return len(self.kept) < self._most and self._weight + weight <= self._heaviest

    def clear(self) -> None:
        """Let all go."""
        self.kept.clear()
        self._weight = 0
