"""`--json`: one object of one shape from every command, whether or not it could do its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.runtime import extras
from gateway.settings import load
from tests.commands import invoke

KEY = "uD0PxGmHqVQ9l6m3wW7o5n0pTt3kq3w8l2m1xQyR4sE"
ENVIRON = {
    "GATEWAY__PUBLIC_URL": "https://app.example.com",
    "GATEWAY__UPSTREAM": "http://127.0.0.1:1",
    "GATEWAY__REDIS": "memory://",
    "GATEWAY__SECRET_KEYS": KEY,
    "GATEWAY__TIKTOK__CLIENT_KEY": "abc",
    "GATEWAY__TIKTOK__CLIENT_SECRET": "def",
    "GATEWAY__TIKTOK__TOKEN_URL": "http://127.0.0.1:1/v2/oauth/token/",
    "GATEWAY__TIKTOK__USER_INFO_URL": "http://127.0.0.1:1/v2/user/info/",
}
COMMANDS: dict[str, tuple[list[str], int, set[str]]] = {
    "check": (["check"], 0, {"redirect_uri"}),
    "doctor": (["doctor"], 1, {"findings", "registration", "review"}),
    "explain": (["explain", "GET", "/a", "--signed-out"], 0, {"decision", "status", "why"}),
    "explain nonsense": (["explain", "GET", "http://[::1"], 1, {"status", "code"}),
    "sessions list": (["sessions", "list"], 0, {"sessions"}),
    "sessions show": (["sessions", "show", "abc"], 1, set()),
    "sessions revoke": (["sessions", "revoke", "--user", "-abc"], 0, {"ended"}),
    "grants list": (["grants", "list"], 0, {"grants"}),
    "grants revoke": (["grants", "revoke", "--user", "-abc"], 1, set()),
    "grants erase": (["grants", "erase", "--user", "-abc"], 1, {"erased"}),
    "settings": (["settings", "--set"], 0, {"settings"}),
    "subject": (["subject", "--user=-abc"], 0, {"pseudonyms"}),
    "reload": (["reload", "--listen", "127.0.0.1:1"], 1, set()),
    "keys": (["keys", "new"], 0, {"key"}),
    "health": (["health", "--listen", "127.0.0.1:1"], 1, {"address"}),
}


def say(*words: str, **changes: str) -> tuple[int, Any]:
    done = invoke(*words, "--json", environ=ENVIRON | changes)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def check_shape(code: int, told: Any) -> None:
    assert list(told)[:3] == ["ok", "problems", "warnings"]
    assert told["ok"] == (code == 0) == (not told["problems"])
    for each in (*told["problems"], *told["warnings"]):
        assert set(each) == {"where", "key", "message"}
        assert each["message"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_same_shape(name: str) -> None:
    words, expected, keys = COMMANDS[name]
    code, told = say(*words)
    assert code == expected, told
    check_shape(code, told)
    assert keys <= told.keys()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"keys", "health", "reload"}])
def test_settings_that_cannot_be_used_have_it_too(name: str) -> None:
    code, told = say(*COMMANDS[name][0], GATEWAY__PUBLIC_URL="nonsense")
    check_shape(code, told)
    assert [(each["where"], each["key"]) for each in told["problems"]] == [("GATEWAY__PUBLIC_URL", "public_url")]


def test_a_file_that_is_not_there_has_it_too(tmp_path: Path) -> None:
    code, told = say("check", "-c", str(tmp_path / "none.yaml"))
    check_shape(code, told)
    assert "does not exist" in told["problems"][0]["message"]


def test_what_is_moved_from_another_gateway_has_it_too(tmp_path: Path) -> None:
    (tmp_path / "o.cfg").write_text('email_domains = ["*"]\n')
    code, told = say("migrate", str(tmp_path / "o.cfg"))
    check_shape(code, told)
    assert (told["output"], "public_url:" in told["settings"]) == (None, True)
    written = tmp_path / "gateway.yaml"
    code, told = say("migrate", str(tmp_path / "o.cfg"), "--output", str(written))
    assert (code, told["settings"]) == (0, written.read_text())
    assert say("migrate", str(tmp_path / "o.cfg"), "--output", str(written))[0] == 1  # it is there already


@pytest.mark.parametrize(
    ("key", "value", "modules", "extra"),
    [("forward_auth__grpc", "127.0.0.1:9092", {"envoy"}, "grpc"), ("redis", "memory://", {"lupa"}, "demo")],
)
def test_what_is_not_installed_is_a_problem_of_check(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, modules: set[str], extra: str
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in modules else object())
    variable = f"GATEWAY__{key.upper()}"
    changes = {"GATEWAY__REDIS": "redis://127.0.0.1:1", variable: value}
    code, told = say("check", **changes)
    assert code == 1
    (problem,) = told["problems"]
    assert problem["where"] == variable
    assert f"tiktok-gateway[{extra}]" in problem["message"]
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    assert say("check", **changes)[0] == 0


def test_explain_names_what_is_dropped() -> None:
    names = load(None, ENVIRON).drop_headers
    assert say("explain", "GET", "/a")[1]["headers_dropped"] == list(names)
    assert (
        f"headers dropped: {len(names)} names that apps believe of fronts, in drop_headers (--headers lists them)"
        in (invoke("explain", "GET", "/a", environ=ENVIRON).stdout)
    )
    listed = invoke("explain", "GET", "/a", "--headers", environ=ENVIRON).stdout
    assert f"headers dropped:\n  {names[0]}\n  {names[1]}\n" in listed
    assert len(invoke("explain", "GET", "/a", environ=ENVIRON).stdout.splitlines()) < 25


def test_a_shell_can_complete_the_words() -> None:
    complete = {"_GATEWAY_COMPLETE": "complete_bash", "COMP_WORDS": "gateway sessions re", "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['gateway']; from gateway.cli.entry import main; main()"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=os.environ | complete, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["revoke"]
