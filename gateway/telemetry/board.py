"""Numbers that the worker processes of one host share.

A board is anonymous shared memory, made before the workers are forked. Each worker writes to a row of its own, so no
lock is needed and no count is lost; whoever is asked adds the rows up. A worker that takes over a dead one's row goes
on counting where it stopped.
"""

from __future__ import annotations

import mmap
from typing import Final

_CELL: Final = 8  # bytes: a C double


class Board:
    """`rows` rows of `columns` numbers, all 0 at first."""

    def __init__(self, *, rows: int, columns: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, rows * columns * _CELL)).cast("d", (rows * columns,))
        self._columns = columns
        self.rows: Final = rows

    def row(self, number: int) -> memoryview[float]:
        """Return the cells of a row, to be written by one process only."""
        return self._cells[number * self._columns : (number + 1) * self._columns]

    def total(self, column: int) -> float:
        """Return the sum over all rows."""
        return sum(self._cells[column :: self._columns].tolist())
