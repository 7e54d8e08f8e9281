"""The key of a device, as it is kept with a session that is bound to it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

ALGORITHMS: Final = ("ES256", "RS256")
"""What a device may sign by, as we would have it (RFC 7518 §3.1); `none` and the symmetric ones are no choice."""


class DeviceKey(msgspec.Struct, array_like=True, frozen=True):
    """The public half; the private one cannot leave the device."""

    algorithm: str  # by which it signs, of `ALGORITHMS`
    key: bytes  # SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER
    bound_at: datetime
