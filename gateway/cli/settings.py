"""`gateway settings`: what is in force, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.cli.document import print_document
from gateway.settings import describe, find, load
from gateway.settings.provenance import DEFAULT


def settings(config: Path | None, environ: Mapping[str, str], *, only_set: bool, as_json: bool) -> int:
    """Print every value, no secret among them; returns the exit code."""
    told = describe(load(find(environ, config), environ, needs_upstream=False))
    lines = [line for line in told if not only_set or line.source != DEFAULT]
    if as_json:
        return print_document({"settings": [line._asdict() for line in lines]})
    rows = [
        (line.key, f"{line.value}  ({line.written})" if line.written else line.value, line.source) for line in lines
    ]
    widths = [min(max((len(row[number]) for row in rows), default=0), 48) for number in range(2)]
    for row in rows:
        print("  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2])))
    return 0
