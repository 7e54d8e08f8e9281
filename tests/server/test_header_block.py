"""Header blocks read line by line: as strict as the parser and the head reader, and to the same effect."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from gateway.server.short.entry import ShortWay
from gateway.server.short.header_block import BlockReader
from gateway.server.short.recurring import Recurring
from tests.server.conftest import Dry

pytestmark = pytest.mark.anyio

COMMON = [
    b"Accept: */*",
    b"Accept-Encoding: gzip, br",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    b"Connection: keep-alive",
    b"Referer: https://app.example/",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"Authorization: Basic eA==",
    b"X-Requested-With:XMLHttpRequest",
    b"X-Empty:",
    b"X-Spaced: \t padded \t",
    b"X-Latin: caf\xe9",
]
TROUBLE = [
    b"X-TikTok-Open-Id: evil",
    b"x_tiktok.open-ID: evil",
    b"X-Forwarded-User: evil",
    b"Remote-User: evil",
    b"X-Forwarded-For: 6.6.6.6",
    b"X_Forwarded_For: 6.6.6.6",
    b"X-Forwarded-Prefix: /evil",
    b"Forwarded: for=6.6.6.6",
    b"X-Real-IP: 6.6.6.6",
    b"X-Original-URL: /no/x",
    b"X-Request-Id: evil",
    b"Connection: close",
    b"Connection: x-tiktok-open-id, cookie",
    b"Connection: Upgrade",
    b"Upgrade: h2c",
    b"Keep-Alive: timeout=5",
    b"TE: trailers",
    b"Expect: 100-continue",
    b"Content-Length: 0",
    b"Content_Length: 5",
    b"Transfer-Encoding: identity",
    b"Host: app.example",
    b"Host: evil@app.example",
    b"Cookie: a=1; gateway=x",
    b"Cookie: __Host-gateway=",
    b"Proxy-Authorization: x",
    b" folded",
    b"X-A : 1",
    b"X A: 1",
    b": nameless",
    b"X-Nul: a\x00b",
    b"X-Bell: \x07",
    b"X-Bare: a\rb",
    b"X-Feed: a\nb",
    b"no colon",
    b"Sec-WebSocket-Key: x",
    b"Sec-Fetch-Mode: navigate",
    b"Accept: text/html",
]
TARGETS = [b"/public/x", b"/maybe/x?y=1", b"/x", b"/no/x", b"/public/%2fx", b"/oauth2/userinfo", b"/public/../x"]


class Seen:
    """What came of a request: the upstream's share of it, and the status of what was answered at once."""

    def __init__(self, forwarded: bytes, answered: bytes) -> None:
        head, _, _ = forwarded.partition(b"\r\n\r\n")
        first, *fields = head.split(b"\r\n")
        self.request_line = first
        self.fields = sorted(field for field in fields if not field.startswith(b"x-request-id: "))
        self.status = answered[9:12]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return repr(vars(self))


async def see(dry: Dry, request: bytes) -> Seen:
    client, towards_client = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    client.data_received(request)
    for _ in range(40):
        if towards_upstream.written or towards_client.written:
            break
        await asyncio.sleep(0)
    seen = Seen(towards_upstream.take(), towards_client.take())
    client.connection_lost(None)
    await asyncio.sleep(0)
    return seen


def build_request(dry: Dry, target: bytes, extra: Sequence[bytes], *, signed_in: bool) -> bytes:
    own = [b"Host: app.example"]
    if signed_in:
        own.append(b"Cookie: theme=dark; __Host-gateway=" + dry.session_id.encode())
    return b"GET " + target + b" HTTP/1.1\r\n" + b"\r\n".join([*own, *extra]) + b"\r\n\r\n"


async def test_both_ways_of_reading_see_the_same(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of blocks, read by the line and by the parser: what is forwarded, or answered, is the same."""
    rng = random.Random(7)
    read_block, forwarded = ShortWay.read_block, 0
    for _ in range(1500):
        extra = [rng.choice(TROUBLE if rng.random() < 0.3 else COMMON) for _ in range(rng.randrange(7))]
        if rng.random() < 0.2:
            extra.append(rng.randbytes(rng.randrange(1, 12)))
        request = build_request(dry, rng.choice(TARGETS), extra, signed_in=rng.random() < 0.7)
        monkeypatch.setattr(ShortWay, "read_block", read_block)
        by_line = [await see(dry, request), await see(dry, request)]
        monkeypatch.setattr(ShortWay, "read_block", lambda *_: None)
        by_parser = await see(dry, request)
        assert by_line == [by_parser, by_parser], request
        forwarded += bool(by_parser.request_line)
        assert b"evil" not in b"".join(by_parser.fields), request
    assert 400 < forwarded < 1400


@pytest.mark.parametrize("line", COMMON)
async def test_a_common_line_needs_no_parser(dry: Dry, line: bytes) -> None:
    assert dry.generation.doors.short_way is not None
    block = b"\r\nHost: app.example\r\n" + line + b"\r\n\r\n"
    assert dry.generation.doors.short_way.read_block(block, "192.0.2.7", "http") is not None


@pytest.mark.parametrize(
    "line",
    [
        *(b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: websocket"),
        *(b"Connection: close", b"Connection: Upgrade", b"TE: trailers", b"Trailer: x", b"Host: app.example"),
        *(b" folded", b"X-A : 1", b": x", b"no colon", b"X: a\x00", b"X: a\rb", b"X: a\nb", b""),
    ],
)
async def test_what_is_not_plain_is_left_to_the_parser(dry: Dry, line: bytes) -> None:
    assert dry.generation.doors.short_way is not None
    block = b"\r\nHost: app.example\r\n" + line + b"\r\n\r\n"
    assert dry.generation.doors.short_way.read_block(block, "192.0.2.7", "http") is None


async def test_limits_hold_here_too(dry: Dry) -> None:
    assert dry.generation.doors.short_way is not None
    host = b"\r\nHost: app.example"
    many = host + b"".join(b"\r\nX-%d: 1" % number for number in range(100)) + b"\r\n\r\n"
    large = host + b"\r\nX: " + b"x" * 33_000 + b"\r\n\r\n"
    for block in (many, large):
        assert dry.generation.doors.short_way.read_block(block, "192.0.2.7", "http") is None


async def test_another_peer_is_somebody_else(dry: Dry) -> None:
    request = build_request(dry, b"/public/x", [], signed_in=False)
    seen = []
    for peer in ("192.0.2.7", "192.0.2.8"):
        client, _ = dry.connect(peer=peer)
        _, towards_upstream = dry.connect_upstream()
        client.data_received(request)
        seen.append(b"x-forwarded-for: " + peer.encode() in towards_upstream.take())
    assert seen == [True, True]


async def test_what_is_kept_is_bounded(dry: Dry) -> None:
    short_way = dry.generation.doors.short_way
    assert short_way is not None
    reader = short_way._blocks
    short_way._blocks = small = BlockReader(reader._reader, reader._pipeline, reader._own_cookies)
    small._lines, small._blocks, short_way._targets = Recurring(5), Recurring(5), Recurring(5)
    client, _ = dry.connect()
    for number in range(200):
        upstream, towards_upstream = dry.connect_upstream()
        # each comes three times, in turn with others
        extra = [b"X-Number: %d" % (number // 9 * 3 + number % 3), b"Cookie: a=%d" % (number % 13)]
        client.data_received(build_request(dry, b"/public/%d" % (number % 20), extra, signed_in=False))
        assert extra[0].lower() in towards_upstream.take()
        upstream.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    for memo in (small._lines, small._blocks, short_way._targets):
        assert len(memo.kept) <= 5
        assert len(memo._once) <= 40


async def test_senders_and_origins_are_bounded_too(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.server.short.header_block.MOST_SENDERS", 5)
    monkeypatch.setattr("gateway.server.short.header_block.MOST_ORIGINS", 5)
    small = read_many(dry, [b"\r\nHost: h%d.example\r\nCookie: a=%d\r\n\r\n" % (each, each) for each in range(40)])
    assert max(len(small._senders.kept), len(small._origins.kept)) <= 5


@pytest.mark.parametrize("field", [b"Cookie: a=", b"X-Forwarded-For: "])
async def test_so_are_long_ones_by_their_weight(dry: Dry, monkeypatch: pytest.MonkeyPatch, field: bytes) -> None:
    monkeypatch.setattr("gateway.server.short.header_block.HEAVIEST", 20_000)
    said = field + b"a" * 3000
    small = read_many(dry, [b"\r\nHost: app.example\r\n%b%d\r\n\r\n" % (said, each) for each in range(40)])
    kept = sum(len(key[0]) for shelf in (small._senders, small._origins) for key in shelf.kept)
    assert 3000 < kept <= 20_000


def read_many(dry: Dry, blocks: Sequence[bytes]) -> BlockReader:
    """Return a fresh reader that has read so many blocks."""
    assert dry.generation.doors.short_way is not None
    reader = dry.generation.doors.short_way._blocks
    fresh = BlockReader(reader._reader, reader._pipeline, reader._own_cookies)
    for block in blocks:
        assert fresh.read(block, "192.0.2.7", "http") is not None
    return fresh


def test_a_memo_keeps_what_comes_again() -> None:
    memo: Recurring[str, int] = Recurring(2)
    memo.note("a", 1)
    assert memo.kept == {}
    for key, value in (("a", 2), ("b", 3), ("b", 4), ("c", 5), ("c", 6)):
        memo.note(key, value)
    assert memo.kept == {"c": 6}
