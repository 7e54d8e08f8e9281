"""What an inspection found: for the operator, who reads it in `gateway doctor`."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `advice` is empty when it is as it should be.

    `warns`: it is not, but is no reason to call the gateway broken.
    """

    ok: bool
    name: str
    found: str
    advice: str = ""
    warns: bool = False

    @property
    def must_be_mended(self) -> bool:
        """Whether something does not work until it is mended."""
        return not self.ok and not self.warns
