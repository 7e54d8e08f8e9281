"""What every request on the short way needs, made once."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.decision import Allow
from gateway.core.response import Head
from gateway.flows.live import Live
from gateway.telemetry.logs import RequestLines
from gateway.telemetry.metrics import Metrics
from gateway.upstream.pool import Pool
from gateway.web.pipeline import Pipeline
from gateway.web.proxy_door import ReverseProxyDoor

MOST_HEADS: Final = 512
"""Most heads of answers whose lines are kept; as many as `core.response` knows again."""


class Lane:
    """The way to one upstream."""

    __slots__ = ("_anonymous", "_named", "_unnamed", "door", "pool")

    def __init__(self, door: ReverseProxyDoor, pool: Pool) -> None:
        self.door = door
        self.pool = pool
        self._anonymous: dict[Head, bytes] = {}
        self._named: dict[Head, bytes] = {}
        self._unnamed: dict[Head, bytes] = {}  # where somebody would be named

    def answer_lines(self, head: Head, allow: Allow) -> bytes:
        """Return the lines of an answer's fields as the client may see them, and the end of the head."""
        known = self._named
        if allow.identity is None:
            known = self._unnamed if allow.varies else self._anonymous
        lines = known.get(head)
        if lines is None:
            if len(known) >= MOST_HEADS:
                known.clear()
            fields = self.door.response_fields(head.fields, allow)
            lines = known[head] = b"".join([field.line for field in fields]) + b"\r\n"
        return lines


class Shared(msgspec.Struct, frozen=True):
    """What all requests share."""

    pipeline: Pipeline
    lanes: dict[str, Lane]  # by the name of the upstream
    metrics: Metrics
    lines: RequestLines | None  # the short way to the log
    live: Live
    own_cookies: frozenset[bytes]
    websocket_idle: float  # seconds; 0: no limit
