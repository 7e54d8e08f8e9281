"""Settings that cannot be used, where an app is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import SettingsError

APP = "from gateway.{form} import protect\napp = application = protect(lambda *_: None, 'broken.yaml')\n"
SERVERS: dict[str, list[list[str]]] = {
    "asgi": [[], ["-m", "uvicorn", "app:app"]],
    "wsgi": [[]],
}


@pytest.mark.parametrize(
    ("form", "server"), [(form, server) for form, servers in SERVERS.items() for server in servers], ids=str
)
def test_only_the_problems_are_told(tmp_path: Path, form: str, server: list[str]) -> None:
    (tmp_path / "app.py").write_text(APP.format(form=form))
    (tmp_path / "broken.yaml").write_text("public_urll: http://app.example\n")
    ended = subprocess.run(
        [sys.executable, *(server or ["app.py"])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 1
    first, *problems = ended.stderr.splitlines()
    assert first == "gateway: the settings cannot be used:"
    assert len(problems) == 5
    assert all(problem.startswith("  broken.yaml:1:1: ") for problem in problems)
    assert "did you mean `public_url`" in problems[-1]


@pytest.mark.parametrize("form", ["asgi", "wsgi"])
def test_other_errors_are_told_as_ever(tmp_path: Path, form: str) -> None:
    (tmp_path / "app.py").write_text(
        APP.format(form=form).replace("app = ", "try:\n    app = ") + "except Exception:\n    pass\n1 / 0\n"
    )
    (tmp_path / "broken.yaml").write_text("public_urll: http://app.example\n")
    ended = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.stderr.startswith("Traceback")
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_who_catches_it_has_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.asgi import protect

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # to be put back
    (tmp_path / "broken.yaml").write_text("public_urll: http://app.example\n")
    with pytest.raises(SettingsError, match="did you mean `public_url`"):
        protect(None, tmp_path / "broken.yaml")
