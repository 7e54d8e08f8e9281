"""Settings of a gateway around an app: what is said of them where they are read, and when they cannot be used."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway import asgi, wsgi
from gateway.errors import SettingsError
from gateway.testing import environment, signed_in
from tests.harness import listener, url_of
from tests.servers.starters import ROOT

APP = """
from fastapi import FastAPI
from gateway.asgi import protect

app = FastAPI()
app.add_middleware(protect)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder without a settings file."""
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_settings(path: Path) -> None:
    values = {name.removeprefix("GATEWAY__").lower(): value for name, value in environment().items()}
    tiktok = "tiktok: {client_key: test, client_secret: test}\n"
    lines = (f"{name}: '{value}'" for name, value in values.items() if not name.startswith("tiktok"))
    path.write_text("\n".join(lines) + "\n" + tiktok)


@pytest.mark.parametrize("door", [asgi, wsgi])
@pytest.mark.parametrize("named", ["gateway.yaml", "conf/mine.yaml"])
def test_the_log_tells_which_file_was_read(
    door: Any, named: str, elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (elsewhere / "conf").mkdir()
    write_settings(elsewhere / named)
    with caplog.at_level(logging.INFO):
        door.protect(lambda *_: None, None if named == "gateway.yaml" else named)
    assert f"event=protecting public_url=http://testserver settings={elsewhere}/{named} " in caplog.text


def test_the_log_tells_that_there_was_no_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.INFO):
        asgi.protect(None)
    assert "settings=environment " in caplog.text


@pytest.mark.parametrize("keywords", [{}, {"sign_in": "page"}])
def test_where_it_was_looked_for_is_told(keywords: Any, elsewhere: Path) -> None:
    with pytest.raises(SettingsError, match=f"no settings file: .*, from {elsewhere} "):
        asgi.protect(None, **keywords)
    with pytest.raises(SettingsError, match=f"conf/x.yaml does not exist, looked for from {elsewhere}: "):
        asgi.protect(None, "conf/x.yaml", **keywords)


@pytest.mark.parametrize("door", [asgi, wsgi])
@pytest.mark.parametrize("key", ["listen", "tls", "admin", "tokens", "drain", "upstream"])
def test_a_program_is_not_let_say_what_does_nothing(door: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"protect\({key}=…\): does nothing here"):
        door.protect(None, **{key: "127.0.0.1:1"})


def test_a_file_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (environment() | {"GATEWAY__LISTEN": "127.0.0.1:1", "GATEWAY__UPSTREAM": "none"}).items():
        monkeypatch.setenv(name, value)
    assert asgi.protect(None) is not None


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
def test_a_framework_that_makes_it_late_refuses_to_start(kind: Any) -> None:
    app = kind()
    app.add_middleware(asgi.protect)
    with pytest.raises(SettingsError, match="there is no settings file"), TestClient(app):
        pytest.fail("it has started")
    with pytest.raises(SettingsError, match="there is no settings file"):
        TestClient(app).get("/")  # of a client, or a server, that knows of no start


def test_uvicorn_says_it_in_one_message_and_ends(elsewhere: Path) -> None:
    (elsewhere / "main.py").write_text(APP)
    with listener() as bound:
        port = url_of(bound).rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "main:app", "--port", port],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{elsewhere}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("there is no settings file") == 1
    assert "Application startup failed. Exiting." in done.stderr


TWO = """
import sys
from gateway.settings import load
from gateway.testing import environment, signed_in
from gateway.wsgi import protect

gateway = protect(lambda environ, start: (start("200 OK", []), [])[1], load(None, environment(), needs_upstream=False))
with signed_in():
    gateway({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "testserver", "wsgi.url_scheme": "http"}, print)
sys.stdin.read()
"""


def test_tests_in_several_processes_are_no_reason_to_warn() -> None:
    """As pytest-xdist runs them, each with an embedded store of its own."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        subprocess.Popen([sys.executable, "-c", TWO], **pipes, text=True) as one,  # type: ignore[call-overload]
        subprocess.Popen([sys.executable, "-c", TWO], **pipes, text=True) as other,  # type: ignore[call-overload]
    ):
        for each in (one, other):
            assert "200 OK" in each.stdout.readline()
        said = [each.communicate(timeout=60) for each in (one, other)]
    assert [err for _, err in said] == ["", ""]


def test_signing_in_needs_no_environment_for_that(caplog: pytest.LogCaptureFixture) -> None:
    from gateway.store import company

    company._welcome = False
    with signed_in():
        assert company._welcome
