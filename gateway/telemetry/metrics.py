"""Metrics in Prometheus' format, summed over the workers of this host.

Labels have few, fixed values: decisions, status classes, codes from the error tree. Never a path or an id. Because all
of them are known beforehand, each has a cell on a board, and counting is one addition.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from gateway.errors import GatewayError, ProviderError
from gateway.telemetry.board import Board

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
"""Upper bounds in seconds."""
DECISIONS: Final = ("allow", "challenge", "deny", "own", "refused")
RELOADS: Final = ("applied", "refused")
CLASSES: Final = range(6)
"""First digits of a status; 0 where the client was gone before there was one."""


WHATS: Final = (
    *("sign_in_completed", "sign_in_refused", "signed_out", "scopes_changed", "grant_ended", "grant_revoked"),
    *("person_erased", "token_issued", "token_refused", "webhook_taken", "webhook_refused"),
    *("session_bound", "device_proof_missing"),
    *("operator_signed_in", "operator_signed_out", "settings_reloaded", "admin_refused"),
)
"""Events of the audit trail; `core.audit.What`, which is above this layer."""


def _every_error(kind: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _every_error(child)


_ERRORS: Final = tuple(sorted({(kind.code, str(kind.blame)) for kind in _every_error()}))
_CODES: Final = tuple(sorted({code for code, _ in _ERRORS}))
_OUTCOMES: Final = (
    ("begun", ""),
    ("completed", ""),
    *((outcome, code) for outcome in ("refused", "unchanged", "stray") for code in _CODES),
)
DEVICES: Final = ("offered", "registered", "registration_refused", "confirmed", "challenged", "refused", "ended")
"""What comes of binding sessions to devices; `flows.device_binding.Outcome`."""
SKIPS: Final = ("none", "quota_exceeded", "server_error", "unreachable", "other")
"""What browsers say of requests without a proof; `flows.device_proofs.why_skipped`."""
_REFRESHES: Final = ("renewed", *sorted({kind.code for kind in _every_error(ProviderError)}))
_LABELS: Final[tuple[tuple[str, ...], ...]] = (
    *(("request", decision, f"{digit}xx") for decision in DECISIONS for digit in CLASSES),
    *(("error", *pair) for pair in _ERRORS),
    *(("sign_in", *pair) for pair in _OUTCOMES),
    *(("event", what, outcome) for what in WHATS for outcome in ("success", "failure")),
    *(("refresh", outcome) for outcome in _REFRESHES),
    *(("device", outcome, "") for outcome in DEVICES),
    *(("device", "proof_missing", skipped) for skipped in SKIPS),
    ("websockets",),
    ("change_feed",),
    ("cache",),
    ("former_generations",),
    *(("reload", outcome) for outcome in RELOADS),
    ("reloaded_at",),
    ("seconds",),
    *(("bucket", str(bound)) for bound in (*BUCKETS, "+Inf")),
)
_COLUMN: Final = {labels: column for column, labels in enumerate(_LABELS)}
_REQUEST: Final = {
    (decision, digit): _COLUMN["request", decision, f"{digit}xx"] for decision in DECISIONS for digit in CLASSES
}
_SECONDS: Final = _COLUMN[("seconds",)]
_FIRST_BUCKET: Final = _SECONDS + 1
_WEBSOCKETS: Final = _COLUMN[("websockets",)]
_CHANGE_FEED: Final = _COLUMN[("change_feed",)]
_CACHE: Final = _COLUMN[("cache",)]
_FORMER: Final = _COLUMN[("former_generations",)]
_RELOADED_AT: Final = _COLUMN[("reloaded_at",)]


def open_metrics_board(workers: int) -> Board:
    """Return a board for the metrics of so many processes."""
    return Board(rows=workers, columns=len(_LABELS))


def _is_rare(labels: tuple[str, ...]) -> bool:
    """Whether it is told while it is 0: Prometheus sees no increase in a number that begins with 1."""
    if labels[:2] == ("device", "proof_missing"):
        return True
    return labels[0] in {"error", "reload", "refresh", "event"} or labels[1:] in {("begun", ""), ("completed", "")}


class Metrics(Collector):
    """The gateway's counters. One object a process; `worker` is the process' row on the board."""

    def __init__(self, board: Board | None = None, worker: int = 0) -> None:
        self._board = board or open_metrics_board(1)
        self._cells = self._board.row(worker)
        for column in (_WEBSOCKETS, _CHANGE_FEED, _CACHE, _FORMER):  # those of a predecessor are gone
            self._cells[column] = 0.0
        self._counts_reloads = worker == 0  # which all workers have in common
        if self._counts_reloads and not self._cells[_RELOADED_AT]:
            self._cells[_RELOADED_AT] = time.time()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count_request(self, decision: str, status: int, duration: float) -> None:
        """Count an answered request; `duration` in seconds."""
        cells = self._cells
        cells[_REQUEST[decision, status // 100]] += 1.0
        cells[_FIRST_BUCKET + bisect_left(BUCKETS, duration)] += 1.0
        cells[_SECONDS] += duration

    def count_error(self, error: GatewayError) -> None:
        """Count an error by its code and by whose fault it is."""
        self._cells[_COLUMN["error", error.code, str(error.blame)]] += 1.0

    def count_sign_in(self, outcome: str, cause: str = "") -> None:
        """Count a sign-in that has `begun`, or how it ends.

        It has `completed`; it was `refused`, by the code of the error; or it left somebody who is signed in `unchanged`
        by a second way to TikTok for scopes. What has begun and not ended was abandoned, or is under way. A callback
        that is `stray` belongs to no attempt of that browser, and ends none.
        """
        self._cells[_COLUMN["sign_in", outcome, cause]] += 1.0

    def count_event(self, what: str, outcome: str) -> None:
        """Count an event of the audit trail."""
        self._cells[_COLUMN["event", what, outcome]] += 1.0

    def count_refresh(self, outcome: str) -> None:
        """Count a refresh at TikTok: `renewed`, or the code of the error that it ended in."""
        self._cells[_COLUMN["refresh", outcome]] += 1.0

    def count_device(self, outcome: str, skipped: str = "") -> None:
        """Count what comes of binding sessions to devices; `skipped`: one of `SKIPS`, of requests without a proof."""
        self._cells[_COLUMN["device", outcome, skipped]] += 1.0

    def add_websockets(self, number: int) -> None:
        """Note that so many more (or fewer) WebSockets are open."""
        self._cells[_WEBSOCKETS] += number

    def set_change_feed(self, up: bool) -> None:
        """Note whether this process is told of every change in the store."""
        self._cells[_CHANGE_FEED] = float(up)

    def set_cache(self, size: int) -> None:
        """Note how many bytes of people this process keeps in memory."""
        self._cells[_CACHE] = float(size)

    def set_former_generations(self, number: int) -> None:
        """Note how many generations that are not in force any more have something open in this process."""
        self._cells[_FORMER] = float(number)

    def count_reload(self, *, applied: bool) -> None:
        """Count a reload of the settings, which all workers have at once."""
        if self._counts_reloads:
            self._cells[_COLUMN["reload", "applied" if applied else "refused"]] += 1.0
            if applied:
                self._cells[_RELOADED_AT] = time.time()

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the sums over all workers, as the Prometheus client wants them."""
        requests = CounterMetricFamily(
            "gateway_requests_total", "Requests answered, by decision and status class.", labels=["decision", "status"]
        )
        errors = CounterMetricFamily(
            "gateway_errors_total", "Errors by code and by whose fault they are.", labels=["code", "blame"]
        )
        sign_ins = CounterMetricFamily(
            "gateway_sign_ins_total", "Sign-ins that have begun, and how they end.", labels=["outcome", "cause"]
        )
        events = CounterMetricFamily(
            "gateway_events_total", "Events of the audit trail, wherever that goes.", labels=["what", "outcome"]
        )
        reloads = CounterMetricFamily(
            "gateway_reloads_total", "Times that settings were read anew, by what became of it.", labels=["outcome"]
        )
        refreshes = CounterMetricFamily(
            "gateway_refreshes_total", "Refreshes at TikTok: renewed, or the code of the error.", labels=["outcome"]
        )
        devices = CounterMetricFamily(
            "gateway_device_bindings_total",
            "Sessions bound to devices, the proofs of those, and requests without one, by what browsers say of it.",
            labels=["outcome", "skipped"],
        )
        families = {
            "device": devices,
            "request": requests,
            "error": errors,
            "sign_in": sign_ins,
            "event": events,
            "reload": reloads,
            "refresh": refreshes,
        }
        for labels, column in _COLUMN.items():
            if labels[0] in families and ((total := self._board.total(column)) or _is_rare(labels)):
                families[labels[0]].add_metric(labels[1:], total)
        yield from families.values()
        yield GaugeMetricFamily("gateway_websockets_open", "WebSockets open now.", value=self._board.total(_WEBSOCKETS))
        yield GaugeMetricFamily(
            "gateway_change_feed_up",
            "Part of the workers that are told of changes in Redis: below 1, requests ask Redis each time.",
            value=self._board.total(_CHANGE_FEED) / self._board.rows,
        )
        yield GaugeMetricFamily(
            "gateway_cache_bytes", "Memory that people are kept in, by estimate.", value=self._board.total(_CACHE)
        )
        yield GaugeMetricFamily(
            "gateway_former_generations_open",
            "Settings of before a reload by which something goes on, one for each reload and worker.",
            value=self._board.total(_FORMER),
        )
        yield GaugeMetricFamily(
            "gateway_settings_in_force_since_timestamp_seconds",
            "When the settings in force were read: at the last reload that was not refused, or at the start.",
            value=self._board.total(_RELOADED_AT),
        )
        yield self._durations()

    def _durations(self) -> Metric:
        buckets: list[tuple[str, float]] = []
        count = 0.0
        for offset, bound in enumerate((*map(str, BUCKETS), "+Inf")):
            count += self._board.total(_FIRST_BUCKET + offset)
            buckets.append((bound, count))
        return HistogramMetricFamily(
            "gateway_request_duration_seconds",
            "Time from the request head to the end of the answer.",
            buckets=buckets,
            sum_value=self._board.total(_SECONDS),
        )
