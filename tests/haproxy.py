"""A real HAProxy: with the files that users copy, asking a gateway about an app, or with anything else."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import httpx

from gateway.simulator import RunningSimulator
from tests.harness import Running, serve_gateway
from tests.ports import free_port
from tests.programs import need

SHIPPED = Path(__file__).parents[1] / "config" / "haproxy"
"""The files that users copy."""


@contextlib.contextmanager
def run_haproxy(configuration: str, url: str) -> Generator[Path]:
    """Run HAProxy until the block ends; yields its folder, where `log` has what it says.

    `url` is an address that answers once it runs.
    """
    program = need("haproxy")
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder, "haproxy.cfg")
        main.write_text(configuration)
        with Path(folder, "log").open("wb") as log:
            words = [program, "-db", "-f", str(main)]
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_answers(url, process, Path(folder, "log"))
            yield Path(folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


@contextlib.contextmanager
def serve_behind_haproxy(simulator: RunningSimulator, upstream: str, **changes: str) -> Generator[Running]:
    """The gateway beside a HAProxy with the shipped files, before `upstream`; `folder` has HAProxy's log."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    usual = {"public_url": url, "trusted_proxies": '["127.0.0.1"]', "forward_auth__listen": "127.0.0.1:0"}
    with serve_gateway(simulator, "none", **usual | changes) as gateway:
        configuration = adapt(
            (SHIPPED / "haproxy.cfg").read_text(),
            {
                "/etc/haproxy/gateway.lua": str(SHIPPED / "gateway.lua"),
                "bind *:80 ": f"bind 127.0.0.1:{port} ",
                "abns@gateway-checks": f"abns@gateway-checks-{port}",
                "127.0.0.1:3000": upstream.removeprefix("http://"),
                "127.0.0.1:8080": gateway.url.removeprefix("http://"),
                "127.0.0.1:8081 ": gateway.checks.removeprefix("http://") + " ",
            },
        )
        with run_haproxy(configuration, url + "/oauth2/livez") as folder:
            yield Running(url, gateway.settings, simulator, gateway.generation, gateway.checks, folder)


def adapt(shipped: str, addresses: Mapping[str, str]) -> str:
    """Return a shipped file with addresses replaced, each of which must be there; it logs to standard output."""
    text = shipped
    for old, new in addresses.items():
        assert old in text, old
        text = text.replace(old, new)
    return text.replace("log /dev/log local0", "log stdout format raw local0")


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, trust_env=False)
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
