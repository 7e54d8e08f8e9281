"""Pages about the gateway itself: how it is, what has come of sign-ins, refreshes and webhooks, and its settings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from starlette.requests import Request

from gateway.flows.live import Live
from gateway.flows.outbox import Outbox
from gateway.flows.webhook_log import WebhookLog
from gateway.settings.provenance import DEFAULT, Line
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.door import Operator
from gateway.web.admin.frame import Frame
from gateway.web.admin.listener import Readiness
from gateway.web.answers.answer import Answer
from gateway.web.table import Table

MOST_JOBS: Final = 50
"""Most jobs shown."""


@dataclass(frozen=True, slots=True)
class Workings:
    """What the pages look at; `workers` are the processes of this host, of which one answers."""

    started_at: datetime
    """When this process has begun, by whatever settings."""
    in_force_since: datetime
    workers: int
    readiness: Readiness
    metrics: Metrics
    live: Live
    outbox: Outbox
    webhooks: WebhookLog
    settings: Sequence[Line]
    webhooks_taken: bool


class Count(NamedTuple):
    """A sum over all workers of this host, since they were started."""

    label: str
    value: int


class State:
    """Handlers of the pages."""

    def __init__(self, frame: Frame, workings: Workings) -> None:
        self._frame = frame
        self._at = workings

    @property
    def table(self) -> Table:
        """Where they are."""
        return {
            "": {"GET": self._frame.inside(self.overview)},
            "/activity": {"GET": self._frame.inside(self.activity)},
            "/settings": {"GET": self._frame.inside(self.settings)},
        }

    async def overview(self, request: Request, operator: Operator) -> Answer:
        """How the gateway is."""
        live, at = self._at.live, self._at
        sockets = live.count_websockets()
        return self._frame.show(
            operator,
            "overview.html",
            here="",
            reason=await at.readiness(),
            notes=at.readiness.notes(),
            started_at=at.started_at,
            in_force_since=at.in_force_since,
            workers=at.workers,
            process=os.getpid(),
            sockets=sockets,
            all_sockets=self._sum("gateway_websockets_open"),
            requests=len(live.opened) - sockets + sum(each.under_way is not None for each in tuple(live.carriers)),
            answered=self._counts("gateway_requests_total"),
        )

    async def activity(self, request: Request, operator: Operator) -> Answer:
        """What has come of sign-ins and refreshes, of webhooks, and what is still to be done."""
        waiting, jobs = await self._at.outbox.waiting(MOST_JOBS)
        return self._frame.show(
            operator,
            "activity.html",
            here="/activity",
            sign_ins=self._counts("gateway_sign_ins_total"),
            refreshes=self._counts("gateway_refreshes_total"),
            errors=self._counts("gateway_errors_total"),
            webhooks=await self._at.webhooks.recent(),
            webhooks_taken=self._at.webhooks_taken,
            waiting=waiting,
            jobs=jobs,
        )

    async def settings(self, request: Request, operator: Operator) -> Answer:
        """The settings in force, and where each value comes from."""
        only_set = request.query_params.get("all") != "1"
        lines = [line for line in self._at.settings if not only_set or line.source != DEFAULT]
        whole = [line for line in lines if line.is_alone]
        rest = groupby((line for line in lines if not line.is_alone), key=lambda line: line.section)
        sections = [("general", whole), *((name, list(each)) for name, each in rest)]
        return self._frame.show(
            operator,
            "settings.html",
            here="/settings",
            sections=sections,
            only_set=only_set,
            in_force_since=self._at.in_force_since,
        )

    def _counts(self, name: str) -> list[Count]:
        return sorted(self._read(name), key=lambda count: count.value, reverse=True)

    def _sum(self, name: str) -> int:
        return sum(count.value for count in self._read(name))

    def _read(self, name: str) -> Iterator[Count]:
        for family in self._at.metrics.collect():
            if family.name == name.removesuffix("_total"):
                for sample in family.samples:
                    if sample.value:
                        yield Count(_label(sample.labels.values()), int(sample.value))


def _label(values: Iterable[str]) -> str:
    return " · ".join(value.replace("_", " ") for value in values if value)
