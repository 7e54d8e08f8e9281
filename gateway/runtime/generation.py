"""One gateway built from one set of settings, and its end.

Nothing of it is shared with another generation but what is the process's: the metrics, what is under way (`Live`), an
embedded store, the address of checks by gRPC.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from gateway.runtime.life import Life
from gateway.runtime.readiness import Readiness
from gateway.runtime.wiring.apps import Behind
from gateway.runtime.wiring.doors import Doors
from gateway.runtime.wiring.flows import Flows
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.pages import OwnPages
from gateway.runtime.wiring.records import RecordKeeping
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.reload import Reloads


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """What the steps of the wiring have made, and how long it lives."""

    settings: Settings
    behind: Behind
    records: RecordKeeping
    judging: Judging
    flows: Flows
    pages: OwnPages
    doors: Doors
    metrics: Metrics
    readiness: Readiness
    life: Life
    workers: int
    reloads: Reloads | None
    started_at: datetime
    """When the first generation of this process was built."""

    @property
    def in_use(self) -> bool:
        """Whether some request needs it that did not come through an ASGI app."""
        doors = self.doors
        ways = doors.short_way, doors.grpc_checks, doors.answered_checks, doors.proven_checks
        return any(way is not None and way.in_use for way in ways)

    def succeed(self, before: Generation) -> None:
        """Take over from another, within the event loop; what is open there goes on."""
        if self.doors.grpc_checks is not None and before.doors.grpc_checks is not None:
            self.doors.grpc_checks.take_over(before.doors.grpc_checks)
        self.readiness.draining = before.readiness.draining
        before.life.in_force, self.life.in_force = False, True
        self.start()
        self.metrics.set_change_feed(self.records.store.following)
        for carrier in tuple(self.judging.live.carriers):
            carrier.forget()
        self.judging.watch.note(None)

    def start(self) -> None:
        """Begin what runs beside requests, within the event loop; without it, most begins with the first of them."""
        self.life.start()

    def announce_end(self) -> None:
        """Say that it is not ready any more; whatever comes is served on."""
        self.readiness.draining = True

    def drain(self) -> None:
        """Begin the end: not ready any more, and WebSockets are closed. Requests under way may finish."""
        self.readiness.draining = True
        self.judging.live.close_websockets()

    async def close(self) -> None:
        """Finish the refreshes under way, then close every connection. It is called once no request is under way."""
        await self.life.close()
