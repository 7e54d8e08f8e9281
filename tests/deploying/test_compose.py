"""Docker Compose: its own reader takes the file, the settings are right within containers, and the services start."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.settings import Settings, load
from gateway.settings.scalars import read_duration
from gateway.simulator import RunningSimulator
from tests.commands import invoke
from tests.deploying.starting import (
    CONFIG,
    as_here,
    clean_environ,
    running,
    tiktok_environ,
    wait_until_it_answers,
    write_secrets,
)
from tests.fronts.starting import replaced
from tests.harness import Browser
from tests.ports import free_port
from tests.programs import need
from tests.waiting import wait_for

FOLDER = CONFIG / "compose"
SETTINGS = (FOLDER / "gateway.yaml").read_text()
ENVIRON = {"PUBLIC_URL": "https://app.example.com", "TIKTOK_CLIENT_KEY": "k", "EDGE_HOST": "192.168.231.1"}


def read_services() -> dict[str, Any]:
    """Return the services of the file as it stands."""
    services: dict[str, Any] = YAML(typ="safe", pure=True).load((FOLDER / "compose.yaml").read_text())["services"]
    return services


def read_settings(tmp_path: Path) -> Settings:
    """Return the gateway's settings, its secrets in a folder of the test's."""
    secrets = write_secrets(tmp_path / "secrets", read_services()["gateway"]["secrets"])
    path = tmp_path / "gateway.yaml"
    path.write_text(SETTINGS.replace("/run/secrets", str(secrets)))
    return load(path, ENVIRON)


def read_by_compose(folder: Path, *besides: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Have Compose itself read the file, with these variables: Debian's, which knows all of it but the `name`."""
    program = need("docker-compose")
    text = (FOLDER / "compose.yaml").read_text()
    (folder / "compose.yaml").write_text(re.sub(r"^name: .*\n", "", text, flags=re.MULTILINE))
    files = [word for path in (folder / "compose.yaml", *besides) for word in ("-f", str(path))]
    command = [program, *files, "config"]
    return subprocess.run(command, env=clean_environ(environ), capture_output=True, text=True, timeout=60, check=False)


def test_compose_takes_the_file(tmp_path: Path) -> None:
    done = read_by_compose(tmp_path, **ENVIRON)
    assert done.returncode == 0, done.stderr
    model = YAML(typ="safe", pure=True).load(done.stdout)
    gateway = model["services"]["gateway"]
    assert gateway["environment"] == ENVIRON
    assert gateway["ports"] == ["127.0.0.1:8080:8080/tcp"]
    assert [name for name, each in model["services"].items() if each.get("ports")] == ["gateway"]
    assert {name for name, each in model["networks"].items() if each.get("internal")} == {"app", "store"}


def test_the_simulator_takes_tiktoks_place(tmp_path: Path) -> None:
    """The settings are those that the simulator serves, by a name on the gateway's network; and it starts so."""
    here = tmp_path / "simulator.yaml"
    text = (FOLDER / "simulator.yaml").read_text()
    here.write_text(f'version: "3.9"\n{text}')  # which Debian's Compose wants to hear
    environ = {**ENVIRON, "PUBLIC_URL": "http://localhost:8080"}
    done = read_by_compose(tmp_path, here, **environ)
    assert done.returncode == 0, done.stderr
    services = YAML(typ="safe", pure=True).load(done.stdout)["services"]
    told = services["gateway"]["environment"]
    assert told["GATEWAY__TIKTOK__TOKEN_URL"] == "http://simulator:9000/v2/oauth/token/"
    path = tmp_path / "gateway.yaml"
    secrets = write_secrets(tmp_path / "secrets", read_services()["gateway"]["secrets"])
    path.write_text(SETTINGS.replace("/run/secrets", str(secrets)))
    settings = load(path, {name: value for name, value in told.items() if value is not None})
    assert settings.tiktok.authorize_url == "http://localhost:9000/v2/auth/authorize/"
    simulator = services["simulator"]
    assert (simulator["read_only"], simulator["cap_drop"]) == (True, ["ALL"])
    assert set(simulator["networks"]) & set(services["gateway"]["networks"])
    command = [word.replace("0.0.0.0", "127.0.0.1") for word in simulator["command"]]
    with running(
        [sys.executable, "-m", "gateway", *command, f"--port={(port := free_port())}"],
        tmp_path / "log",
        environ={},
        cwd=tmp_path,
    ) as process:
        wait_until_it_answers(f"http://127.0.0.1:{port}/simulator/calls", process, tmp_path / "log")
        assert "client key     k\n" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "TIKTOK_CLIENT_KEY"])
def test_compose_says_what_the_env_file_lacks(missing: str, tmp_path: Path) -> None:
    done = read_by_compose(tmp_path, **{**ENVIRON, missing: ""})
    assert done.returncode != 0
    assert f"{missing}" in done.stderr
    assert "set it in .env" in done.stderr


def test_the_env_file_has_every_variable_with_its_default() -> None:
    text = (FOLDER / ".env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    used = re.findall(r"\$\{([A-Z_]+)(?::-([^}]*))?[^}]*\}", (FOLDER / "compose.yaml").read_text())
    assert set(named) == {name for name, _ in used}
    for name, default in used:
        assert default in {"", named[name], named[name].partition(":")[0]}


def test_the_settings_are_fine_and_only_what_is_meant_is_warned_of(tmp_path: Path) -> None:
    read_settings(tmp_path)
    done = invoke("check", "-c", str(tmp_path / "gateway.yaml"), "--json", environ=ENVIRON)
    assert done.returncode == 0, done.stdout + done.stderr
    warned = [each["key"] for each in json.loads(done.stdout)["warnings"]]
    assert warned == ["redis", "admin.listen"]  # on networks of their own, both


def test_the_gateway_finds_what_its_settings_name(tmp_path: Path) -> None:
    gateway, settings = read_services()["gateway"], read_settings(tmp_path)
    assert set(re.findall(r"/run/secrets/(\w+)", SETTINGS)) == set(gateway["secrets"])
    assert set(re.findall(r"\$\{([A-Z_]+)\}", SETTINGS)) == set(gateway["environment"])
    assert gateway["ports"][0].endswith(f":{settings.listen[0].address.port}")
    assert settings.apps["default"].url == ("http://app:3000",)
    assert settings.redis.address == "redis://redis:6379/0"


def test_a_container_is_given_the_time_that_the_drain_takes(tmp_path: Path) -> None:
    drain = read_settings(tmp_path).drain
    grace = read_duration(read_services()["gateway"]["stop_grace_period"])
    assert grace >= drain.delay + drain.timeout + timedelta(seconds=5)


@pytest.mark.parametrize("name", ["gateway", "app", "redis"])
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = read_services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" in service
    assert "privileged" not in service


def test_only_the_gateway_reaches_the_app_and_the_store() -> None:
    networks = {name: set(service["networks"]) for name, service in read_services().items()}
    assert networks == {"gateway": {"edge", "app", "store"}, "app": {"app"}, "redis": {"store"}}


def test_the_services_start_and_somebody_signs_in(tmp_path: Path, simulator: RunningSimulator) -> None:
    public, admin, redis, app = (free_port() for _ in range(4))
    services = read_services()
    secrets = write_secrets(tmp_path / "secrets", services["gateway"]["secrets"], simulator)
    path = tmp_path / "gateway.yaml"
    at = [
        ("http://app:3000", f"http://127.0.0.1:{app}"),
        ("redis://redis:6379/0", f"redis://127.0.0.1:{redis}/0"),
        ("0.0.0.0:8080", f"127.0.0.1:{public}"),
        ("0.0.0.0:9090", f"127.0.0.1:{admin}"),
    ]
    path.write_text(replaced(SETTINGS, at).replace("/run/secrets", str(secrets)))
    url = f"http://127.0.0.1:{public}"
    environ = ENVIRON | tiktok_environ(simulator) | {"PUBLIC_URL": url, "EDGE_HOST": "127.0.0.1"}
    with contextlib.ExitStack() as stack:

        def start(name: str, words: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
            log = tmp_path / f"{name}.log"
            return stack.enter_context(running(words, log, environ=environ, cwd=tmp_path)), log

        start("redis", build_redis(services["redis"]["command"], tmp_path, secrets, redis))
        entry = [{"0.0.0.0": "127.0.0.1", "3000": str(app)}.get(word, word) for word in services["app"]["entrypoint"]]
        wait_until_it_answers(f"http://127.0.0.1:{app}/", *start("app", as_here(entry)))
        gateway, log = start("gateway", [sys.executable, "-m", "gateway", "run", "-c", str(path)])
        wait_until_it_answers(f"http://127.0.0.1:{admin}/readyz", gateway, log)

        with Browser(url) as browser:
            assert "Hello" in browser.sign_in("/").text
        health = [*as_here(services["gateway"]["healthcheck"]["test"][1:]), "-c", str(path)]
        assert subprocess.run(health, env=clean_environ(environ), timeout=30, check=False).returncode == 0
        assert list((tmp_path / "data").iterdir()), "Redis keeps nothing"
        assert ask_redis(redis, "PING") == "NOAUTH"
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(timeout=30) == 0


def build_redis(words: list[str], folder: Path, secrets: Path, port: int) -> list[str]:
    """Return the container's command, with Debian's redis-server and in the test's folder."""
    (folder / "data").mkdir()
    at = [
        ("redis-server - ", f"{need('redis-server')} - --bind 127.0.0.1 --port {port} "),
        ("/run/secrets", str(secrets)),
        ("/data", str(folder / "data")),
        ("$$", "$"),
    ]
    assert words[:2] == ["sh", "-ec"]
    return [*words[:2], replaced(words[2], at)]


def ask_redis(port: int, word: str) -> str:
    """Return the first word of the answer to somebody without the password."""

    def ask() -> Iterator[str]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"{word}\r\n".encode())
            yield connection.recv(200).decode().lstrip("+-").split()[0]

    wait_for(lambda: next(ask()), "Redis answers")
    return next(ask())
