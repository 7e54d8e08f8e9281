"""Structured logs, one line an event.

Everything goes through the standard library's logger `gateway`, so that inside somebody else's program its owner
decides. `configure_logs` is for our own process: `json` for machines, `console` for people, on standard error.

Secrets are not filtered here but never given: callers name codes, paths, ids and durations only. As a second fence,
a value under a telling name is blanked (redaction).

What a visitor sends can be in a line (a path, a name, another library's message), so nothing in it acts on a terminal
(log injection): JSON is ASCII, and for people control and bidi characters are escaped, line ends too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec
import structlog

from gateway.printable import escape_controls
from gateway.telemetry.unhurried import Unhurried, open_unhurried

Event = structlog.typing.EventDict

_OF_MANY_LINES: Final = ("exception", "stack")
_TELLING: Final = ("token", "secret", "cookie", "password", "authorization", "verifier", "state")


def _blank_telling_names(_: Any, __: str, event: Event) -> Event:
    for name in event:
        if any(part in name for part in _TELLING):
            event[name] = "***"
    return event


def _escape_controls(_: Any, __: str, event: Event) -> Event:
    r"""Escape what would act on a terminal; a traceback keeps its lines, set in so that none looks like an event."""
    for name, value in event.items():
        if name in _OF_MANY_LINES:
            event[name] = "    " + escape_controls(str(value), keep="\n").replace("\n", "\n    ")
        elif isinstance(value, str):
            event[name] = escape_controls(value)
        elif not isinstance(value, int | float | None):
            event[name] = escape_controls(repr(value))
    return event


_shared: Final[list[structlog.typing.Processor]] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _blank_telling_names,
]
_logfmt: Final = structlog.processors.LogfmtRenderer(key_order=["event"], drop_missing=True)


def _words(logger: Any, name: str, event: Event) -> Any:
    return _logfmt(logger, name, _escape_controls(logger, name, event))


class _Renderer:
    """The last processor: plain words, until `configure_logs` leaves rendering to its own handler."""

    def __init__(self) -> None:
        self.render: structlog.typing.Processor = _words

    def __call__(self, logger: Any, name: str, event: Event) -> Any:
        return self.render(logger, name, event)


_renderer: Final = _Renderer()


def _wrap(name: str) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared,
            structlog.processors.format_exc_info,
            _renderer,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


log: Final = _wrap("gateway")
audit_log: Final = _wrap("gateway.audit")


class RequestLines:
    """Writes the lines of requests that went well, within the event loop of our own process, as JSON.

    The lines of one turn of the loop are written at once: a write a request would cost more than the request. They
    share the moment at which the first of them was made. `shared`: other processes write to the same place.
    """

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._waiting: list[str] = []
        self._moment = ""

    def write(self, request_id: str, asked: str, caller: str, status: int, duration: float) -> None:
        """Write a line from parts that were described before; `duration` in seconds."""
        waiting = self._waiting
        if not waiting:
            asyncio.get_running_loop().call_soon(self._flush)
            self._moment = f'{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}}\n'
        waiting.append(
            f'{{"event":"request","request_id":"{request_id}",{asked},"status":{status},{caller}'
            f',"duration_ms":{duration * 1000:.2f},"level":"info","timestamp":"{self._moment}'
        )

    def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        if _pipe is not None:
            for piece in _pack(lines):
                _pipe.write_lines(piece.encode("utf-8", "replace"))
            return
        out = sys.stderr.buffer
        for piece in _pack(lines) if self._shared else ("".join(lines),):
            out.write(piece.encode("utf-8", "replace"))
            out.flush()


def _pack(lines: Sequence[str]) -> Iterator[str]:
    """Yield whole lines, as many together as a pipe takes in one piece (POSIX: PIPE_BUF)."""
    packed: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) > select.PIPE_BUF and packed:
            yield "".join(packed)
            packed, size = [], 0
        packed.append(line)
        size += len(line)
    yield "".join(packed)


_lines: RequestLines | None = None
_pipe: Unhurried | None = None
"""Where standard error is one that may be full."""
_shared_place: bool | None = None
"""Whether other processes write to the same place; None: this is not our own process."""


class RequestLine(NamedTuple):
    """What is told of one request."""

    request_id: str
    method: str
    path: str
    status: int
    decision: str
    route: int  # -1: none
    duration: float  # seconds
    client: str
    session: str  # public name; "" for none

    def fields(self) -> dict[str, object]:
        """Return the fields for an event."""
        told = self._asdict()
        told["duration_ms"] = round(told.pop("duration") * 1000, 2)
        if not self.session:
            del told["session"]
        return told


def log_request(line: RequestLine) -> None:
    """Write the line of one request that went well, in the same form as every other event."""
    if _lines is None:
        log.info("request", **line.fields())
        return
    asked = describe_asked(line.method, line.path)
    caller = describe_caller(line.decision, line.route, line.client, line.session)
    _lines.write(line.request_id, asked, caller, line.status, line.duration)


def request_lines(form: str, level: str) -> RequestLines | None:
    """Return the short way to a log of that form and level, where there is one.

    None in another program's process, whose log is not ours to write to.
    """
    if _shared_place is None or form != "json" or level not in {"debug", "info"}:
        return None
    return RequestLines(shared=_shared_place)


def describe_asked(method: str, path: str) -> str:
    """Return the part of a line that says what was asked for, as JSON."""
    return f'"method":{_quote(method)},"path":{_quote(path)}'


def describe_caller(decision: str, route: int, client: str, session: str) -> str:
    """Return the part of a line that says who asked, and what was decided, as JSON."""
    said = f'"decision":"{decision}","route":{route},"client":{_quote(client)}'
    return f'{said},"session":{_quote(session)}' if session else said


def _quote(text: str) -> str:
    # the quick one leaves C1 controls and bidi marks as they are, which JSON allows and terminals obey
    return msgspec.json.encode(text).decode() if text.isprintable() else json.dumps(text)


def configure_logs(
    form: Literal["json", "console"], level: Literal["debug", "info", "warning", "error"], *, shared: bool = False
) -> None:
    """Send all events of this process, ours and the libraries', to standard error in one form.

    `shared`: other processes write there, too.
    """
    render: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"
        else [_escape_controls, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    global _lines, _pipe, _shared_place
    _pipe = _pipe or open_unhurried(sys.stderr, _tell_dropped)
    handler = logging.StreamHandler(_pipe or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
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
    logging.getLogger("gateway.audit").setLevel("INFO")  # who wants no audit trail says so
    _shared_place = shared
    _lines = request_lines(form, level)


def _tell_dropped(lines: int) -> None:
    log.error("log_lines_dropped", lines=lines, advice="whoever reads standard error was too slow, or had stopped")
