"""The file with every setting, as it is and with its examples."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "gateway.example.yaml"


def read_with_examples() -> str:
    """Return the file's text with what stands behind `#:` in place."""
    return re.sub(r"(?m)^#: ?", "", EXAMPLE.read_text())


def write_with_examples(folder: Path) -> str:
    """Write that to a file; returns its path, for a command line."""
    path = folder / "examples.yaml"
    path.write_text(read_with_examples())
    return str(path)
