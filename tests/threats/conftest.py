"""A gateway on a raw socket: before an upstream that echoes, and before one that keeps what reaches it."""

from __future__ import annotations

import socket
from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.harness import WAYS, Running, asgi_form, proxy_form, slow_proxy_form
from tests.threats.guarded import Guarded, guard_app, guard_behind_nginx, guard_upstream


@pytest.fixture(scope="session")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(scope="module", params=[proxy_form, slow_proxy_form, asgi_form])
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with request.param(simulator) as running:
        yield running


@pytest.fixture(scope="module", params=[proxy_form, slow_proxy_form])
def own_server(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    """The gateway under its own server only: for what a foreign server keeps from it."""
    with request.param(simulator) as running:
        yield running


class Wire:
    """Sends exact bytes, and returns exact bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def exchange(self, request: bytes, *, timeout: float = 5) -> bytes:
        """Send one request and read until the answer is whole or the connection ends."""
        with socket.create_connection(self.address, timeout=timeout) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                if _is_whole(received):
                    break
            return received

    def status(self, request: bytes) -> int:
        """Return the status of the answer."""
        answer = self.exchange(request)
        assert answer.startswith(b"HTTP/1.1 "), answer
        return int(answer[9:12])


def _is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return body.endswith(b"0\r\n\r\n") or head[9:12] in {b"204", b"304"}


@pytest.fixture
def wire(gateway: Running) -> Wire:
    return Wire(gateway.address)


@pytest.fixture
def own_wire(own_server: Running) -> Wire:
    return Wire(own_server.address)


@pytest.fixture(scope="session")
def fast(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_upstream(simulator, "fast") as guarded:
        yield guarded


@pytest.fixture(scope="session")
def slow(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_upstream(simulator, "slow") as guarded:
        yield guarded


@pytest.fixture(scope="session")
def under_httptools(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_app(simulator, "httptools") as guarded:
        yield guarded


@pytest.fixture(scope="session")
def under_h11(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_app(simulator, "h11") as guarded:
        yield guarded


@pytest.fixture(scope="session")
def behind_nginx(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_behind_nginx(simulator) as guarded:
        yield guarded


def fresh(request: pytest.FixtureRequest) -> Guarded:
    """Return the guarded gateway that the parameter names, with nothing behind it yet."""
    guarded: Guarded = request.getfixturevalue(request.param)
    guarded.behind.reset()
    return guarded


@pytest.fixture(params=WAYS)
def proxied(request: pytest.FixtureRequest) -> Guarded:
    """The gateway under its own server, both ways, before a recorder."""
    return fresh(request)


@pytest.fixture(params=["under_httptools", "under_h11"])
def inside(request: pytest.FixtureRequest) -> Guarded:
    """The gateway inside a recording app, under the two parsers of a foreign server."""
    return fresh(request)


@pytest.fixture(params=["fast", "slow", "under_httptools", "under_h11"])
def guarded(request: pytest.FixtureRequest) -> Guarded:
    """Every one of them."""
    return fresh(request)
