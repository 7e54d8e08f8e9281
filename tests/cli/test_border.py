"""Whatever is typed ends with a message and 0, 1 or 2; never with a traceback, and never as a fault of the gateway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli import main as commands
from gateway.cli.entry import main
from gateway.errors import SettingsError

SETTINGS = """\
public_url: https://app.example.com
upstream: http://127.0.0.1:1
redis: {url: redis://127.0.0.1:1/0, timeout: 1s}
secret_keys: a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V
tiktok: {client_key: k, client_secret: "${S3CRET:-s}"}
routes: [{path: /a/**, access: public}, {path: /**}]
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "image").write_bytes(bytes(range(256)))

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gateway", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        told = captured.out + captured.err
        assert "Traceback" not in told
        assert "fault of the gateway itself" not in told, told
        assert caught.value.code in {0, 1, 2, None}
        return int(caught.value.code or 0), told

    return run


FILES = [
    "folder",
    "image",
    "not-here",
    "x" * 5000,
    "gateway.yaml/x",
    "",
    "/dev/null",
    "/proc/self/mem",
    "\udcff",
    "a\nb",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("command", ["check", "doctor", "run", "explain GET /", "sessions list", "grants list"])
def test_any_file(command: str, file: str, run: Run) -> None:
    code, told = run(*command.split(), "-c", file)
    assert code in {1, 2}
    assert told


def test_a_file_without_the_right_to_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    assert run("check") == (1, "gateway: gateway.yaml cannot be read: Permission denied\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nonsense"], 2, "No such command"),
        (["run", "--workers", "0"], 2, "--workers"),
        (["run", "--workers", "x"], 2, "--workers"),
        (["demo", "--port", "99999"], 2, "--port"),
        (["explain", "GET"], 2, "Missing argument"),
        (["explain", "GET", "http://[::1"], 1, "malformed_request: the address has a host that is none"),
        (["explain", "GET", "http://u:p@x/"], 1, "malformed_request"),
        (["explain", "GET", "\udcff"], 2, "is not UTF-8"),
        (["explain", "\x1b[31m", "/"], 1, "malformed_request"),
        (["explain", "GET", "/a\x1b[31m"], 1, "malformed_request"),
        (["explain", "GET", "/", "--fact", "x"], 1, "--fact x: write one of"),
        (["explain", "GET", "/", "--fact", "follower_count=" + "9" * 5000], 1, "--fact follower_count=99"),
        (["explain", "GET", "/", "--fact", "is_verified=3"], 1, "--fact is_verified=3: write one of"),
        (["explain", "GET", "/", "--fact", "follower_count=true"], 1, "--fact follower_count=true: write one of"),
        (["explain", "GET", "/", "--fact", "follower_count=²"], 1, "--fact follower_count=²: write one of"),
        (["explain", "GET", "/", "--scopes", ",,\x1b,"], 0, "decision: allow"),
        (["explain", "GET", "/", "--user", "\udcff"], 2, "is not UTF-8"),
        (["sessions", "revoke"], 2, "which?"),
        (["sessions", "list", "--limit", "-1"], 2, "--limit"),
        (["sessions", "show", "\x1b"], 1, "cannot be used"),
        (["grants", "revoke", "--user", "\udcff"], 2, "is not UTF-8"),
        (["grants", "erase", "--user", ""], 1, "gateway:"),
        (["keys", "old"], 2, "No such command"),
        (["health", "--listen", "x"], 1, "is no address"),
        (["health", "--listen", "unix:\x1b"], 1, "does not answer"),
    ],
)  # fmt: skip
def test_nonsense(words: list[str], code: int, told: str, run: Run) -> None:
    found, said = run(*words)
    assert told in said
    assert found == code
    assert "\x1b" not in said


@pytest.mark.parametrize("words", ["sessions show", "sessions revoke", "grants revoke --user", "explain GET"])
def test_nothing_that_is_said_acts_on_a_terminal(words: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY__REDIS", "memory://")
    monkeypatch.setenv("GATEWAY__ROUTES", r'[{path: "/\x1b[31m"}, {path: /**}]')
    _, said = run(*words.split(), "/\x1b[31m" if words != "explain GET" else "/")
    assert "\x1b" not in said
    assert "/\\x1b[31m" in said


words = st.text().filter(lambda text: text.isascii() or text.encode("utf-8", "ignore").decode() == text)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST"]) | words,
    url=words | st.builds("{}{}".format, st.sampled_from(["/", "https://app.example.com/", "http://"]), words),
    options=st.lists(st.tuples(st.sampled_from(["scopes", "user", "username", "union-id", "fact"]), words), max_size=2),
)
def test_any_request_is_explained_or_refused(run: Run, method: str, url: str, options: list[tuple[str, str]]) -> None:
    code, said = run("explain", "--json", *(f"--{name}={value}" for name, value in options), "--", method, url)
    assert code in {0, 1, 2}
    assert said


def test_without_any_file_the_places_are_named(tmp_path: Path, run: Run) -> None:
    (tmp_path / "gateway.yaml").unlink()
    for command in (["check"], ["run"], ["doctor"]):
        code, told = run(*command)
        assert code == 1
        assert "there is no settings file: ./gateway.yaml and /etc/gateway/gateway.yaml were looked for" in told


def test_a_fault_of_ours_is_told_without_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> None:
        raise KeyError("s3cret")

    monkeypatch.setattr(commands, "app", break_down)
    monkeypatch.setattr(sys, "argv", ["gateway", "check"])
    with pytest.raises(SystemExit, match="1"):
        main()
    told = capsys.readouterr().err
    assert "fault of the gateway itself (KeyError in gateway.cli.entry, line" in told
    assert "s3cret" not in told
    monkeypatch.setenv("GATEWAY_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main()


def test_an_error_of_ours_is_told_by_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise SettingsError("mend this\x1b[31m")

    monkeypatch.setattr(commands, "app", refuse)
    monkeypatch.setattr(sys, "argv", ["gateway", "check"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "gateway: mend this\\x1b[31m\n"


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    command = f"{sys.executable} -m gateway schema | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("{", "")
