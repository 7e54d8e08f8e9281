"""The rules of a run: how many tests at once, which are in a browser, what a skip is, what a second try is given."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """For `-n auto`: twice as many as there are processors, since tests wait half of their time."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    return 2 * (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test in a browser is known by what it uses, so that `-m "not browser"` leaves it out."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is installed (`.ci/run`), a test that skips has not been run: that is a failure."""
    report = yield
    if report.skipped and os.environ.get("GATEWAY_TESTS_MAY_SKIP") == "no" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


TIME_OF_A_TRY = pytest.StashKey[Any]()


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """Note how long the test may take; who sets the timer comes after this."""
    item.stash[TIME_OF_A_TRY] = settings


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a second try (`.ci/run`) its own time: pytest-timeout's is for all tries, and ends with the first."""
    if getattr(item, "execution_count", 1) > 1 and TIME_OF_A_TRY in item.stash:
        hooks = item.config.pluginmanager.hook
        hooks.pytest_timeout_cancel_timer(item=item)
        hooks.pytest_timeout_set_timer(item=item, settings=item.stash[TIME_OF_A_TRY])
