"""Settings that are read anew under load: the benchmark that shows it at length, in short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.programs import need

ROOT = Path(__file__).parent.parent.parent


def test_nothing_fails_and_nothing_is_cut() -> None:
    need("redis-server")
    words = ["--reloads", "8", "--pause", "0.4", "--rate", "200", "--download", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reload", *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert "20000000 bytes; 0 reloads refused; wrong: nothing" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
