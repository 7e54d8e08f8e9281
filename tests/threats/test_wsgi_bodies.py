"""Bodies that never come, in the WSGI form: they keep nobody waiting but the thread that was given them."""

from __future__ import annotations

import select
import socket
from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import Browser, Running
from tests.talk import Talk, compose

MANY = 40  # more than asyncio has threads for blocking calls (32)
FORM = (
    b"Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
)


@pytest.fixture(scope="module")
def running(simulator: RunningSimulator) -> Generator[Running]:
    routes = "[{path: /form, keep_post: true}, {path: /**}]"
    with wsgi(simulator, routes=routes) as running:
        yield running


def begin(running: Running, target: bytes, fields: bytes = b"") -> socket.socket:
    """Send the head of a POST, and nothing after it."""
    connection = socket.create_connection(running.address, timeout=10)
    host = b"Host: %s\r\nContent-Length: 10\r\n" % running.url.removeprefix("http://").encode()
    connection.sendall(compose(target, host + fields, method=b"POST"))
    return connection


def test_a_page_without_a_body_does_not_wait_for_one(running: Running) -> None:
    fields = b"Host: app.example\r\nContent-Length: 10\r\n"
    with Talk(running.address, framed=False) as talk:
        answer = talk.say(compose(b"/oauth2/livez", fields).replace(b"HTTP/1.1", b"HTTP/1.0")).rest()
    assert b" 200 " in answer[:16]


@pytest.mark.parametrize(
    ("target", "fields"),
    [(b"/oauth2/sign_out", b"Sec-Fetch-Site: same-origin\r\n"), (b"/form", FORM)],
    ids=["own page", "kept form"],
)
def test_everybody_else_is_answered_meanwhile(running: Running, target: bytes, fields: bytes) -> None:
    with Browser(running.url) as browser:
        browser.sign_in("/private/x")
        waiting = [begin(running, target, fields) for _ in range(MANY)]
        try:
            for _ in range(3):
                assert httpx.get(running.url + "/oauth2/livez", timeout=10, trust_env=False).status_code == 200
                assert browser.fetch("/private/x").status_code == 200
            assert not select.select(waiting, [], [], 0)[0]  # they all still wait, each for its own body
        finally:
            for connection in waiting:
                connection.close()


def test_a_body_that_breaks_off_is_refused(running: Running) -> None:
    with begin(running, b"/oauth2/sign_out", b"Sec-Fetch-Site: same-origin\r\n") as connection:
        connection.sendall(b"every")
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(4096)[:16]
