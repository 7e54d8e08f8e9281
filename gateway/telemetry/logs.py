"""Structured logs, one line an event.

Everything goes through the standard library's logger `gateway`, so that inside somebody else's program its owner
decides. `configure_logs` is for our own process: `json` for machines, `console` for people, on standard error.

Secrets are not filtered here but never given: callers name codes, paths, ids and durations only. As a second fence,
a value under a telling name is blanked.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import structlog

Event = structlog.typing.EventDict

_TELLING: Final = ("token", "secret", "cookie", "password", "authorization", "verifier", "state")


def _blank_telling_names(_: Any, __: str, event: Event) -> Event:
    for name in event:
        if any(part in name for part in _TELLING):
            event[name] = "***"
    return event


_shared: Final[list[structlog.typing.Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _blank_telling_names,
]
_words: Final = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)


class _Renderer:
    """The last processor: plain words, until `configure_logs` leaves rendering to its own handler."""

    def __init__(self) -> None:
        self.render: structlog.typing.Processor = _words

    def __call__(self, logger: Any, name: str, event: Event) -> Any:
        return self.render(logger, name, event)


_renderer: Final = _Renderer()
log: Final[structlog.stdlib.BoundLogger] = structlog.wrap_logger(
    logging.getLogger("gateway"),
    processors=[
        structlog.stdlib.filter_by_level,
        *_shared,
        structlog.processors.format_exc_info,
        _renderer,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)


class _Lines:
    """Writes the lines of one turn of the event loop at once: a write a request would cost more than the request."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, line: bytes) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(line)

    def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        sys.stderr.buffer.write(b"".join(lines))
        sys.stderr.buffer.flush()


_lines: Final = _Lines()
_direct = False


class RequestLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is told of one request."""

    event: str = ""  # this, level and timestamp: set when it is written the short way
    request_id: str
    method: str
    path: str
    status: int
    decision: str
    route: int  # -1: none
    duration_ms: float
    client: str
    session: str | None = None  # public name
    level: str = ""
    timestamp: datetime | None = None

    def fields(self) -> dict[str, object]:
        """Return the fields for an event."""
        return {
            name: value
            for name in self.__struct_fields__
            if name not in {"event", "level", "timestamp"} and (value := getattr(self, name)) is not None
        }


_encode: Final = msgspec.json.Encoder().encode


def log_request(line: RequestLine) -> None:
    """Write the line of one request that went well, within the event loop.

    In our own process and as JSON this takes the short way, in the same form as every other event.
    """
    if not _direct:  # another program's process, whose log is not ours to write to
        log.info("request", **line.fields())
        return
    line.event, line.level, line.timestamp = "request", "info", datetime.now(UTC)
    _lines.write(_encode(line) + b"\n")


def configure_logs(form: Literal["json", "console"], level: Literal["debug", "info", "warning", "error"]) -> None:
    """Send all events of this process, ours and the libraries', to standard error in one form."""
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            foreign_pre_chain=[
                *_shared,
                structlog.stdlib.add_logger_name,
                structlog.processors.format_exc_info,
            ],
        )
    )
    _renderer.render = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("gateway").setLevel(level.upper())
    global _direct
    _direct = form == "json" and level in {"debug", "info"}
