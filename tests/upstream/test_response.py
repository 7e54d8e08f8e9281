from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.response import AnswerField, AnswerHead
from gateway.errors import UpstreamBroken, UpstreamError
from gateway.upstream.response import ResponseReader


class Sink:
    holder = ""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    def on_head(self, status: int, fields: list[AnswerField], length: int) -> None:
        self.status, self.length = status, length
        self.headers = [(field.name, field.value) for field in fields]

    def on_whole(self, head: AnswerHead, body: bytes) -> None: ...

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_end(self, error: UpstreamError | None) -> None: ...
    def on_flush(self) -> None: ...
    def on_tick(self) -> None: ...

    def on_full(self) -> None: ...

    def on_switch(self, rest: bytes) -> None: ...

    def on_drained(self) -> None: ...


def read(
    *pieces: bytes, head_request: bool = False, reader: ResponseReader | None = None
) -> tuple[ResponseReader, Sink]:
    sink = Sink()
    reader = reader or ResponseReader()
    reader.begin(sink, head_request=head_request)
    for piece in pieces:
        reader.feed(piece)
    return reader, sink


OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
WHOLE = [
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (OK + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-User: evil\r\n\r\n", b"hello"),
    (INTERIM + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
]


@pytest.mark.parametrize(("raw", "body"), WHOLE)
@given(data=st.data())
def test_the_pieces_do_not_matter(raw: bytes, body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(1, len(raw) - 1), max_size=6, unique=True)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    reader, sink = read(*pieces)
    assert (reader.complete, reader.keep_alive, reader.surplus) == (True, True, False)
    assert sink.body == body
    assert all(name not in {b"x-user", b"link"} for name, _ in sink.headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_not_one_clear_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        read(raw)


def test_a_large_body_with_the_head_is_not_a_large_head() -> None:
    reader, sink = read(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    assert reader.complete
    assert len(sink.body) == 200_000


def test_an_endless_head_is_refused_before_it_ends() -> None:
    with pytest.raises(UpstreamBroken):
        read(b"HTTP/1.1 200 OK\r\n", *[b"X-A: " + b"b" * 1000 + b"\r\n"] * 70)


@pytest.mark.parametrize(
    ("raw", "head_request"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", False),
    ],
)
def test_the_reader_serves_again_after_an_answer_without_body(raw: bytes, head_request: bool) -> None:
    reader, sink = read(raw, head_request=head_request)
    assert (reader.complete, reader.keep_alive, sink.body) == (True, True, b"")
    _, sink = read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", reader=reader)
    assert (reader.complete, reader.surplus, sink.body) == (True, False, b"hi")


@pytest.mark.parametrize(
    ("raw", "head_request"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            False,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi?", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi", False),
    ],
)
def test_bytes_after_the_end_are_noticed(raw: bytes, head_request: bool) -> None:
    reader, sink = read(raw, head_request=head_request)
    assert reader.complete
    assert reader.surplus
    assert sink.status in (200, 304)


@pytest.mark.parametrize(
    ("raw", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-a, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", False),
    ],
)
def test_whether_the_connection_stays(raw: bytes, keep_alive: bool) -> None:
    assert read(raw)[0].keep_alive is keep_alive
    assert read(raw[:20], raw[20:])[0].keep_alive is keep_alive  # which another parser reads


def test_a_body_that_ends_with_the_connection() -> None:
    reader, sink = read(b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo")
    assert not reader.complete
    assert reader.end_of_stream()
    assert sink.body == b"hello"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_an_answer_cut_short_is_not_whole(raw: bytes) -> None:
    assert not read(raw)[0].end_of_stream()
