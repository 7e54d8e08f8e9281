"""What was measured, as Markdown tables, and as the charts that `plot` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """Bars: for each label, one value of each series."""

    name: str
    """Of its file."""
    title: str
    unit: str
    series: Mapping[str, Mapping[str, float]]
    """Series to label to value."""
    logarithmic: bool = False


@dataclass(frozen=True)
class Curves:
    """Lines of time over part: how long the slowest take, each further step to the right a tenth of those before."""

    name: str
    """Of its file."""
    title: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    """Label to points: the part (0 to 1) of the answers, and milliseconds."""


@dataclass(frozen=True)
class Table:
    """One table, what it says, and its chart."""

    title: str
    note: str
    """How it was measured: whatever the numbers depend on."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    chart: Chart | Curves | None = None

    def build_markdown(self) -> str:
        """The table with its title and note."""
        cells = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        head, *rows = (_build_line(row, widths) for row in cells)
        rule = "|-" + ":|-".join("-" * width for width in widths) + ":|"
        return "\n".join([f"## {self.title}", "", head, rule.replace(":", "-", 1), *rows, "", self.note, ""])


def _build_line(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first cell to the left, the numbers to the right."""
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "| " + " | ".join(cells) + " |"
