"""The doors: one gateway each, before the same echoing app."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from flask import Flask, jsonify, request

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from gateway.wsgi import protect as protect_wsgi
from tests.haproxy import serve_behind_haproxy
from tests.harness import (
    Running,
    asgi_form,
    echo,
    proxy_form,
    read_settings,
    serve_app,
    slow_proxy_form,
)
from tests.nginx import serve_behind_nginx


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
def wsgi(simulator: RunningSimulator, app: Any = None, *, on_sign_in: Any = None, **changes: str) -> Generator[Running]:
    server = _ThreadedServer(("127.0.0.1", 0), _QuietHandler)
    url = f"http://127.0.0.1:{server.server_port}"
    settings = read_settings(simulator, url, **changes)
    # no underscores are sent here
    protected = protect_wsgi(app or flask_echo(), settings, underscores_dropped=True, on_sign_in=on_sign_in)
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
    """The shipped file in a real nginx, before the echoing app."""
    with serve_app(echo) as upstream, serve_behind_nginx(simulator, upstream, **changes) as running:
        yield running


@contextlib.contextmanager
def slow_nginx(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    """The same, all of whose checks take the ASGI way."""
    with serve_app(echo) as upstream, serve_behind_nginx(simulator, upstream, "slow", **changes) as running:
        yield running


@contextlib.contextmanager
def haproxy(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    """The shipped files in a real HAProxy, before the echoing app."""
    with serve_app(echo) as upstream, serve_behind_haproxy(simulator, upstream, **changes) as running:
        yield running


DOORS: dict[str, Callable[[RunningSimulator], contextlib.AbstractContextManager[Running]]] = {
    "proxy": proxy_form,
    "slow-proxy": slow_proxy_form,
    "asgi": asgi_form,
    "wsgi": wsgi,
    "nginx": nginx,
    "slow-nginx": slow_nginx,
    "haproxy": haproxy,
}


@pytest.fixture(scope="session", params=DOORS)
def door(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with DOORS[request.param](simulator) as running:
        yield running


@pytest.fixture
def is_asked_by_a_front(request: pytest.FixtureRequest) -> bool:
    return "nginx" in request.node.name or "haproxy" in request.node.name
