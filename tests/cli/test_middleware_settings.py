"""A middleware's settings have no upstream: what only reads settings takes them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.testing import environment
from tests.commands import invoke


@pytest.mark.parametrize(
    "words",
    [
        "explain GET /x",
        "settings",
        "doctor",
        "sessions list",
        "sessions show 3f2a9c",
        "sessions revoke --user=ada",
        "grants list",
        "grants revoke --user=ada",
        "grants erase --user=ada",
        "subject --user=ada",
    ],
)
def test_what_only_reads_settings_asks_for_no_upstream(tmp_path: Path, words: str) -> None:
    told = invoke(*words.split(), environ=environment(), cwd=tmp_path)
    assert "is missing" not in told.stderr
    assert told.stdout or "there is no" in told.stderr


def test_check_says_how_whatever_else_is_wrong(tmp_path: Path) -> None:
    variables = environment() | {"GATEWAY__SIGN_IN": "never"}
    told = invoke("check", environ=variables, cwd=tmp_path)
    assert (told.returncode, "gateway check --middleware" in told.stderr) == (1, True)
    done = invoke("check", "--middleware", environ=variables, cwd=tmp_path)
    assert (done.returncode, "--middleware" in done.stderr) == (1, False)


def test_doctor_says_what_it_takes_the_settings_for(tmp_path: Path) -> None:
    said = invoke("doctor", environ=environment(), cwd=tmp_path).stdout
    assert "app: in the same process" in said
    for key, value in (("UPSTREAM", "none"), ("UPSTREAMS", "{default: 'http://127.0.0.1:1'}")):
        named = invoke("doctor", environ=environment() | {f"GATEWAY__{key}": value}, cwd=tmp_path).stdout
        assert "app: in the same process" not in named


def test_doctor_warns_of_what_does_nothing_there(tmp_path: Path) -> None:
    routes = "[{path: /**, keep_post: true}]"
    said = invoke("doctor", environ=environment() | {"GATEWAY__ROUTES": routes}, cwd=tmp_path).stdout
    assert "keep_post" not in said
    listening = invoke("doctor", environ=environment() | {"GATEWAY__LISTEN": "127.0.0.1:1"}, cwd=tmp_path).stdout
    assert "does nothing in middleware" in listening
