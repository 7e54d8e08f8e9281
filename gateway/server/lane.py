"""What every request on the short way needs, made once."""

from __future__ import annotations

import msgspec

from gateway.telemetry.metrics import Metrics
from gateway.upstream.pool import Pool
from gateway.web.live import LiveSockets
from gateway.web.pipeline import Pipeline
from gateway.web.proxy_door import ReverseProxyDoor


class Lane(msgspec.Struct, frozen=True):
    """The way to one upstream."""

    door: ReverseProxyDoor
    pool: Pool


class Shared(msgspec.Struct, frozen=True):
    """What all requests share."""

    pipeline: Pipeline
    lanes: dict[str, Lane]  # by the name of the upstream
    metrics: Metrics
    live: LiveSockets
    websocket_idle: float  # seconds; 0: no limit
