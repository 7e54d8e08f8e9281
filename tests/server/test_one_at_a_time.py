"""One request in hand at a time: what comes behind it stays bytes, and nothing of a closed connection stays at all."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Generator

import pytest

from gateway.server.cycle import Cycle
from gateway.server.short.exchange import ShortExchange
from tests.frames import ASKING, TEXT, frame, switching
from tests.server.conftest import Dry
from tests.server.test_short_way import OK, until_written

pytestmark = pytest.mark.anyio

GET = b"GET /public/%d HTTP/1.1\r\nHost: app.example\r\n\r\n"
SOCKET = b"GET /public/socket HTTP/1.1\r\n" + ASKING + b"\r\n"
EXPECTING = b"POST /public/x HTTP/1.1\r\nHost: app.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


@pytest.fixture
def uncollected() -> Generator[None]:
    """What is freed meanwhile is freed at once, without a search for rings of objects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def find(*kinds: type) -> list[object]:
    return [each for each in gc.get_objects() if type(each) in kinds]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_pipelined_is_no_object_before_its_turn(dry: Dry, uncollected: None) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    others = find(ShortExchange, Cycle)  # of other tests
    before = len(gc.get_objects())
    client.data_received(b"".join(GET % number for number in range(5000)))
    assert len(gc.get_objects()) - before < 300
    ours = [each for each in find(ShortExchange, Cycle) if not any(each is other for other in others)]
    assert [type(each) for each in ours] == [ShortExchange]
    assert not towards_client.reading
    for number in range(5):
        assert (await until_written(towards_upstream)).startswith(b"GET /public/%d " % number)
        assert not towards_upstream.written
        upstream.data_received(OK)
        assert towards_client.take().endswith(b"ok")


async def test_what_is_pipelined_is_answered_to_the_last_and_then_more_is_read(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    sent = b"".join(GET % number for number in range(100))
    client.data_received(sent[:-7])
    for number in range(99):
        assert (await until_written(towards_upstream)).startswith(b"GET /public/%d " % number)
        upstream.data_received(OK)
    await settle()
    assert towards_client.reading
    client.data_received(sent[-7:])
    assert (await until_written(towards_upstream)).startswith(b"GET /public/99 ")


async def test_behind_a_request_that_takes_long_nothing_is_kept(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(GET % 1 + GET % 2)
    assert (await until_written(towards_upstream)).startswith(b"GET /public/1 ")
    client.tick(client.loop.time() + 1)
    assert not towards_client.reading
    client.tick(client.loop.time() + 3)
    assert towards_client.reading  # so that the end of the client would be noticed
    client.data_received(GET % 3)
    upstream.data_received(OK)
    answer = towards_client.take()
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"ok")
    client.data_received(GET % 4)
    await settle()
    assert not towards_upstream.written
    assert not towards_client.written
    assert towards_client.said_eof


async def test_a_client_that_takes_no_answer_gets_no_other(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(GET % 1 + GET % 2)
    assert (await until_written(towards_upstream)).startswith(b"GET /public/1 ")
    client.pause_writing()
    upstream.resume()
    upstream.data_received(OK)
    await settle()
    assert not towards_upstream.written
    client.resume_writing()
    assert (await until_written(towards_upstream)).startswith(b"GET /public/2 ")
    assert towards_client.take().endswith(b"ok")


async def test_a_handshake_behind_a_request_waits_for_its_answer(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(GET % 1 + SOCKET)
    assert (await until_written(towards_upstream)).count(b"GET ") == 1
    await settle()
    assert not towards_client.written
    upstream.data_received(OK)
    assert towards_client.take().endswith(b"\r\n\r\nok")
    handshake = await until_written(towards_upstream)
    assert b"upgrade: websocket\r\n" in handshake
    upstream.data_received(switching(handshake))
    assert towards_client.take().startswith(b"HTTP/1.1 101 ")


async def test_what_a_websocket_says_too_early_is_bounded(dry: Dry) -> None:
    client, towards_client = dry.connect()
    dry.connect_upstream()
    client.data_received(GET % 1 + SOCKET + frame(TEXT, b"x" * 100_000, masked=True))
    for _ in range(5):
        assert not towards_client.closing
        assert not towards_client.reading


async def test_nobody_is_told_to_go_on_with_a_body_that_was_refused(dry: Dry) -> None:
    client, towards_client = dry.connect()
    client.data_received(EXPECTING.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked") + b"no size\r\n")
    await settle()  # only now is the app called
    assert towards_client.written.startswith(b"HTTP/1.1 400 ")
    assert b"100 Continue" not in towards_client.written


async def test_a_parser_that_sees_no_body_where_there_is_one_ends_the_connection(
    dry: Dry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.protocol.check_head", lambda *_, upgrade: len(GET % 2))  # refuses no upgrade
    client, towards_client = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    fields = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n" % len(GET % 2)
    refused = b"GET /no/x HTTP/1.1\r\nHost: app.example\r\n" + fields + b"\r\n"  # by the app, which reads no body
    client.data_received(refused + GET % 2 + GET % 3)
    await settle()
    assert towards_client.take().startswith(b"HTTP/1.1 400 ")
    assert towards_client.said_eof or towards_client.closing
    assert b"/public/2" not in towards_upstream.written
    assert b"/public/3" not in towards_upstream.written


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity, chunked", b"chunked\r\nTransfer-Encoding: chunked"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_behind_a_framing_that_is_refused_nothing_is_a_request(dry: Dry, coding: bytes, version: bytes) -> None:
    client, towards_client = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    head = b"POST /public/x HTTP/" + version + b"\r\nHost: app.example\r\nTransfer-Encoding: " + coding + b"\r\n\r\n"
    client.data_received(head + GET % 1)
    client.data_received(GET % 2)
    await settle()
    assert towards_client.take().startswith(b"HTTP/1.1 400 ")
    assert towards_client.said_eof
    client.data_received(GET % 3)
    await settle()
    assert not towards_upstream.written
    assert not towards_client.written


async def lose(dry: Dry, *sent: bytes, answer: bytes = b"") -> list[weakref.ref[object]]:
    """Have a connection say something, be answered or not, and be lost; returns what there was of it."""
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    for piece in sent:
        client.data_received(piece)
        await settle()
    there_was: list[weakref.ref[object]] = [weakref.ref(client), weakref.ref(towards_client)]
    there_was += [weakref.ref(each) for each in (client.cycle, client.under_way) if each is not None]
    if answer:
        upstream.data_received(answer)
        await settle()
    client.connection_lost(None)
    if towards_upstream.closing:
        upstream.connection_lost(None)
    del client, towards_client, upstream, towards_upstream
    return there_was


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ([b"GET /public/x HT"], b""),
        ([GET % 1], b""),
        ([GET % 1], OK),
        ([b"".join(GET % number for number in range(3000))], b""),
        ([b"".join(GET % number for number in range(3000))], OK),
        ([GET % 1 + SOCKET + frame(TEXT, b"x" * 200_000, masked=True)], b""),
        ([b"POST /public/x HTTP/1.1\r\nHost: app.example\r\nContent-Length: 100000\r\n\r\n", b"x" * 70_000], b""),
        ([b"POST /public/x HTTP/1.1\r\nHost: app.example\r\nContent-Length: 3\r\n\r\n", b"xx"], b""),
        ([EXPECTING, b"xx"], b""),
        ([EXPECTING.replace(b"/public/", b"/no/"), b"xx"], b""),
        ([b"GET /public/%2f HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([b"GET /no/x HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([b"GET /private HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([b"GET /oauth2/livez HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([b"GET /oauth2/nothing HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([b"GET /oauth2/callback?state=a&code=b HTTP/1.1\r\nHost: app.example\r\n\r\n"], b""),
        ([GET % 1], b"HTTP/1.1 banana\r\n\r\n"),
        ([b"POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"], b""),
    ],
)
async def test_what_is_closed_is_freed_at_once(dry: Dry, uncollected: None, sent: list[bytes], answer: bytes) -> None:
    there_was = await lose(dry, *sent, answer=answer)
    await settle()
    assert [each() for each in there_was if each() is not None] == []
