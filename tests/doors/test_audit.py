"""The audit trail and the log of a middleware: its program's logging decides, by the names of the loggers."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import Browser, Running, asgi_form

Serve = Callable[..., contextlib.AbstractContextManager[Running]]


@pytest.fixture(autouse=True)
def as_python_begins() -> None:
    """Other tests may have run a gateway of its own in this process, which sets levels."""
    for name in ("gateway", "gateway.audit"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize("serve", [asgi_form, wsgi], ids=["asgi", "wsgi"])
def test_the_programs_logging_decides(
    serve: Serve, simulator: RunningSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gateway"), serve(simulator) as running, Browser(running.url) as browser:
        browser.sign_in(person="plain")
        browser.fetch("/oauth2/sign_out", method="POST")
    told = [record.getMessage() for record in caplog.records if record.name == "gateway.audit"]
    assert ["what=sign_in_completed" in line for line in told] == [True, False]
    assert "what=signed_out" in told[1]
    assert all("client=127.0.0.1" in line and "request_id=" in line for line in told)
    requests = [record.getMessage() for record in caplog.records if record.name == "gateway"]
    assert any("event=request" in line and "path=/oauth2/callback" in line for line in requests)
    assert not any("code=" in line or "state=" in line for line in requests)


@pytest.mark.parametrize("serve", [asgi_form, wsgi], ids=["asgi", "wsgi"])
def test_one_may_be_had_without_the_other(
    serve: Serve, simulator: RunningSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gateway.audit"), serve(simulator) as running, Browser(running.url) as browser:
        browser.sign_in(person="plain")
    assert {record.name for record in caplog.records if record.name.startswith("gateway")} == {"gateway.audit"}


@pytest.mark.parametrize("serve", [asgi_form, wsgi], ids=["asgi", "wsgi"])
def test_a_file_of_its_own(serve: Serve, simulator: RunningSimulator, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with serve(simulator, audit__to=str(path)) as running, Browser(running.url) as browser:
        browser.sign_in(person="plain")
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["event"], line["what"], line["who"]) == ("audit", "sign_in_completed", "person")
