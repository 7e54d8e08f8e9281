"""TLS over real sockets: what is above it sees the connection below, byte for byte and end for end."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.certificates import Issued, issue
from tests.harness import Running, serve_app
from tests.listening import TlsTalk, serve_listening
from tests.talk import Talk, ask, compose, post

BIG = bytes(range(256)) * 4096 * 8  # 8 MiB


async def big_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the digest of what came, or with much."""
    if scope["type"] != "http":
        return
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    body = BIG if scope["path"].endswith("/big") else digest.hexdigest().encode()
    fields = [(b"content-length", str(len(body)).encode())]
    if scope["path"].endswith("/chunks"):
        fields = []
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def upstream() -> Generator[str]:
    with serve_app(big_app) as url:
        yield url


@pytest.fixture(scope="module")
def issued() -> Issued:
    return issue("127.0.0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module", params=["fast", "slow"])
def running(
    request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str, issued: Issued, folder: Path
) -> Generator[Running]:
    with serve_listening(simulator, upstream, None, issued.write(folder), request.param) as running:
        yield running


def test_big_bodies_both_ways(running: Running, issued: Issued) -> None:
    context = ssl.create_default_context(cadata=issued.pem.decode())
    with httpx.Client(verify=context, trust_env=False, timeout=30) as client:
        for _ in range(2):
            assert client.post(running.url + "/public/x", content=BIG).text == hashlib.sha256(BIG).hexdigest()
            assert client.post(running.url + "/public/x", content=iter([BIG[:100], BIG[100:]])).text == (
                hashlib.sha256(BIG).hexdigest()
            )
            assert client.get(running.url + "/public/big").content == BIG


def test_records_and_requests_in_any_pieces(running: Running, issued: Issued) -> None:
    request = post(b"x" * 300)
    with TlsTalk(running.address, issued) as talk:
        for cut in (1, 20, len(request) - 1):
            answer = talk.say(request[:cut], request[cut:], pause=0.01).answer()  # records of their own
            assert answer is not None
            assert answer.body == hashlib.sha256(b"x" * 300).hexdigest().encode()
        answers = [talk.say(request * 3).answer() for _ in range(1)] + [talk.answer(), talk.answer()]
        assert [answer.status for answer in answers if answer is not None] == [200] * 3


def test_a_slow_client_gets_all_of_an_answer_that_ends_its_connection(running: Running, issued: Issued) -> None:
    with TlsTalk(running.address, issued, room=4096) as talk:
        talk.say(compose(b"/public/big", b"Host: x\r\nConnection: close\r\n"))
        answer = talk.answer()
        assert answer is not None
        assert answer.whole
        assert answer.body == BIG
        assert talk.ends()  # with a goodbye: ragged ends are errors here


def test_a_refusal_reaches_who_is_still_sending(running: Running, issued: Issued) -> None:
    with TlsTalk(running.address, issued) as talk:
        talk.say(b"GET /public/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BIG)
        answer = talk.answer()
        assert answer is not None
        assert answer.status == 400
        assert talk.ends()


def test_a_client_that_says_goodbye_is_let_go(running: Running, issued: Issued) -> None:
    raw = socket.create_connection(running.address, timeout=10)
    context = ssl.create_default_context(cadata=issued.pem.decode())
    connection = context.wrap_socket(raw, server_hostname="127.0.0.1")
    with connection, connection.unwrap() as plain:  # returns once the goodbye was answered
        assert plain.recv(1) == b""


def test_the_end_of_the_process_waits_for_nobody_at_rest(
    simulator: RunningSimulator, upstream: str, issued: Issued, folder: Path
) -> None:
    patient = {"limits__head_timeout": "60s", "drain__timeout": "60s"}
    with contextlib.ExitStack() as clients:
        with serve_listening(simulator, upstream, None, issued.write(folder), **patient) as running:
            talk = clients.enter_context(TlsTalk(running.address, issued))
            assert talk.say(compose(b"/public/x", b"Host: x\r\n")).answer() is not None
            clients.enter_context(Talk(running.address)).say(b"\x16\x03\x01")
        # it has ended by here, though neither client has read its goodbye: `serve_in_thread` waits 10 s at most
        assert talk.ends()


def test_a_handshake_that_does_not_end_is_ended(
    simulator: RunningSimulator, upstream: str, issued: Issued, folder: Path
) -> None:
    with (
        serve_listening(simulator, upstream, None, issued.write(folder), limits__head_timeout="1s") as running,
        Talk(running.address) as silent,
        Talk(running.address) as begun,
        TlsTalk(running.address, issued) as done,
    ):
        begun.say(b"\x16\x03\x01\x02\x00\x01")
        assert silent.ends()
        assert begun.ends()
        assert done.ends()  # a handshake is no request


def test_handshakes_count_for_their_address(
    simulator: RunningSimulator, upstream: str, issued: Issued, folder: Path
) -> None:
    limits = {"limits__connections_per_address": "2"}
    with serve_listening(simulator, upstream, None, issued.write(folder), **limits) as running:
        with Talk(running.address), TlsTalk(running.address, issued) as talk:
            assert ask(running.address, b"") is None
            answer = talk.say(compose(b"/public/x", b"Host: x\r\n")).answer()
            assert answer is not None
        with TlsTalk(running.address, issued), TlsTalk(running.address, issued):  # both are given back
            pass
