"""Where in the file, or in which variable, a value is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.settings.yaml_file import KeyPath


class Place(NamedTuple):
    """Where a value is written (`file:line:column`, or a variable); and as what, if by reference."""

    where: str
    written: str = ""


Places = Mapping[KeyPath, Place]
