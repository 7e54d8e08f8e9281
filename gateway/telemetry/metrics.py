"""Metrics in Prometheus' format.

Labels have few, fixed values: route numbers, status classes, codes from the error tree. Never a path or an id.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The gateway's counters. One object a process, with a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests: dict[tuple[str, int], Counter] = {}  # looking labels up costs more than counting
        self.requests = Counter(
            "gateway_requests_total",
            "Requests answered, by decision and status class.",
            ["decision", "status"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "gateway_request_duration_seconds",
            "Time from the request head to the end of the answer.",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
        )
        self.errors = Counter(
            "gateway_errors_total",
            "Errors by code and by whose fault they are.",
            ["code", "blame"],
            registry=self.registry,
        )
        self.websockets = Gauge("gateway_websockets_open", "WebSockets open now.", registry=self.registry)
        self.sign_ins = Counter(
            "gateway_sign_ins_total",
            "Sign-ins by outcome: begun, completed, or the code of the error.",
            ["outcome"],
            registry=self.registry,
        )

    def count_request(self, decision: str, status: int, duration: float) -> None:
        """Count an answered request; `duration` in seconds."""
        key = (decision, status // 100)
        counter = self._requests.get(key)
        if counter is None:
            counter = self._requests[key] = self.requests.labels(decision, f"{status // 100}xx")
        counter.inc()
        self.duration.observe(duration)

    def exposition(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self.registry)
