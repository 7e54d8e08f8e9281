"""Clients that take their time, or too many connections: each is ended, and nobody else notices."""

from __future__ import annotations

import socket
import time
from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import Running, serve_app, serve_gateway, serve_gateway_slowly

LIMITS = {
    "limits__head_timeout": "500ms",
    "limits__body_timeout": "500ms",
    "limits__body_rate": "2",
    "limits__send_timeout": "500ms",
    "limits__keep_alive": "2s",
    "limits__connections_per_address": "20",
}
HEAD = b"GET /public/x HTTP/1.1\r\nHost: app.example\r\n"


async def app(scope: object, receive: object, send: object) -> None:
    """Answer /public/large with 64 MiB, and anything else once its body has been read."""
    assert isinstance(scope, dict)
    assert callable(receive)
    assert callable(send)
    if scope["type"] != "http":
        return
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False) and message["type"] != "http.disconnect"
    large = scope["path"] == "/public/large"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")] * (not large)})
    for _ in range(1024 if large else 0):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if large else b"ok"})


@pytest.fixture(scope="module", params=["fast", "slow"])
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    serve = serve_gateway if request.param == "fast" else serve_gateway_slowly
    with serve_app(app) as upstream, serve(simulator, upstream, **LIMITS) as running:
        yield running


def until_closed(connection: socket.socket, trickle: bytes = b"") -> bytes:
    """Return what is received until the other end closes; sends `trickle` a few times a second meanwhile."""
    connection.settimeout(0.2)
    received = b""
    give_up_at = time.monotonic() + 15
    while time.monotonic() < give_up_at:
        try:
            if trickle:
                connection.sendall(trickle)
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return received
        if not data:
            return received
        received += data
    raise AssertionError(f"still open after 15 s, having said {len(received)} bytes, first {received[:200]!r}")


def connect(gateway: Running) -> socket.socket:
    return socket.create_connection(gateway.address, timeout=5)


def test_a_client_that_sends_nothing(gateway: Running) -> None:
    with connect(gateway) as connection:
        assert until_closed(connection) == b""


def test_a_head_that_trickles_in(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(HEAD)
        assert until_closed(connection, b"X-A: b\r\n").startswith(b"HTTP/1.1 408 ")


def test_a_head_that_trickles_in_after_a_request(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /pub")
        assert until_closed(connection, b"x").startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stands_still(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(b"POST /public/x HTTP/1.1\r\nHost: app.example\r\nContent-Length: 10\r\n\r\n12345")
        assert until_closed(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_is_slow_but_moves(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(b"POST /public/x HTTP/1.1\r\nHost: app.example\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            time.sleep(0.25)
            connection.sendall(b"1")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_reader_that_takes_nothing(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(HEAD.replace(b"/x", b"/large") + b"\r\n")
        time.sleep(4)  # two looks at the clock and more
        assert len(until_closed(connection)) < 32 * 1024 * 1024


def test_a_reader_that_is_slow_but_takes_something(gateway: Running) -> None:
    with connect(gateway) as connection:
        connection.sendall(HEAD.replace(b"/x", b"/large") + b"Connection: close\r\n\r\n")
        received = 0
        for _ in range(16):
            time.sleep(0.2)
            received += len(connection.recv(4 * 1024 * 1024))
        connection.settimeout(5)
        while data := connection.recv(4 * 1024 * 1024):
            received += len(data)
        assert received > 64 * 1024 * 1024


def test_a_connection_without_requests_is_kept_for_a_while(gateway: Running) -> None:
    with connect(gateway) as connection:
        for _ in range(2):
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            time.sleep(1.2)  # beyond the time for a head
        assert until_closed(connection) == b""


def test_an_address_has_so_many_connections_and_no_more(gateway: Running) -> None:
    time.sleep(2.5)  # what other tests left behind has ended
    connections = [connect(gateway) for _ in range(25)]
    try:
        refused = 0
        for connection in connections:
            try:
                connection.sendall(HEAD + b"\r\n")
                refused += connection.recv(65536) == b""
            except (ConnectionResetError, BrokenPipeError):
                refused += 1
        assert refused == 5
    finally:
        for connection in connections:
            connection.close()
    assert httpx.get(gateway.url + "/public/x", trust_env=False).status_code == 200
