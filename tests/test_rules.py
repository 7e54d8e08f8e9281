"""The rules of a run, tried on runs of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGINS = ["tests.rules", "xdist", "pytest_timeout", "pytest_rerunfailures"]


pytest.importorskip("pytest_rerunfailures", reason="needs pytest-rerunfailures: pip install -e '.[dev]'")


def run(folder: Path, text: str, *options: str, **environ: str) -> tuple[int, str]:
    """Run a test module under this suite's rules; returns the exit code and the summary, which is the last line."""
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTEST", "GATEWAY"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(word for plugin in PLUGINS for word in ("-p", plugin)), *options],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environ,
        capture_output=True,
        text=True,
        timeout=50,
    )
    summary = done.stdout.splitlines()[-1]
    return done.returncode, re.sub(r" in [0-9.]+s.*", "", summary)


SKIPS = """
import pytest

def test_that_skips():
    pytest.skip("it needs what is not there")

@pytest.fixture
def missing():
    pytest.skip("it needs what is not there")

def test_whose_fixture_skips(missing):
    pass

@pytest.mark.skip
def test_that_is_marked():
    pass
"""


@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_a_skip_is_a_failure_where_none_may_be(tmp_path: Path, options: list[str]) -> None:
    code, summary = run(tmp_path, SKIPS, *options, GATEWAY_TESTS_MAY_SKIP="no")
    assert (code, "failed" in summary, "skipped" in summary) == (1, True, False)


HANGS = """
import time

def test_that_hangs_at_each_try():
    time.sleep(20)

tries = []

def test_that_hangs_at_its_first_try():
    tries.append(1)
    time.sleep(20 if len(tries) == 1 else 0)
"""


def test_a_second_try_has_a_time_of_its_own(tmp_path: Path) -> None:
    assert run(tmp_path, HANGS, "--reruns", "1", "-n", "1") == (1, "1 failed, 1 passed, 2 rerun")
