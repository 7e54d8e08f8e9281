"""`gateway health`: cheap, over any listener, and without the gateway's secrets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import admin_address
from gateway.cli.admin_address import find_admin_address, read_admin_listen
from gateway.cli.health import health
from gateway.errors import SettingsError
from gateway.settings.listening import ListenerSettings
from gateway.settings.load import PLACES, load_admin_listen
from tests.redis_server import RedisServer
from tests.runtime.conftest import run_gateway
from tests.test_imports import HEAVY

EXAMPLE = Path(__file__).parents[2] / "gateway.example.yaml"


@contextmanager
def answering(listener: socket.socket, answer: bytes) -> Generator[list[bytes]]:
    """Answer one question with these bytes; yields what was asked."""
    asked: list[bytes] = []

    def answer_one() -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(answer)

    thread = threading.Thread(target=answer_one, daemon=True)
    thread.start()
    with listener:
        yield asked
        thread.join(timeout=10)


def listen_on(family: str, tmp_path: Path) -> tuple[socket.socket, str]:
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        return listener, f"unix:{tmp_path}/s"
    host = {"v4": "127.0.0.1", "v6": "::1"}[family]
    listener = socket.create_server((host, 0), family=socket.AF_INET6 if family == "v6" else socket.AF_INET)
    return listener, f"[{host}]:{listener.getsockname()[1]}".replace("[127.0.0.1]", "127.0.0.1")


@pytest.mark.parametrize("family", ["unix", "v4", "v6"])
@pytest.mark.parametrize(
    ("answer", "code"), [(b"HTTP/1.1 200 OK\r\n\r\n", 0), (b"HTTP/1.1 503 No\r\n\r\n", 1), (b"", 1), (b"\xff\n", 1)]
)
def test_every_kind_of_listener_is_asked(tmp_path: Path, family: str, answer: bytes, code: int) -> None:
    listener, address = listen_on(family, tmp_path)
    with answering(listener, answer) as asked:
        assert health(None, address, {}) == code
    assert asked[0].startswith(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")


@pytest.mark.parametrize("everywhere", ["0.0.0.0:{}", ":{}", "[::]:{}"])
def test_who_listens_everywhere_is_asked_on_loopback(everywhere: str, tmp_path: Path) -> None:
    listener, address = listen_on("v6" if "::" in everywhere else "v4", tmp_path)
    with answering(listener, b"HTTP/1.1 200 OK\r\n\r\n"):
        assert health(None, everywhere.format(address.rpartition(":")[2]), {}) == 0


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("off", "is off"),
        ("unix:/not/here", "does not answer"),
        ("unix:" + "x" * 500, "does not answer"),
        ("127.0.0.1:1", "does not answer"),
        ("127.0.0.1:99999", "does not answer"),
        ("127.0.0.1", "is no address"),
        ("x:y", "is no address"),
    ],
)
def test_what_does_not_live_is_told(address: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert health(None, address, {}) == 1
    assert told in capsys.readouterr().err


def test_a_gateway_that_runs_lives(simulator: object, redis_server: RedisServer, upstream: str, tmp_path: Path) -> None:
    """In its own process, with the address in a file, and with none of the secrets that the file names."""
    socket_path = tmp_path / "admin"
    config = tmp_path / "health.yaml"
    config.write_text(f'secret_keys: "${{NOT_HERE}}"\nadmin:\n  listen: unix:{socket_path}\n')
    with run_gateway(tmp_path, simulator, redis_server, upstream, admin__listen=f"unix:{socket_path}"):  # type: ignore[arg-type]
        assert ask("-c", str(config)).returncode == 0
        assert ask(GATEWAY__ADMIN__LISTEN=f"unix:{socket_path}").returncode == 0
        assert ask("--listen", f"unix:{socket_path}").returncode == 0
    done = ask("-c", str(config))
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)


def ask(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    command = [sys.executable, "-m", "gateway", "health", *words]
    return subprocess.run(command, env=inherited | environ, capture_output=True, text=True, timeout=60)


def test_it_loads_nothing_heavy(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(EXAMPLE.read_text().replace("127.0.0.1:9090", "unix:/not/here"))
    code = (
        "import sys\n"
        f"sys.argv = ['gateway', 'health', '-c', {str(config)!r}]\n"
        "from gateway.cli.entry import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "unix:/not/here does not answer" in done.stderr
    too_much = HEAVY | {"typer", "click", "http", "asyncio", "ssl", "gateway.settings", "gateway.cli.main"}
    assert not set(done.stdout.split()) & too_much


def test_the_places_are_those_of_the_settings() -> None:
    assert admin_address.PLACES == PLACES


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("", ""),
        ("redis: x\n", ""),
        ("admin:\n  listen: 127.0.0.1:1\n", "127.0.0.1:1"),
        ("a: 1\nadmin:\n    keys: []\n\n    # x\n    listen: 'unix:/x y'   # there\nb: 2\n", "unix:/x y"),
        ('admin: {listen: "[::]:1"}\n', "[::]:1"),
        ("admin:\n  keys:\n    - listen: 5\n", ""),
        ("tokens:\n  listen: x\nadmin:\n  keys: []\n", ""),
        ("admin:\n  listen: off\n", "off"),
        ("admin:\n  listen: '${A}'\n", None),
        ("admin: *a\n", None),
        ("<<: *a\n", None),
        ("admin:\n  <<: *a\n", None),
        ("{admin: {listen: x}}\n", None),
        ("'admin': {listen: x}\n", None),
        ("admin: {keys: [], listen: x}\n", None),
        ("admin:\n  listen: [::]:1\n", None),
        ("admin:\n  listen:\n    x\n", None),
        ("admin:\n  listen: a\n  listen: b\n", None),
        ("admin:\n  listen: {address: x}\n", None),
        ("admin:\n\tlisten: x\n", None),
    ],
)
def test_what_a_file_says_or_that_the_settings_must_be_asked(text: str, listen: str | None) -> None:
    assert read_admin_listen(text) == listen


LINES = """\
admin:
admin: {listen: 1.1.1.1:1}
admin: # x
  listen: 1.1.1.1:2
  listen: 'unix:/x'
  listen: :8 # y
  listen: off
  listen: |
  "listen": :7
    listen: 1.1.1.1:3
listen: :4
  keys: []
  keys:
  <<: *a
- x
  - listen: 1.1.1.1:5
# admin:
  # x

redis: &a {listen: :6}
off:
tokens: |
  x
---
x: 'a
  b'
"""
lines = st.sampled_from(LINES.splitlines())


@settings(max_examples=400, deadline=None)
@given(st.lists(lines, max_size=6))
def test_it_reads_what_the_settings_read(tmp_path_factory: pytest.TempPathFactory, chosen: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "health.yaml"
    path.write_text("\n".join(chosen))
    found = read_admin_listen(path.read_text())
    told = told_by_settings(path)
    assert found is None or told is None or str(told) == str(load_as(found))


def told_by_settings(path: Path) -> ListenerSettings | str | None:
    """Return the address by the settings' own reading; None where they refuse the file."""
    try:
        return load_admin_listen(path, {}) or "off"
    except SettingsError:
        return None


def load_as(found: str) -> ListenerSettings | str:
    return load_admin_listen(None, {"GATEWAY__ADMIN__LISTEN": found or admin_address.USUAL}) or "off"


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "127.0.0.1:9090"),
        ({"GATEWAY__ADMIN__LISTEN": "unix:/a"}, "unix:/a"),
        ({"gateway__admin__listen": ":1"}, ":1"),
        ({"GATEWAY__ADMIN__KEYS": "x"}, "127.0.0.1:9090"),
        ({"GATEWAY__ADMIN__LISTEN": "${A}", "A": "unix:/b"}, "unix:/b"),
        ({"GATEWAY__ADMIN": "{listen: 'unix:/c', keys: ['${NOT_HERE}']}"}, "unix:/c"),
        ({"GATEWAY__ADMIN__LISTEN": "off"}, "off"),
    ],
)
def test_variables_have_the_word(
    environ: dict[str, str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_admin_address(None, environ) == address
    (tmp_path / "gateway.yaml").write_text("admin:\n  listen: unix:/file\n")
    says_nothing = not any("LISTEN" in name.upper() or name == "GATEWAY__ADMIN" for name in environ)
    assert find_admin_address(None, environ) == ("unix:/file" if says_nothing else address)


@pytest.mark.parametrize("words", [["health", "-c"], ["health", "x"], ["health", "--nonsense", "x"]])
def test_wrong_usage_is_the_commands_affair(words: list[str]) -> None:
    assert ask(*words[1:]).returncode == 2
