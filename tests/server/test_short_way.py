"""The short way, byte by byte: what it remembers, and for how long; bodies; and what comes behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.session import build_session_key
from gateway.errors import MalformedRequest, StoreUnavailable
from tests.server.conftest import Dry, DryTransport

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def signed_in(dry: Dry, target: bytes = b"/x", *, method: bytes = b"GET", extra: bytes = b"") -> bytes:
    cookie = b"Cookie: __Host-gateway=" + dry.session_id.encode()
    return method + b" " + target + b" HTTP/1.1\r\nHost: app.example\r\n" + cookie + b"\r\n" + extra + b"\r\n"


async def until_written(transport: DryTransport) -> bytes:
    for _ in range(200):
        if transport.written:
            return transport.take()
        await asyncio.sleep(0)
    raise AssertionError("nothing was written")


async def test_the_second_request_is_forwarded_within_the_same_call(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(signed_in(dry))
    assert b"x-tiktok-open-id: -000me\r\n" in await until_written(towards_upstream)
    upstream.data_received(OK)
    assert towards_client.take().endswith(b"\r\n\r\nok")
    client.data_received(signed_in(dry, b"/other?a=b"))
    forwarded = towards_upstream.take()
    assert forwarded.startswith(b"GET /other?a=b HTTP/1.1\r\nhost: app.example\r\nx-request-id: ")
    assert b"x-tiktok-open-id: -000me\r\n" in forwarded
    upstream.data_received(OK)
    assert towards_client.take().startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_session_that_ends_is_not_answered_from_what_was_known(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(signed_in(dry))
    await until_written(towards_upstream)
    upstream.data_received(OK)
    towards_client.take()
    key = build_session_key(dry.session_id.encode())
    assert key is not None
    await dry.generation.records.store.delete(key)
    client.data_received(signed_in(dry))
    assert (await until_written(towards_client)).startswith(b"HTTP/1.1 401 ")
    assert not towards_upstream.written


async def test_what_has_grown_old_is_asked_for_again(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    asked: list[int] = []  # keys
    ask = dry.generation.records.store.ask

    def count(keys: Sequence[str], told: Any) -> None:
        asked.append(len(keys))
        ask(keys, told)

    monkeypatch.setattr(dry.generation.records.store, "ask", count)
    for moment, since in ((0.0, [1, 1]), (1.0, []), (1e9, [2]), (1e9 + 1, [])):  # of a stranger, one after the other
        monkeypatch.setattr("gateway.server.short.permit.monotonic", lambda moment=moment: moment)
        client.data_received(signed_in(dry))
        assert b"x-tiktok-open-id: -000me\r\n" in await until_written(towards_upstream)
        upstream.data_received(OK)
        assert b"200 OK" in towards_client.take()
        assert asked == since
        asked.clear()


async def test_a_store_that_is_away_is_a_503_and_signs_nobody_out(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(signed_in(dry))
    await until_written(towards_upstream)
    upstream.data_received(OK)
    towards_client.take()
    monkeypatch.setattr("gateway.server.short.permit.monotonic", lambda: 1e9)
    monkeypatch.setattr(dry.generation.records.store, "ask", lambda _, told: told(StoreUnavailable("away")))
    client.data_received(signed_in(dry))
    answer = await until_written(towards_client)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in answer
    assert b"set-cookie" not in answer
    assert not towards_upstream.written


@pytest.mark.parametrize("size", [1, 70_000, 300_000])
async def test_a_request_that_comes_right_behind_a_body_is_a_request_of_its_own(dry: Dry, size: int) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    body = bytes(range(256)) * (size // 256 + 1)
    head = b"POST /public/up HTTP/1.1\r\nHost: app.example\r\nContent-Length: %d\r\n\r\n" % size
    following = b"GET /public/next HTTP/1.1\r\nHost: app.example\r\n\r\n"
    sent = head + body[:size] + following
    for at in range(0, len(sent), 20_000):
        client.data_received(sent[at : at + 20_000])
    forwarded = towards_upstream.take()
    assert forwarded.partition(b"\r\n\r\n")[2] == body[:size]
    assert b"/public/next" not in forwarded[: forwarded.index(b"\r\n\r\n")]
    upstream.data_received(OK)
    assert towards_client.take().endswith(b"ok")
    assert (await until_written(towards_upstream)).startswith(b"GET /public/next HTTP/1.1\r\n")
    upstream.data_received(OK)
    assert (await until_written(towards_client)).endswith(b"ok")


async def test_a_small_request_behind_a_large_one_takes_the_short_way_again(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    size = 100_000
    client.data_received(b"PUT /public/up HTTP/1.1\r\nHost: app.example\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(5):
        client.data_received(b"x" * (size // 5))
    assert towards_upstream.take().endswith(b"x" * size)
    upstream.data_received(OK)
    assert b"connection: close" not in towards_client.take()
    client.data_received(b"GET /public/x HTTP/1.1\r\nHost: app.example\r\n\r\n")
    assert towards_upstream.take().startswith(b"GET /public/x ")


async def test_an_answer_before_the_request_has_ended_ends_the_connection(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(b"POST /public/up HTTP/1.1\r\nHost: app.example\r\nContent-Length: 1000000\r\n\r\n")
    client.data_received(b"x" * 100_000)
    assert towards_upstream.take()
    upstream.data_received(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
    answer = towards_client.take()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close\r\n" in answer
    client.data_received(b"x" * 900_000 + b"GET /public/next HTTP/1.1\r\nHost: app.example\r\n\r\n")
    assert not towards_upstream.written
    assert not towards_client.written


async def test_of_a_body_that_is_announced_too_large_the_upstream_hears_nothing(dry: Dry) -> None:
    client, towards_client = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    client.data_received(b"POST /small/x HTTP/1.1\r\nHost: app.example\r\nContent-Length: 1000000\r\n\r\n12345")
    assert (await until_written(towards_client)).startswith(b"HTTP/1.1 413 ")
    assert not towards_upstream.written


async def test_two_requests_in_one_read_are_answered_in_order(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    one = b"GET /public/%d HTTP/1.1\r\nHost: app.example\r\n\r\n"
    client.data_received(one % 1 + one % 2)
    for number in (1, 2):
        assert (await until_written(towards_upstream)).startswith(b"GET /public/%d " % number)
        upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert (await until_written(towards_client)).endswith(b"\r\n\r\n%d" % number)


def read_body(answer: bytes) -> bytes:
    """Return the body of an answer; of a chunked one, its pieces together."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return body
    assert body.endswith(b"0\r\n\r\n")
    return b"".join(body.split(b"\r\n")[1:-3:2])


@pytest.mark.parametrize(
    ("method", "answer", "body"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"GET", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (b"DELETE", OK, b"ok"),
    ],
)
async def test_answers_of_every_kind(dry: Dry, method: bytes, answer: bytes, body: bytes) -> None:
    for pieces in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
        client, towards_client = dry.connect()
        upstream, towards_upstream = dry.connect_upstream()
        for _ in range(2):  # the second time, all is known
            client.data_received(method + b" /public/x HTTP/1.1\r\nHost: app.example\r\n\r\n")
            assert towards_upstream.take().startswith(method + b" /public/x ")
            for piece in pieces:
                upstream.data_received(piece)
            given = towards_client.take()
            assert read_body(given) == body
            assert b"link:" not in given
            assert upstream.alive


async def test_a_fault_of_ours_while_a_head_is_read_is_none_of_the_client(
    dry: Dry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The parser wraps whatever is raised within it: a 400 without a word would hide it for good."""

    def fail(*_: object, **__: object) -> None:
        raise AttributeError("nobody expected that")

    client, towards_client = dry.connect()
    monkeypatch.setattr("gateway.server.protocol.check_head", fail)
    client.data_received(b"GET /public/x HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\n\r\n")
    answer = await until_written(towards_client)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close" in answer
    assert "nobody expected that" in caplog.text


@pytest.mark.parametrize("error", [ValueError("a bad byte"), MalformedRequest("a bad path")])
async def test_a_fault_of_the_clients_is_a_400_and_no_traceback(
    dry: Dry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    client, towards_client = dry.connect()
    monkeypatch.setattr("gateway.server.protocol.check_head", fail)
    client.data_received(b"GET /public/x HTTP/1.1\r\nHost: app.example\r\nTE: trailers\r\n\r\n")
    assert (await until_written(towards_client)).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in caplog.text
