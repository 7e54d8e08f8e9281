"""What every test may use, and the rule that a skip is a failure where nothing may be missing."""

from __future__ import annotations

import os
import shutil

import hypothesis
import pytest

# the same examples each time, so that a failure is the change's own; run with --hypothesis-profile=wild to search
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("wild", deadline=None)
hypothesis.settings.load_profile("steady")

HOW_TO_GET = {
    "redis-server": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "chromium": "apt-get install chromium",
}


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio: the gateway is an asyncio program."""
    return "asyncio"


def need(program: str) -> str:
    """Return the path of a program; without it the test skips, and says how to get it."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}: {HOW_TO_GET.get(program, 'see .ci/run')}")
    return found


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Where everything is installed (`.ci/run`), a test that skips has not been run: that is a failure."""
    if report.skipped and os.environ.get("GATEWAY_TESTS_MAY_SKIP") == "no" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
