"""From settings to a whole gateway, ready to run: the only place where the layers meet (composition root).

The steps are in `wiring`, a file for each, in the order in which one needs the other.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from gateway.flows.ports import Changes
from gateway.flows.sign_in_hook import SignInHook
from gateway.runtime.generation import Generation
from gateway.runtime.life import Life
from gateway.runtime.readiness import Readiness
from gateway.runtime.values import build_cookies
from gateway.runtime.wiring.apps import build_apps
from gateway.runtime.wiring.doors import build_doors
from gateway.runtime.wiring.flows import build_flows
from gateway.runtime.wiring.gate import build_gate
from gateway.runtime.wiring.pages import build_pages
from gateway.runtime.wiring.records import Clock, build_records
from gateway.runtime.wiring.traces import open_traces, trace_all, trace_door
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.reload import Reloads


def _now() -> datetime:
    return datetime.now(UTC)


def build(
    settings: Settings,
    *,
    app: Any | None = None,
    clock: Clock = _now,
    metrics: Metrics | None = None,
    workers: int = 1,
    reloads: Reloads | None = None,
    before: Generation | None = None,
    on_sign_in: SignInHook | None = None,
) -> Generation:
    """Wire a gateway before `app`, or before the upstream in the settings when there is no app.

    `metrics` are the process's, one of `workers` on this host; `reloads` reads its settings anew. `before` is the
    generation that is to be succeeded. `on_sign_in` is told of every sign-in. Opens no connection. Raises
    `SettingsError` when something that the settings name cannot be used.
    """
    metrics, life, cookies = metrics or Metrics(), Life(), build_cookies(settings)
    life.in_force = before is None
    traces = open_traces(settings)
    if traces is not None:
        life.closing(traces)  # the last to be closed
    store_before = before.records.store if before is not None else None
    records = build_records(settings, cookies, life, metrics, clock=clock, before=store_before)
    behind = build_apps(settings, cookies, records, life, app=app, workers=workers)
    _measure_changes(records.store, metrics, life)
    live = before.judging.live if before is not None else None
    judging = build_gate(settings, records, life, metrics, clock=clock, in_process=behind.in_process, live=live)
    flows = build_flows(
        settings, behind, records, judging, life, clock=clock, count=metrics.count_sign_in, on_sign_in=on_sign_in
    )
    readiness = Readiness(records.store, reloads)
    started_at = before.started_at if before is not None else clock()
    pages = build_pages(settings, cookies, records, judging, flows, readiness, clock=clock)
    if traces is not None:
        trace_all(traces, settings, behind, records, pages)
    doors = build_doors(
        settings,
        cookies,
        behind,
        judging,
        flows,
        pages,
        readiness,
        metrics,
        life,
        clock=clock,
        workers=workers,
        reloads=reloads,
        started_at=started_at,
    )
    if traces is not None:
        doors = dataclasses.replace(
            doors,
            app=trace_door(traces, settings, judging, doors.app),
            checks=trace_door(traces, settings, judging, doors.checks),
        )
    return Generation(
        settings=settings,
        behind=behind,
        records=records,
        judging=judging,
        flows=flows,
        pages=pages,
        doors=doors,
        metrics=metrics,
        readiness=readiness,
        life=life,
        workers=workers,
        reloads=reloads,
        started_at=started_at,
    )


def build_successor(before: Generation, settings: Settings) -> Generation:
    """Wire what is to follow on a generation in the same process. Raises as `build` does."""
    return build(settings, metrics=before.metrics, workers=before.workers, reloads=before.reloads, before=before)


def _measure_changes(store: Changes, metrics: Metrics, life: Life) -> None:
    """Have the metrics say whether changes in the store are told; the embedded store needs no feed."""
    store.follow(lambda key: metrics.set_change_feed(store.following) if key is None and life.in_force else None)
    if life.in_force:
        metrics.set_change_feed(store.following)
