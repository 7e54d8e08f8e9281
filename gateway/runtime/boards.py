"""The numbers that the workers of this host share (shared memory); made before they are forked."""

from __future__ import annotations

from gateway.server.connections import open_connection_board
from gateway.telemetry.metrics import open_metrics_board


class Boards:
    """A row for each worker on every board."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.metrics = open_metrics_board(workers)
        self.connections = open_connection_board(workers)
