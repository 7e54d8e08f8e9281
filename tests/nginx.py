"""A real nginx: with the file that users copy, asking a gateway about an app, or with anything else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

import httpx

from gateway.simulator import RunningSimulator
from tests.fronts.starting import replaced
from tests.harness import WAYS, Running
from tests.ports import free_port
from tests.programs import need, need_module
from tests.waiting import wait_for

SHIPPED = Path(__file__).parents[1] / "config" / "nginx" / "gateway.conf"
"""The file that users copy."""


@contextlib.contextmanager
def run_nginx(http: str, url: str, *, modules: Sequence[str] = (), stream: str = "") -> Generator[Path]:
    """Run nginx with the contents of an `http` block, and of a `stream` block, until the block ends; yields its folder.

    In `http`, @{folder} stands for that folder. `url` is an address that answers once it runs. `modules` are Debian's.
    """
    program = need("nginx")
    loaded = "".join(f"load_module {need_module(each)};\n" for each in modules)
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder, "nginx.conf")
        temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in temporary)
        user = "user root;" if os.geteuid() == 0 else ""
        passing = f"stream {{ {stream} }}\n" if stream else ""
        main.write_text(
            f"{loaded}{user} daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{http.replace('@{folder}', folder)}\n}}\n{passing}"
        )
        process = subprocess.Popen([program, "-e", f"{folder}/error.log", "-c", str(main), "-p", folder])
        try:
            _wait_until_it_answers(url, process)
            yield Path(folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


@contextlib.contextmanager
def serve_behind_nginx(
    simulator: RunningSimulator, upstream: str, way: str = "fast", **changes: str
) -> Generator[Running]:
    """The gateway beside an nginx with the shipped file, before `upstream`; `folder` has nginx's logs.

    Its checks are answered in one of `WAYS`.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    usual = {"public_url": url, "trusted_proxies": '["127.0.0.1"]', "forward_auth__listen": "127.0.0.1:0"}
    with (
        WAYS[way](simulator, "none", **usual | changes) as gateway,
        run_nginx(_read_shipped(gateway, upstream, port), url + "/oauth2/livez") as folder,
    ):
        yield Running(url, gateway.settings, simulator, gateway.generation, gateway.checks, folder)


def _read_shipped(gateway: Running, upstream: str, port: int) -> str:
    changes = (
        ("server 127.0.0.1:8080;", f"server {gateway.url.removeprefix('http://')};"),
        ("server 127.0.0.1:8081;", f"server {gateway.checks.removeprefix('http://')};"),
        ("server 127.0.0.1:3000;", f"server {upstream.removeprefix('http://')};"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("server_name app.example.com;", "server_name 127.0.0.1;"),
        ("/var/log/nginx/", "@{folder}/"),
    )
    return replaced(SHIPPED.read_text(), changes)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    def answers() -> httpx.Response:
        assert process.poll() is None, "nginx ended"
        return httpx.get(url, trust_env=False)

    wait_for(lambda: answers() is not None, "nginx answers")
