"""Whoever opens one of these rooms finds every file of it named at the door, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "gateway"


@pytest.mark.parametrize("room", ["server", "server/short", "upstream"])
def test_the_map_names_every_file(room: str) -> None:
    folder = PACKAGE / room
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    files = {path.stem for path in folder.glob("*.py") if path.name != "__init__.py"}
    rooms = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert sorted(re.findall(r"^(\w+/?)  +\S", told, flags=re.MULTILINE)) == sorted(files | rooms)
