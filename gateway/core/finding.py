"""What an inspection found: for the operator, who reads it in `gateway doctor`."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `advice` is empty when it is as it should be."""

    ok: bool
    name: str
    found: str
    advice: str = ""
