"""Charts as PNG and SVG, when matplotlib is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Chart, Curves

_COLOURS = ("#2f6f9f", "#d98032", "#6a9f58", "#8a6fb0")
_NINES = (0.5, 0.9, 0.99, 0.999, 0.9999)
_OURS = "#c2185b"


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    try:
        importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError:
        return False
    return True


def plot(charts: Sequence[Chart | Curves], folder: Path) -> list[Path]:
    """Write each chart into the folder; returns the files."""
    written = []
    for chart in charts:
        figure = _draw_curves(chart) if isinstance(chart, Curves) else _draw(chart)
        for kind in ("svg", "png"):
            written.append(folder / f"{chart.name}.{kind}")
            figure.savefig(written[-1], dpi=150, bbox_inches="tight")
    return written


def _draw(chart: Chart) -> Any:
    figure_class: Any = importlib.import_module("matplotlib.figure").Figure
    labels = list(dict.fromkeys(label for values in chart.series.values() for label in values))
    thick = 0.8 / len(chart.series)
    figure = figure_class(figsize=(8, 1.2 + 0.32 * len(labels) * max(1, len(chart.series) * 0.6)))
    axes = figure.subplots()
    for number, (name, values) in enumerate(chart.series.items()):
        places = [place + number * thick for place in range(len(labels))]
        colour = _COLOURS[number % len(_COLOURS)]
        colours = [_OURS if len(chart.series) == 1 and "gateway" in label else colour for label in labels]
        lengths = [values.get(label, 0) for label in labels]
        bars = axes.barh(places, lengths, thick * 0.9, color=colours, label=name)
        axes.bar_label(bars, [_shorten(length) for length in lengths], padding=3, fontsize=7)
    axes.set_yticks([place + 0.4 - thick / 2 for place in range(len(labels))], labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(chart.unit)
    axes.set_title(chart.title, fontsize=10)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    if chart.logarithmic:
        axes.set_xscale("log")
    if len(chart.series) > 1:
        axes.legend(fontsize=8)
    return figure


def _draw_curves(curves: Curves) -> Any:
    figure_class: Any = importlib.import_module("matplotlib.figure").Figure
    figure = figure_class(figsize=(8, 4.5))
    axes = figure.subplots()
    for number, (label, points) in enumerate(curves.series.items()):
        rarities = [1 / (1 - part) for part, _ in points]
        colour, thick = (_OURS, 2.2) if label == "gateway" else (_COLOURS[number % len(_COLOURS)], 1.2)
        line = ("-", "--", ":")[number // len(_COLOURS)] if label != "gateway" else "-"
        axes.plot(rarities, [time for _, time in points], line, color=colour, linewidth=thick, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1 / (1 - part) for part in _NINES], [f"p{part * 100:g}" for part in _NINES])
    axes.minorticks_off()
    axes.set_ylabel("milliseconds")
    axes.set_title(curves.title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8)
    return figure


def _shorten(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value else ""
