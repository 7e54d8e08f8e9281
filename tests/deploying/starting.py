"""A whole deployment as processes: what a container or a unit would start, with only its addresses changed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import httpx

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from tests.waiting import wait_for

CONFIG = Path(__file__).parents[2] / "config"


def write_secrets(folder: Path, names: Sequence[str], simulator: RunningSimulator | None = None) -> Path:
    """Write a file for each secret, as the files' comments say to make them; returns their folder."""
    client_secret = simulator.settings.client_secret if simulator is not None else "s3cr3t"
    made = {"secret_key": new_secret_key(), "tiktok_client_secret": client_secret, "redis_password": "0f" * 32}
    folder.mkdir(mode=0o700)
    for name in names:
        (folder / name).write_text(made[name] + "\n")
    return folder


def clean_environ(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the caller's settings, and with `changes`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")} | dict(changes)


def tiktok_environ(simulator: RunningSimulator) -> dict[str, str]:
    """Return the variables that lead to the simulator in TikTok's place."""
    return {
        "TIKTOK_CLIENT_KEY": simulator.settings.client_key,
        "GATEWAY__TIKTOK__AUTHORIZE_URL": simulator.authorize_url,
        "GATEWAY__TIKTOK__TOKEN_URL": simulator.token_url,
        "GATEWAY__TIKTOK__REVOKE_URL": simulator.revoke_url,
        "GATEWAY__TIKTOK__USER_INFO_URL": simulator.user_info_url,
    }


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, environ: Mapping[str, str], cwd: Path
) -> Generator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; what it says goes to `log`."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=clean_environ(environ), stdout=said, stderr=said, cwd=cwd)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        process.kill()
        process.wait()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a 200 of a program that goes on living."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return httpx.get(url, trust_env=False).status_code == 200

    wait_for(answers, f"{url} answers")


def as_here(words: Sequence[str]) -> list[str]:
    """Return the image's command, run by this Python: `python …` and `gateway …`."""
    match list(words):
        case ["python", *rest]:
            return [sys.executable, *rest]
        case ["gateway", *rest]:
            return [sys.executable, "-m", "gateway", *rest]
        case other:
            raise AssertionError(f"{other[:1]} is not in the image")
