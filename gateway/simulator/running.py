"""Serves the simulator over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from gateway.simulator.app import create_app
from gateway.simulator.apps import SimulatorSettings
from gateway.simulator.people import Person
from gateway.simulator.state import Simulator
from gateway.simulator.troubles import Troubles


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that serves, and its address."""

    url: str
    simulator: Simulator

    @property
    def settings(self) -> SimulatorSettings:
        """The app registered there."""
        return self.simulator.settings

    @property
    def troubles(self) -> Troubles:
        """The switches."""
        return self.simulator.troubles

    @property
    def people(self) -> Mapping[str, Person]:
        """Who may sign in."""
        return self.simulator.people

    @property
    def redemptions(self) -> int:
        """How many times a code was sent to the token endpoint."""
        return self.simulator.calls["token:authorization_code"]

    @property
    def refreshes(self) -> int:
        """How many times a refresh token was sent to the token endpoint."""
        return self.simulator.calls["token:refresh_token"]

    @property
    def authorize_url(self) -> str:
        """The authorization endpoint."""
        return f"{self.url}/v2/auth/authorize/"

    @property
    def token_url(self) -> str:
        """The token endpoint."""
        return f"{self.url}/v2/oauth/token/"

    @property
    def revoke_url(self) -> str:
        """The revocation endpoint."""
        return f"{self.url}/v2/oauth/revoke/"

    @property
    def user_info_url(self) -> str:
        """The user info endpoint."""
        return f"{self.url}/v2/user/info/"

    @property
    def get_qrcode_url(self) -> str:
        """The endpoint that gives QR codes."""
        return f"{self.url}/v2/oauth/get_qrcode/"

    @property
    def check_qrcode_url(self) -> str:
        """The endpoint that says how far a person is with one."""
        return f"{self.url}/v2/oauth/check_qrcode/"


@contextlib.contextmanager
def run_in_thread(
    settings: SimulatorSettings | None = None,
    *,
    port: int = 0,
    simulator: Simulator | None = None,
    certificate: Path | None = None,
) -> Generator[RunningSimulator]:
    """Serve on 127.0.0.1 in a thread, on a free port unless one is given; over TLS with a `certificate` and its key."""
    simulator = simulator or Simulator(settings or SimulatorSettings())
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = _build_server(simulator, certificate)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield RunningSimulator(find_url(listener, certificate), simulator)
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def serve(listener: socket.socket, simulator: Simulator, certificate: Path | None = None) -> None:
    """Serve on a listening socket until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        _build_server(simulator, certificate).run(sockets=[listener])


def find_url(listener: socket.socket, certificate: Path | None = None) -> str:
    """Return the address of what serves on a socket, as it is on this machine."""
    return f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"


def _build_server(simulator: Simulator, certificate: Path | None) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            create_app(simulator),
            log_config=None,
            access_log=False,
            lifespan="off",
            ssl_certfile=certificate,
            timeout_graceful_shutdown=1,  # a switch may have left an answer hanging
            timeout_keep_alive=75,  # seconds, as fronts do: longer than clients keep a connection, so that they end it
        )
    )
