"""What lets a sender's requests through on one route: the gate's own `Passage`, for as long as it need not be asked.

Nothing is decided here: a permit holds while the gate remembers its caller, and no longer than the gate has said.
"""

from __future__ import annotations

from time import monotonic

from gateway.flows.gate import Passage
from gateway.server.short.lane import Lane
from gateway.telemetry.logs import describe_caller


class Lasting:
    """A passage, for as long as it holds."""

    __slots__ = ("_caller", "_until", "described", "passage")

    def __init__(self, passage: Passage, seconds_left: float, client_address: str) -> None:
        self.passage = passage
        self.described = describe_caller("allow", passage.match.index, client_address, passage.session_name)
        self._caller = passage.caller
        self._until = 0.0
        self.renew(seconds_left)

    def holds(self) -> bool:
        """Whether it still does."""
        caller = self._caller
        return caller is None or (caller.remembered and monotonic() < self._until)

    def renew(self, seconds_left: float) -> None:
        """Have it hold for so long from now on."""
        self._until = monotonic() + seconds_left


class Permit(Lasting):
    """Lets requests pass on one route, to one upstream."""

    __slots__ = ("lane",)

    def __init__(self, passage: Passage, lane: Lane, seconds_left: float, client_address: str) -> None:
        super().__init__(passage, seconds_left, client_address)
        self.lane = lane


class Yes(Lasting):
    """Has a front that asks be told yes, on one route."""

    __slots__ = ("client_address", "lines", "status")

    def __init__(self, passage: Passage, seconds_left: float, client_address: str, status: int, lines: bytes) -> None:
        """`lines` are those of the answer's fields."""
        super().__init__(passage, seconds_left, client_address)
        self.client_address = client_address
        self.status = status
        self.lines = lines
