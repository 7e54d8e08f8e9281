"""A front: started with the file that users copy, of which only addresses are replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.simulator import RunningSimulator
from tests.fronts.app import App
from tests.harness import Running, serve_app, serve_gateway
from tests.ports import free_port
from tests.waiting import wait_for

CONFIG = Path(__file__).parents[2] / "config"
"""Where the files are that users copy."""


@dataclass(frozen=True)
class Front:
    """A front that runs; `running` is the gateway, by the front's address."""

    running: Running
    app: App

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")


@dataclass(frozen=True)
class Places:
    """Addresses, HOST:PORT: where a front is to listen, and whom it asks and serves."""

    front: str
    gateway: str
    checks: str
    app: str


Begin = Callable[[Places, Path], contextlib.AbstractContextManager[None]]
"""Starts a front, and ends it; it may keep files in the folder."""


@contextlib.contextmanager
def serve_behind(begin: Begin, simulator: RunningSimulator, upstream: str, **changes: str) -> Generator[Running]:
    """The gateway beside a front, which serves `upstream`."""
    front = f"127.0.0.1:{free_port()}"
    usual = {
        "public_url": f"http://{front}",
        "trusted_proxies": '["127.0.0.1"]',
        "forward_auth__listen": "127.0.0.1:0",
    }
    with serve_gateway(simulator, "none", **usual | changes) as gateway:
        found = Places(front, *(url.removeprefix("http://") for url in (gateway.url, gateway.checks, upstream)))
        with tempfile.TemporaryDirectory() as folder, begin(found, Path(folder)):
            yield Running(f"http://{front}", gateway.settings, simulator, gateway.generation, gateway.checks)


@contextlib.contextmanager
def serve_front(begin: Begin, simulator: RunningSimulator, **changes: str) -> Generator[Front]:
    """The same, before the app of the scenarios."""
    app = App()
    with serve_app(app) as upstream, serve_behind(begin, simulator, upstream, **changes) as running:
        yield Front(running, app)


@contextlib.contextmanager
def serve_unanswered(begin: Begin, simulator: RunningSimulator) -> Generator[Front]:
    """The same with a gateway that answers no check, since nobody listens there."""
    app, front, nobody = App(), f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with serve_app(app) as upstream, serve_gateway(simulator, "none", public_url=f"http://{front}") as gateway:
        places = Places(front, gateway.url.removeprefix("http://"), nobody, upstream.removeprefix("http://"))
        with tempfile.TemporaryDirectory() as folder, begin(places, Path(folder)):
            yield Front(Running(f"http://{front}", gateway.settings, simulator), app)


def replaced(text: str, changes: Iterable[tuple[str, str]]) -> str:
    """Return a file's text with addresses replaced; each must be there, once."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def run_front(command: list[str], url: str, *, environ: dict[str, str] | None = None) -> Generator[Path]:
    """Run a program in the foreground until the block ends; yields the file of what it says.

    `url` is an address that answers 200 once it runs.
    """
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **(environ or {})}, stdout=log, stderr=log)
        try:
            _wait_until_it_answers(url, process, Path(log.name))
            yield Path(log.name)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return httpx.get(url, trust_env=False).status_code == 200

    wait_for(answers, "the front answers")
