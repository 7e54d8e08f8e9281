"""The way to one upstream, and what else every request on the short way needs, made once."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core.decision import Allow
from gateway.core.response import AnswerField, AnswerHead
from gateway.flows.live import Live
from gateway.telemetry.logs import RequestLines
from gateway.telemetry.metrics import Metrics
from gateway.upstream.pool import Pool
from gateway.web.behind.proxied_app import Asked, ProxiedApp
from gateway.web.pipeline import Pipeline

MOST_HEADS: Final = 512
"""Most heads of answers whose lines are kept; as many as `core.response` knows again."""


class Lane:
    """The way to one upstream."""

    __slots__ = ("_anonymous", "_named", "_unnamed", "app", "pool", "title_case")

    def __init__(self, app: ProxiedApp, pool: Pool) -> None:
        self.app = app
        self.pool = pool
        self.title_case = pool.upstream.title_case
        self._anonymous: dict[AnswerHead, bytes] = {}
        self._named: dict[AnswerHead, bytes] = {}
        self._unnamed: dict[AnswerHead, bytes] = {}  # where somebody would be named

    def towards(self, asked: Asked) -> Lane:
        """Return the way for those who asked for the same host: this one, unless the app's addresses are translated."""
        return TranslatingLane(self.app, self.pool, asked) if self.app.translates else self

    def response_fields(self, fields: list[AnswerField], allow: Allow) -> list[AnswerField]:
        """Return the fields of an answer as the client may see them."""
        return self.app.response_fields(fields, allow)

    def answer_lines(self, head: AnswerHead, allow: Allow) -> bytes:
        """Return the lines of an answer's fields as the client may see them, and the end of the head."""
        known = self._named
        if allow.identity is None:
            known = self._unnamed if allow.varies else self._anonymous
        lines = known.get(head)
        if lines is None:
            if len(known) >= MOST_HEADS:
                known.clear()
            fields = self.app.response_fields(head.fields, allow)
            lines = known[head] = b"".join([field.line for field in fields]) + b"\r\n"
        return lines


class TranslatingLane(Lane):
    """The way to an upstream whose addresses are translated. It keeps no lines: they depend on what was asked for."""

    __slots__ = ("_asked",)

    def __init__(self, app: ProxiedApp, pool: Pool, asked: Asked) -> None:
        super().__init__(app, pool)
        self._asked = asked

    def response_fields(self, fields: list[AnswerField], allow: Allow) -> list[AnswerField]:
        """Return the fields of an answer as the client may see them, translated."""
        return self.app.translate(self.app.response_fields(fields, allow), self._asked)

    def answer_lines(self, head: AnswerHead, allow: Allow) -> bytes:
        """Return the lines of an answer's fields as the client may see them, and the end of the head."""
        return b"".join([field.line for field in self.response_fields(head.fields, allow)]) + b"\r\n"


class Means(msgspec.Struct, frozen=True):
    """What all requests share."""

    pipeline: Pipeline
    lanes: dict[str, Lane]  # by the name of the upstream
    metrics: Metrics
    lines: RequestLines | None  # the short way to the log
    live: Live
    own_cookies: frozenset[bytes]
    websocket_idle: float  # seconds; 0: no limit
    answer_ids: bool = False  # answers carry the id of their request
