"""The doors: one gateway each, before the same echoing app."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import httpx
import pytest
from flask import Flask, jsonify, request

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from gateway.wsgi import protect as protect_wsgi
from tests.harness import (
    Running,
    asgi_form,
    echo,
    listener,
    proxy_form,
    read_settings,
    serve_app,
    serve_gateway,
    slow_proxy_form,
)
from tests.programs import need

NGINX_CONFIG = Path(__file__).parents[2] / "config" / "nginx" / "gateway.conf"


@pytest.fixture(scope="session")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


def flask_echo() -> Flask:
    app = Flask(__name__)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "OPTIONS"])
    @app.route("/<path:path>", methods=["GET", "POST", "OPTIONS"])
    def answer(path: str) -> Any:
        response = jsonify(
            method=request.method,
            path=request.environ["PATH_INFO"],
            query=request.environ.get("QUERY_STRING", ""),
            headers=[[name.lower(), value] for name, value in request.headers.items()],
            body=request.get_data(as_text=True),
            user=request.environ.get("REMOTE_USER"),
        )
        if path.endswith("cookies"):
            for cookie in ("app=1", "app2=2", "gateway=stolen", "gateway-sign-in=stolen"):
                response.headers.add("Set-Cookie", f"{cookie}; Path=/")
        return response

    return app


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["REQUEST_URI"] = self.path
        return environ


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextlib.contextmanager
def wsgi(simulator: RunningSimulator, app: Flask | None = None, **changes: str) -> Generator[Running]:
    server = _ThreadedServer(("127.0.0.1", 0), _QuietHandler)
    url = f"http://127.0.0.1:{server.server_port}"
    settings = read_settings(simulator, url, **changes)
    protected = protect_wsgi(app or flask_echo(), settings)
    server.set_app(protected)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Running(url, settings, simulator)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
        protected.close()


@contextlib.contextmanager
def nginx(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    program = need("nginx")
    with listener() as reserved:
        port = reserved.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        serve_app(echo) as upstream,
        serve_gateway(simulator, "none", public_url=url, trusted_proxies='["127.0.0.1"]', **changes) as gateway,
        tempfile.TemporaryDirectory() as folder,
    ):
        text = NGINX_CONFIG.read_text()
        for old, new in (
            ("127.0.0.1:8080", gateway.url.removeprefix("http://")),
            ("127.0.0.1:3000", upstream.removeprefix("http://")),
            ("listen 80;", f"listen 127.0.0.1:{port};"),
            ("server_name app.example.com;", "server_name 127.0.0.1;"),
        ):
            assert old in text
            text = text.replace(old, new)
        main = Path(folder, "nginx.conf")
        paths = "\n".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        main.write_text(
            f"{user} daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{text}\n}}\n"
        )
        process = subprocess.Popen([program, "-e", f"{folder}/error.log", "-c", str(main), "-p", folder])
        try:
            _wait_until_it_answers(url, process)
            yield Running(url, gateway.settings, simulator, gateway.generation)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert process.poll() is None, "nginx ended"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url + "/oauth2/livez", trust_env=False)
            return
        time.sleep(0.05)
    raise AssertionError("nginx does not answer")


DOORS: dict[str, Callable[[RunningSimulator], contextlib.AbstractContextManager[Running]]] = {
    "proxy": proxy_form,
    "slow-proxy": slow_proxy_form,
    "asgi": asgi_form,
    "wsgi": wsgi,
    "nginx": nginx,
}


@pytest.fixture(scope="session", params=DOORS)
def door(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with DOORS[request.param](simulator) as running:
        yield running


@pytest.fixture
def is_nginx(request: pytest.FixtureRequest) -> bool:
    return "nginx" in request.node.name
