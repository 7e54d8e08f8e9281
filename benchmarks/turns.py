"""Rounds in which every target has its turn, so that whatever disturbs the machine disturbs them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Generic, TypeVar

from benchmarks.process import Running

T = TypeVar("T")
WARM_UP = 0.5
"""Longest first turn in seconds, which does not count."""


@dataclass(frozen=True)
class Target(Generic[T]):
    """What has a turn: runs for so many seconds and returns what came of it."""

    name: str
    process: Running
    run: Callable[[float], T]


@dataclass(frozen=True)
class Turn(Generic[T]):
    """What came of one turn."""

    result: T
    cpu: float
    """Seconds of CPU that the proxy used."""
    took: float
    """Seconds, connecting and settling included."""
    other: float
    """Part (0 to 1) of the time in which the other core, with load and app, was busy."""


def take_turns(
    targets: Sequence[Target[T]], *, rounds: int, seconds: float, load_core: int
) -> Mapping[str, list[Turn[T]]]:
    """Run so many rounds, after one that warms up."""
    turns: dict[str, list[Turn[T]]] = {target.name: [] for target in targets}
    for target in targets:
        target.run(min(seconds, WARM_UP))
    for _ in range(rounds):
        for target in targets:
            cpu, (idle, total) = target.process.cpu(), _read_core(load_core)
            began = perf_counter()
            result = target.run(seconds)
            took = perf_counter() - began
            idle_after, total_after = _read_core(load_core)
            other = 1 - (idle_after - idle) / max(total_after - total, 1)
            turns[target.name].append(Turn(result, target.process.cpu() - cpu, took, other))
    return turns


@dataclass(frozen=True)
class Ratio:
    """How a target compares with another, round by round."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        """The median, with the rounds that differed most."""
        places = 2 if self.median >= 0.095 else 3
        spread = f" ({self.least:.{places}f} to {self.most:.{places}f})" if self.least < self.most else ""
        return f"{self.median:.{places}f}{spread}"


def compare(turns: Sequence[Turn[T]], reference: Sequence[Turn[T]], value: Callable[[T], float]) -> Ratio:
    """Compare a value of what came of each turn with that of the reference in the same round."""
    return compare_turns(turns, reference, lambda turn: value(turn.result))


def compare_turns(turns: Sequence[Turn[T]], reference: Sequence[Turn[T]], value: Callable[[Turn[T]], float]) -> Ratio:
    """Compare a value of each turn itself, such as the CPU it took."""
    ratios = [value(one) / (value(other) or 1) for one, other in zip(turns, reference, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def middle(turns: Sequence[Turn[T]], value: Callable[[Turn[T]], float]) -> float:
    """The median of a value over the rounds."""
    return median(value(turn) for turn in turns)


def describe_cores(turns: Sequence[Turn[T]]) -> str:
    """How much of its core the proxy used, and how busy the other one was: what the limit was."""
    return f"{middle(turns, lambda turn: turn.cpu / turn.took):.0%} · {middle(turns, lambda turn: turn.other):.0%}"


def _read_core(core: int) -> tuple[int, int]:
    """Ticks in which a core was idle, and all its ticks."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    ticks = [int(word) for word in line.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
