"""Memory that is free is given back: after a flood, the process is its usual size again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

MANY: Final = 64
MUCH: Final = 4 * 1024 * 1024
"""From so many connections, or bytes that wait, on, there was something to give back once half of it is gone."""


def _find_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library than GNU's
        return None
    return trim


class Tide:
    """Notices when what was needed is needed no more. The C library keeps what is freed, in case it is needed again."""

    def __init__(self) -> None:
        self._trim = _find_trim()
        self._connections = 0  # most since memory was given back
        self._waiting = 0

    def look(self, connections: int, waiting: int) -> None:
        """Look at what is needed now, and give back the rest if there was more; called about once a second."""
        self._connections = max(self._connections, connections)
        self._waiting = max(self._waiting, waiting)
        fell = (self._connections >= MANY and connections <= self._connections // 2) or (
            self._waiting >= MUCH and waiting <= self._waiting // 2
        )
        if fell:
            self._connections, self._waiting = connections, waiting
            if self._trim is not None:
                self._trim(0)
