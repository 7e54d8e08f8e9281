"""The unit: systemd takes it, it is as closed as it says, and the gateway lives with what it takes away."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.settings import Settings, load
from gateway.settings.scalars import read_duration
from gateway.simulator import RunningSimulator
from tests.commands import invoke
from tests.deploying.confined import read_unit
from tests.deploying.starting import CONFIG, running, tiktok_environ, wait_until_it_answers, write_secrets
from tests.fronts.starting import replaced
from tests.harness import Browser
from tests.ports import free_port
from tests.programs import need
from tests.redis_server import run_redis
from tests.waiting import wait_for

FOLDER = CONFIG / "systemd"
UNIT = FOLDER / "gateway.service"
SOCKET = FOLDER / "gateway.socket"
SETTINGS = FOLDER / "gateway.yaml"
CREDENTIALS = ["secret_key", "tiktok_client_secret", "redis_password"]
MOST_EXPOSED = 1.5
"""As `systemd-analyze security` counts it, from 0 to 10; what is below 2 it calls OK."""


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = [need("systemd-analyze"), *words, "--no-pager"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def write_unit(folder: Path, text: str) -> Path:
    """Write the unit with a program that is there in place of the installed one."""
    path = folder / "gateway.service"
    path.write_text(replaced(text, [("/opt/gateway/bin/gateway ", f"{sys.executable} ")]))
    return path


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    done = analyze("verify", str(write_unit(tmp_path, UNIT.read_text())))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_tell_of_a_key_that_is_none(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("ProtectHome=", "ProtectHouse=")
    assert "ProtectHouse" in analyze("verify", str(write_unit(tmp_path, text))).stderr


def test_the_service_is_closed(tmp_path: Path) -> None:
    unit = str(write_unit(tmp_path, UNIT.read_text()))
    done = analyze("security", "--offline=true", f"--threshold={round(10 * MOST_EXPOSED)}", unit)
    assert done.returncode == 0, done.stdout
    assert analyze("security", "--offline=true", "--threshold=1", unit).returncode != 0


def read_settings(tmp_path: Path) -> tuple[Settings, dict[str, str]]:
    environ = {
        "TIKTOK_CLIENT_KEY": "k",
        "CREDENTIALS_DIRECTORY": str(write_secrets(tmp_path / "credentials", CREDENTIALS)),
    }
    return load(SETTINGS, environ), environ


def test_its_settings_are_fine(tmp_path: Path) -> None:
    _, environ = read_settings(tmp_path)
    done = invoke("check", "-c", str(SETTINGS), "--json", environ=environ)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["warnings"] == []


def test_each_secret_is_handed_over() -> None:
    handed = dict(each.split(":") for each in read_unit(UNIT)["LoadCredential"])
    assert handed == {name: f"/etc/gateway/credentials/{name}" for name in CREDENTIALS}
    assert set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/(\w+)", SETTINGS.read_text())) == set(CREDENTIALS)


def test_it_is_given_the_time_that_the_drain_takes(tmp_path: Path) -> None:
    drain = read_settings(tmp_path)[0].drain
    assert read_duration(read_unit(UNIT)["TimeoutStopSec"][0]) >= drain.delay + drain.timeout + timedelta(seconds=5)


def test_a_reload_is_a_hangup_and_only_the_first_process_is_told_to_end() -> None:
    unit = read_unit(UNIT)
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["Type"] == ["notify"]
    assert unit["KillMode"] == ["mixed"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_gateway_lives_with_what_the_unit_takes_away(
    tmp_path: Path, simulator: RunningSimulator, upstream: str, workers: int
) -> None:
    need("systemd-analyze")
    public, admin = free_port(), free_port()
    url = f"http://127.0.0.1:{public}"
    with run_redis("--requirepass", "0f" * 32) as redis:
        at = [
            ("public_url: https://app.example.com", f"public_url: {url}"),
            ("http://127.0.0.1:3000", upstream),
            ("redis://127.0.0.1:6379/0", redis.url),
            ("listen: 127.0.0.1:8080", f"listen: 127.0.0.1:{public}"),
        ]
        path = tmp_path / "gateway.yaml"
        path.write_text(replaced(SETTINGS.read_text(), at) + f"admin: {{listen: 127.0.0.1:{admin}}}\n")
        secrets = write_secrets(tmp_path / "credentials", CREDENTIALS, simulator)
        environ = tiktok_environ(simulator) | {"CREDENTIALS_DIRECTORY": str(secrets)}
        _, *words = read_unit(UNIT)["ExecStart"][0].split()
        words[words.index("/etc/gateway/gateway.yaml")] = str(path)
        gateway = ["-m", "gateway", *words, "--workers", str(workers)]
        confined = [sys.executable, "-m", "tests.deploying.confined", str(UNIT), sys.executable, *gateway]
        log = tmp_path / "log"
        with running(confined, log, environ=environ, cwd=CONFIG.parent) as process:
            wait_until_it_answers(f"http://127.0.0.1:{admin}/readyz", process, log)
            with Browser(url) as browser:
                assert browser.sign_in("/private").status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, log.read_text()


def test_what_the_unit_takes_away_is_gone() -> None:
    need("systemd-analyze")
    lower = "import os; os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0))"
    confined = [sys.executable, "-m", "tests.deploying.confined", str(UNIT), sys.executable, "-c", lower]
    done = subprocess.run(confined, cwd=CONFIG.parent, capture_output=True, text=True, timeout=60, check=False)
    assert "PermissionError" in done.stderr


def test_systemd_takes_the_socket_with_the_service(tmp_path: Path) -> None:
    service, socket = write_unit(tmp_path, UNIT.read_text()), tmp_path / "gateway.socket"
    socket.write_text(SOCKET.read_text())
    done = analyze("verify", str(service), str(socket))
    assert (done.returncode, done.stderr) == (0, "")
    socket.write_text(SOCKET.read_text().replace("ListenStream=", "ListenStreams="))
    assert "ListenStreams" in analyze("verify", str(service), str(socket)).stderr


def listen_by_socket(settings: str) -> str:
    """Return the settings with the change that the socket's first lines tell."""
    assert "`listen: systemd:web`" in SOCKET.read_text()
    return replaced(settings, [("listen: 127.0.0.1:8080", "listen: systemd:web")])


def test_the_socket_is_where_the_service_would_listen_and_called_as_the_settings_call_it(tmp_path: Path) -> None:
    unit = read_unit(SOCKET)
    assert [f"listen: {each}" in SETTINGS.read_text() for each in unit["ListenStream"]] == [True]
    assert unit["FileDescriptorName"] == ["web"]
    (tmp_path / "gateway.yaml").write_text(listen_by_socket(SETTINGS.read_text()))
    _, environ = read_settings(tmp_path)
    done = invoke("check", "-c", str(tmp_path / "gateway.yaml"), "--json", environ=environ)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["warnings"] == []


def test_who_connects_before_the_gateway_serves_is_answered(
    tmp_path: Path, simulator: RunningSimulator, upstream: str
) -> None:
    """By systemd's own program for it, which starts the gateway with the first connection."""
    (name,) = read_unit(SOCKET)["FileDescriptorName"]
    port, admin = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    at = [("public_url: https://app.example.com", f"public_url: {url}"), ("http://127.0.0.1:3000", upstream)]
    with run_redis("--requirepass", "0f" * 32) as redis:
        at += [("redis://127.0.0.1:6379/0", redis.url)]
        path = tmp_path / "gateway.yaml"
        settings = listen_by_socket(replaced(SETTINGS.read_text(), at))
        path.write_text(f"{settings}admin: {{listen: 127.0.0.1:{admin}}}\n")
        secrets = write_secrets(tmp_path / "credentials", CREDENTIALS, simulator)
        environ = tiktok_environ(simulator) | {"CREDENTIALS_DIRECTORY": str(secrets)}
        passed = [f"-E{each}={value}" for each, value in environ.items()]
        command = [need("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", f"--fdname={name}", *passed]
        gateway = [sys.executable, "-m", "gateway", "run", "-c", str(path)]
        log = tmp_path / "log"
        with running([*command, *gateway], log, environ=environ, cwd=CONFIG.parent) as process:
            wait_for(lambda: "Listening on" in log.read_text(), "the socket is there")
            with Browser(url) as browser:
                browser.client.timeout = 60
                assert browser.navigate("/private").status_code == 302
                assert browser.sign_in("/private").status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, log.read_text()
