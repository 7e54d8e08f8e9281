"""Under systemd: sockets that it hands over, and what it is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.runtime.pulse import Pulse
from gateway.runtime.systemd import Systemd, take_sockets
from gateway.simulator import RunningSimulator
from tests.harness import settings_environ
from tests.ports import free_port
from tests.programs import need
from tests.redis_server import RedisServer
from tests.runtime.conftest import gateway_environ, run_gateway
from tests.waiting import wait_for


class Listener:
    """What systemd hears, in order."""

    def __init__(self, address: str) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def hear(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self._socket.recv(4096).decode())
        return self.heard

    def has_heard(self, words: str) -> bool:
        return any(words in each.split("\n") for each in self.hear())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[tuple[Listener, str]]:
    path = str(tmp_path / "notify")
    shown, address = (path, path) if request.param == "path" else (f"@{path}", f"\0{path}")
    listener = Listener(address)
    yield listener, shown
    listener.close()


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one", "workers"])
def test_it_is_told_of_start_life_and_end(
    tmp_path: Path,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    listener: tuple[Listener, str],
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd, address = listener
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    with run_gateway(tmp_path, simulator, redis_server, upstream, *words) as running:
        wait_for(lambda: systemd.has_heard("READY=1"), "it is told of readiness")
        ready = next(each for each in systemd.heard if each.startswith("READY=1"))
        assert f"STATUS=serving at {running.url.removeprefix('http://')}; admin " in ready
        wait_for(lambda: systemd.hear().count("WATCHDOG=1") >= 2, "it is told again and again")
        assert running.stop() == 0
    assert systemd.has_heard("STOPPING=1")
    told = [each.partition("\n")[0] for each in systemd.heard]
    assert told.index("READY=1") < told.index("WATCHDOG=1") < told.index("STOPPING=1")
    assert told.count("READY=1") == told.count("STOPPING=1") == 1


def test_a_worker_that_hangs_is_no_sign_of_life(
    tmp_path: Path,
    simulator: RunningSimulator,
    redis_server: RedisServer,
    upstream: str,
    listener: tuple[Listener, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd, address = listener
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    with run_gateway(tmp_path, simulator, redis_server, upstream, "--workers", "2") as running:
        wait_for(lambda: systemd.hear().count("WATCHDOG=1") >= 2, "it is told again and again")
        parent = running.process.pid
        worker = int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
        os.kill(worker, signal.SIGSTOP)
        try:
            time.sleep(1.5)  # its last beat is older than the watchdog's time
            systemd.hear()
            before = len(systemd.heard)
            time.sleep(2)
            assert systemd.hear()[before:] == []
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_for(lambda: len(systemd.hear()) > before, "it lives again")


def test_one_that_does_not_answer_harms_nobody(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell_ready("x")
    Systemd({}).tell_ready("x")


def test_a_reload_is_told_with_its_time(listener: tuple[Listener, str]) -> None:
    systemd, address = listener
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    teller = Systemd(environ)
    assert environ == {}  # no child says it again
    assert teller.watchdog == 1.0
    assert Systemd({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog == 0.0
    before = time.monotonic()
    teller.tell_reloading()
    teller.tell_ready("two\nlines")
    reloading, ready = systemd.hear()
    first, told = reloading.split("\n")
    assert first == "RELOADING=1"
    assert before <= int(told.removeprefix("MONOTONIC_USEC=")) / 1e6 + 1e-6 <= time.monotonic() + 1e-6
    assert ready == "READY=1\nSTATUS=two lines"


def test_a_gateway_that_is_not_watched_tells_nothing() -> None:
    pulse = Pulse(Systemd({}), 1)
    pulse.tell_stopping()


@contextlib.contextmanager
def run_activated(
    names: str, sockets: list[socket.socket], tmp_path: Path, environ: dict[str, str], *words: str
) -> Generator[subprocess.Popen[bytes]]:
    """Start a gateway as systemd does: with sockets as file descriptors from 3 on."""
    code = (
        "import os, sys\n"
        f"for number, given in enumerate({[each.fileno() for each in sockets]}): os.dup2(given, 100 + number)\n"
        f"for number in range({len(sockets)}): os.dup2(100 + number, 3 + number)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'gateway', 'run', *sys.argv[1:]])\n"
    )
    told = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env=environ | told,
            stderr=log,
            pass_fds=[each.fileno() for each in sockets],
            cwd=tmp_path,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def answers(port: int, path: str) -> int:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code


def environ_for(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str, **changes: str
) -> dict[str, str]:
    settings = settings_environ(simulator, "http://app.example", upstream=upstream, redis=redis_server.url, **changes)
    return gateway_environ() | settings


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one", "workers"])
def test_sockets_that_are_handed_over_are_served(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str, words: tuple[str, ...]
) -> None:
    listening = {"listen": "systemd:web", "forward_auth__listen": "systemd:checks"}
    environ = environ_for(simulator, redis_server, upstream, **listening)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        web, checks, _ = (each.getsockname()[1] for each in sockets)
        process = stack.enter_context(run_activated("web:checks:spare", sockets, tmp_path, environ, *words))
        wait_for(lambda: answers(web, "/public/x") == 200, "the app is reached")
        assert answers(checks, "/oauth2/livez") == 200
        assert answers(checks, "/public/x") == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["name"] for line in lines if line["event"] == "systemd_socket_unused"] == ["spare"]
    started = [line for line in lines if line["event"] == "started"]
    assert {(line["address"], line["checks"]) for line in started} == {(f"127.0.0.1:{web}", f"127.0.0.1:{checks}")}


def test_systemds_own_program_hands_them_over(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    port, path = free_port(), tmp_path / "socket"
    environ = environ_for(simulator, redis_server, upstream, listen="systemd", trusted_proxies='["unix"]')
    passed = [f"-E{name}={value}" for name, value in environ.items() if name.startswith("GATEWAY_")]
    command = [need("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "-l", str(path), *passed]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, sys.executable, "-m", "gateway", "run"], stderr=log, env=environ)
    try:
        wait_for(lambda: answers(port, "/public/x") == 200, "the app is reached")
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport) as client:
            assert client.get("http://app.example/public/x").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert path.exists()  # it is systemd's
    finally:
        process.kill()
        process.wait(timeout=10)


def test_what_is_not_handed_over_is_missed(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    environ = environ_for(simulator, redis_server, upstream, listen="systemd:web")
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        run_activated("other", [other], tmp_path, environ) as process,
    ):
        assert process.wait(timeout=60) == 1
    assert "listen: systemd hands over no socket called web; there are other" in (tmp_path / "log").read_text()


def test_those_of_another_process_are_not_ours() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
    assert take_sockets(environ) == []
    assert environ == {}
