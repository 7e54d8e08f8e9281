"""Where the audit trail goes: the log, or a file of its own. One line of JSON an event.

In the log it is an event `audit` of the logger `gateway.audit`, whatever `log.level` is; inside somebody else's program
its owner decides by that name. A file is appended to with one write a line, so that processes may share it, and opened
anew once it was renamed or removed (log rotation): no signal is needed. What cannot be written to the file goes to the
log instead, with the reason, and nobody waits for it or is refused because of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gateway.telemetry.logs import audit_log, log

Fields = Mapping[str, str | int]


def write_to_log(fields: Fields) -> None:
    """Write an event to the log."""
    audit_log.info("audit", **fields)


def write_nowhere(_: Fields) -> None:
    """Drop an event."""


class AuditFile:
    """Appends to a file, which is readable for its owner only when it is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def __call__(self, fields: Fields) -> None:
        """Write an event; to the log if the file cannot be written."""
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        line = json.dumps({"timestamp": moment, "event": "audit", **fields}) + "\n"
        try:
            self._append(line.encode())
        except OSError as error:
            log.error("audit_not_written", path=str(self._path), reason=os.strerror(error.errno or 0))
            write_to_log(fields)

    def _append(self, line: bytes) -> None:
        if self._file is None or not self._is_there(self._file):
            self._close()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe that nobody reads
            self._file = os.open(self._path, flags, 0o600)
        written = os.write(self._file, line)
        if written < len(line):  # a full disk: what is left of the line must not run into the next
            os.write(self._file, b"\n")

    def _is_there(self, file: int) -> bool:
        """Whether the file that is open is still the one of that name."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def open_audit(to: str) -> Callable[[Fields], None]:
    """Return what writes events to `log`, nowhere (`off`), or to the file of that path."""
    match to:
        case "log":
            return write_to_log
        case "off":
            return write_nowhere
        case _:
            return AuditFile(Path(to))
