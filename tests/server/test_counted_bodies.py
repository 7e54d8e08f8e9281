"""Requests with a counted body, known by the bytes of their heads: as strict as the parser, and to the same effect."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Sequence

import pytest

from gateway.core.session import build_session_key
from gateway.errors import StoreUnavailable
from gateway.server.short.entry import ShortWay
from gateway.server.short.header_block import cut_count
from tests.server.conftest import ROUTES, Dry, DryTransport, build_signed_in
from tests.server.test_header_block import COMMON, TROUBLE
from tests.server.test_short_way import OK, signed_in, until_written

pytestmark = pytest.mark.anyio

COUNTS = [
    b"Content-Length: %d",
    b"content-length: %d",
    b"Content-length:%d",
    b"CONTENT-LENGTH: %d",
    b"Content-Length:  %d \t",
    b"Content-Length: 000%d",
]
ODD_COUNTS = [
    b"Content-Length: +%d",
    b"Content-Length: 0x%d",
    b"Content-Length: %d, %d",
    b"Content-Length: %d\r\nContent-Length: %d",
    b"Content-Length: %d\r\ncontent-length: 1",
    b"X-A: 1\r\nContent-Length: %d\r\n ",
    b"Content-Length: %d\r\n 7",
    b"Content-Length : %d",
    b"Content_Length: %d",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d",
    b"Transfer-Encoding: chunked",
    b"X-A: 1\rContent-Length: %d",
    b"X-A: 1\nContent-Length: %d",
    b"Content-Length: %d\x00",
    b"Content-Length: 9999999999999999%d",
    b"Content-Length: 99999999999999999999%d",
    b"Content-Length: %d\r\nExpect: 100-continue",
    b"Content-Length: %d\r\nConnection: close",
    b"Content-Length: %d\r\nUpgrade: websocket\r\nConnection: upgrade",
    b"Content-Length:",
]
METHODS = [b"POST", b"PUT", b"PATCH", b"DELETE", b"GET", b"OPTIONS", b"post", b"TRACE"]
TARGETS = [b"/public/up", b"/small/up", b"/x?y=1", b"/no/up", b"/public/%2fup", b"/oauth2/sign-out"]
BEHIND = [b"", b"", b"", b"GET /public/next HTTP/1.1\r\nHost: app.example\r\n\r\n", b"POST", b"\r\n"]


class Seen:
    """What came of it: the upstream's share, and how the client was answered."""

    def __init__(self, forwarded: bytes, answered: bytes, *, closes: bool) -> None:
        head, _, self.body = forwarded.partition(b"\r\n\r\n")
        self.fields = sorted(line for line in head.split(b"\r\n") if not line.startswith(b"x-request-id: "))
        self.status = answered[9:12]
        self.says_so = b"connection: close" in answered
        self.closes = closes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return repr(vars(self))


async def see(dry: Dry, pieces: Sequence[bytes]) -> list[Seen]:
    """Send pieces, answer what arrives, and tell each."""
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    seen = []
    for piece in pieces:
        client.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(2):
        for _ in range(12):
            await asyncio.sleep(0)
            if towards_client.written or client._is_free():
                break
        forwarded = towards_upstream.take()
        if forwarded and upstream.alive and not towards_client.written:
            upstream.data_received(OK)
        ends = towards_client.closing or towards_client.said_eof
        seen.append(Seen(forwarded, towards_client.take(), closes=ends))
        upstream, towards_upstream = dry.connect_upstream()
        if client._waiting:
            client.go_on()
    client.connection_lost(None)
    await asyncio.sleep(0)
    return seen


def invent(rng: random.Random, dry: Dry) -> list[bytes]:
    """Invent a request with a body, in pieces, and what comes behind it."""
    size = rng.choice([0, 1, 5, 10, 11, 3000, 20_000, 70_000])
    count = rng.choice(COUNTS if rng.random() < 0.7 else ODD_COUNTS)
    while count.count(b"%d"):
        count = count.replace(b"%d", b"%d" % (size + rng.choice([0] * 9 + [1])), 1)
    lines = [b"Host: app.example", *rng.choices(COMMON, k=rng.randrange(4)), count]
    if rng.random() < 0.2:
        lines.append(rng.choice(TROUBLE))
    if rng.random() < 0.7:
        lines.append(b"Cookie: theme=dark; __Host-gateway=" + dry.session_id.encode())
    rng.shuffle(lines)
    line = rng.choice(METHODS[:3] if rng.random() < 0.7 else METHODS) + b" " + rng.choice(TARGETS) + b" HTTP/1.1"
    head = b"\r\n".join([line, *lines]) + b"\r\n\r\n"
    sent = head + rng.randbytes(size) + rng.choice(BEHIND)
    cuts = sorted(
        {0, len(sent), *rng.choices([len(head), len(head) - 1, rng.randrange(len(sent))], k=rng.randrange(3))}
    )
    return [sent[begin:end] for begin, end in itertools.pairwise(cuts)]


async def test_both_ways_of_reading_see_the_same(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of uploads, known by their bytes and read by the parser: what the upstream is sent is the same."""
    rng = random.Random(11)
    read_block = ShortWay.read_block
    forwarded = known = 0

    def count_known(*args: object, **kwargs: object) -> object:
        nonlocal known
        block = read_block(*args, **kwargs)  # type: ignore[arg-type]
        known += block is not None and bool(kwargs.get("counted"))
        return block

    for _ in range(300):
        pieces = invent(rng, dry)
        monkeypatch.setattr(ShortWay, "read_block", count_known)
        by_bytes = [await see(dry, pieces), await see(dry, pieces)]
        monkeypatch.setattr(ShortWay, "read_block", lambda *_, **__: None)
        by_parser = await see(dry, pieces)
        assert by_bytes == [by_parser, by_parser], pieces
        forwarded += any(seen.body for seen in by_parser)
    assert forwarded > 50
    assert known > 100


def upload(size: int, target: bytes = b"/public/up", *, lines: bytes = b"", behind: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: app.example\r\nContent-Length: %d\r\n%b\r\n" % (target, size, lines) + behind


async def test_no_parser_sees_a_counted_upload(dry: Dry) -> None:
    """However long it is, and wherever the line stands: nothing that was seen is read anew."""
    client, towards_client = dry.connect()
    client.parser = None  # type: ignore[assignment]
    upstream, towards_upstream = dry.connect_upstream()
    blocks = dry.generation.doors.short_way._blocks._blocks.kept  # type: ignore[union-attr]
    for number, size in enumerate((1, 20, 300, 16_385, 70_000, 300_000)):
        head = upload(size, lines=b"Accept: */*\r\n")
        if number % 2:
            head = head.replace(b"Content-Length: %d\r\n" % size, b"")[:-2] + b"Content-Length: %d\r\n\r\n" % size
        body = b"x" * size
        for piece in [head + body] if number < 3 else [head, body[:9000], body[9000:]]:
            client.data_received(piece)
        given, _, arrived = towards_upstream.take().partition(b"\r\n\r\n")
        assert given.endswith(b"\r\ncontent-length: %d" % size)
        assert arrived == body
        upstream.data_received(OK)
        assert towards_client.take().endswith(b"\r\n\r\nok")
        assert len(blocks) == (1 if number else 0)  # the same one, whatever it counts


class Writes(DryTransport):
    """Keeps each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.each.append(data if isinstance(data, bytes) else bytes(data))


async def test_a_small_body_goes_with_its_head_and_a_large_piece_is_not_copied(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, _ = dry.connect_upstream()
    upstream._transport = writes = Writes()
    for size, pieces in ((1000, 1), (200_000, 2)):
        body = b"x" * size
        client.data_received(upload(size))
        assert writes.each == []  # no connection is held for a body of which nothing has come
        client.data_received(body)
        assert [len(piece) for piece in writes.each][1:] == [size] * (pieces - 1)
        assert (writes.each[-1] is body) == (pieces == 2)
        writes.each.clear()
        upstream.data_received(OK)
        assert towards_client.take().endswith(b"ok")


async def test_a_limit_of_the_body_holds_for_who_was_let_in_before(dry: Dry) -> None:
    client, towards_client = dry.connect()
    upstream, towards_upstream = dry.connect_upstream()
    client.data_received(upload(10, b"/small/x", behind=b"x" * 10))
    assert towards_upstream.take().endswith(b"x" * 10)
    upstream.data_received(OK)
    towards_client.take()
    client.data_received(upload(11, b"/small/x", behind=b"x" * 11))
    assert (await until_written(towards_client)).startswith(b"HTTP/1.1 413 ")
    assert not towards_upstream.written


async def test_a_store_that_is_away_answers_an_upload_early(dry: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the very call that brought the head: what follows of the body is nobody's."""
    client, towards_client = dry.connect()
    _, towards_upstream = dry.connect_upstream()
    monkeypatch.setattr(dry.generation.records.store, "ask", lambda _, told: told(StoreUnavailable("away")))
    client.data_received(signed_in(dry, method=b"POST", extra=b"Content-Length: 50\r\n"))
    given = await until_written(towards_client)
    assert given.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close\r\n" in given
    client.data_received(signed_in(dry).ljust(50, b"x") + signed_in(dry, b"/public/x"))
    assert not towards_upstream.written
    assert not towards_client.written
    assert towards_client.said_eof


async def test_a_large_head_counts_as_something_that_waits_while_its_body_comes(dry: Dry) -> None:
    client, _ = dry.connect()
    for line in (b"/public/" + b"a" * 4100, b"/public/x"):
        client.data_received(upload(1000, line, lines=b"X-A: %b\r\n" % (b"" if len(line) > 1000 else b"a" * 4100)))
        assert client._waits["head"] > 4096
        client, _ = dry.connect()


async def test_a_body_that_takes_too_long_is_refused_in_the_words_of_who_asks(dry: Dry) -> None:
    for accept, kind in ((b"text/html", b"text/html"), (b"application/json", b"text/plain")):
        client, towards_client = dry.connect()
        client.data_received(upload(1000, lines=b"Accept: " + accept + b"\r\n", behind=b"x"))
        client.tick(client.loop.time() + client.timeouts.body + 1)
        given = towards_client.take()
        assert given.startswith(b"HTTP/1.1 408 ")
        assert b"content-type: " + kind in given.lower()


@pytest.fixture
async def keeping() -> AsyncGenerator[Dry]:
    generation, session_id = await build_signed_in(ROUTES=ROUTES.replace("{path: /**}", "{path: /**, keep_post: true}"))
    yield Dry(generation, session_id)
    await generation.close()


async def test_a_form_of_a_session_that_has_ended_is_kept(keeping: Dry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the app can read it; and it is asked for, though the sender was known here."""
    client, towards_client = keeping.connect()
    upstream, towards_upstream = keeping.connect_upstream()
    form = (
        b"Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n"
        b"Sec-Fetch-Dest: document\r\nSec-Fetch-Site: same-origin\r\nOrigin: https://app.example\r\n"
        b"Content-Length: 3\r\n"
    )
    sent = signed_in(keeping, b"/form", method=b"POST", extra=form) + b"a=1"
    for _ in range(2):  # by the app, and then by a permit
        client.data_received(sent)
        assert (await until_written(towards_upstream)).endswith(b"a=1")
        upstream.data_received(OK)
        assert b" 200 OK" in await until_written(towards_client)
    assert any(block.sender.permits for block in keeping.generation.doors.short_way._blocks._blocks.kept.values())  # type: ignore[union-attr]
    key = build_session_key(keeping.session_id.encode())
    assert key is not None
    await keeping.generation.records.store.delete(key)
    kept: list[bytes] = []
    answers = keeping.generation.pages.pipeline._answers
    keep = answers.keep_post

    async def note(head: object, read_body: object) -> object:
        given = await keep(head, read_body)  # type: ignore[arg-type]
        kept.append(b"kept" if given is not None else b"")
        return given

    monkeypatch.setattr(answers, "keep_post", note)
    client.data_received(sent)
    await until_written(towards_client)
    assert kept == [b"kept"]
    assert not towards_upstream.written


@pytest.mark.parametrize(
    ("head", "cut"),
    [
        (b"\r\nHost: a\r\nContent-Length: 12\r\n\r\n", (b"\r\nHost: a\r\n\r\n", 12)),
        (b"\r\ncontent-length:0\r\nHost: a\r\n\r\n", (b"\r\nHost: a\r\n\r\n", 0)),
        (b"\r\nHost: a\r\nX: 1\r\n\r\n", None),
        (b"\r\nContent-Length: \r\n\r\n", None),
        (b"\r\nContent-Length: 1 \r\n\r\n", None),
        (b"\r\nContent-Length: 1234567890123456\r\n\r\n", None),
        (b"\r\nX-Content-Length: 1\r\n\r\n", None),
        (b"\r\nContent-Length: 1\n\r\n\r\n", None),
        (b"\r\nA: 1\nContent-Length: 1\r\n\r\n", None),
    ],
)
async def test_the_line_that_counts_is_cut_out(head: bytes, cut: tuple[bytes, int] | None) -> None:
    line = b"POST /Content-Length: 7 HTTP/1.1"
    assert cut_count(line + head + b"\r\nContent-Length: 5\r\n", len(line), len(line) + len(head)) == cut
