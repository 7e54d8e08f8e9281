"""The audit trail's file: what cannot be written goes to the log, and nobody waits for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.telemetry import audit


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[audit.Fields] = []
    monkeypatch.setattr(audit, "write_to_log", logged.append)
    os.mkfifo(tmp_path / "audit")
    audit.AuditFile(tmp_path / "audit")({"what": "signed_in"})
    assert logged == [{"what": "signed_in"}]
