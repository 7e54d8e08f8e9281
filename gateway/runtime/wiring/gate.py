"""Who may pass, by which route; and who may not go on, though they have passed."""

from __future__ import annotations

import dataclasses

from gateway.core.assertion import Assertions
from gateway.flows.gate import Gate
from gateway.flows.live import Live, Watch
from gateway.flows.memory import Memory
from gateway.runtime.allow_file import AllowFileWatch
from gateway.runtime.life import Life
from gateway.runtime.routes import CompiledRoutes, compile_routes
from gateway.runtime.values import build_assertions, build_reader
from gateway.runtime.wiring.records import Clock, RecordKeeping
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from gateway.web.asgi_head import HeadReader


@dataclasses.dataclass(frozen=True, slots=True)
class Judging:
    """What reads requests, decides on them, and decides again while they last."""

    reader: HeadReader
    routes: CompiledRoutes
    assertions: Assertions | None
    gate: Gate
    live: Live
    watch: Watch
    allow_files: AllowFileWatch


def build_gate(
    settings: Settings,
    records: RecordKeeping,
    life: Life,
    metrics: Metrics,
    *,
    clock: Clock,
    in_process: bool,
    live: Live | None = None,
) -> Judging:
    """Compile the routes, for an app `in_process` or upstreams, and make the gate.

    `live` is what is under way in this process already.

    Raises `SettingsError` for an allow-list's file that cannot be used.
    """
    routes, assertions = compile_routes(settings, in_process=in_process), build_assertions(settings)
    store = records.store
    gate = Gate(
        routes.policy,
        routes.headers,
        records.authentication,
        records.sessions,
        Memory(store, settings.session.cache_for, settings.session.cache_size, metrics.set_cache),
        clock=clock,
        headers_of_routes=routes.headers_of_routes,
        assertions=assertions,
        own_prefix=settings.prefix,
        devices=records.devices,
    )
    live = live or Live()
    watch = life.leading(Watch(live, gate, clock=clock))
    store.follow(watch.note)

    def judge_anew() -> None:  # everybody, and what is under way
        gate.judge_anew()
        watch.note(None)

    allow_files = life.leading(AllowFileWatch(routes.allow_files, judge_anew))
    store.follow(lambda _: allow_files.start())  # not every server tells of its start
    return Judging(
        reader=build_reader(settings, routes.headers.reserved),
        routes=routes,
        assertions=assertions,
        gate=gate,
        live=live,
        watch=watch,
        allow_files=allow_files,
    )
