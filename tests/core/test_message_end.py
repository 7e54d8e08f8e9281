"""Where requests end: the same place, however the bytes come."""

from __future__ import annotations

import pytest

from gateway.core.message_end import CHUNKED, MessageEnd, read_body_length
from gateway.errors import MalformedRequest

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n4;a=b\r\n\r\n\r\n\r\n1F\r\n" + b"0\r\n\r\n" * 6 + b"x" + b"\r\n0\r\nA: b\r\n\r\n"


def find(end_of: MessageEnd, data: bytes, at: int, length: int | None) -> int:
    if length is None:
        return end_of.find_head_end(data, at)
    return end_of.find_last_chunk_end(data, at) if length == CHUNKED else end_of.find_body_end(data, at)


def read(pieces: list[bytes], length: int) -> int:
    """Return how many bytes a request has: a head, and a body of that length."""
    end_of, read, within = MessageEnd(), 0, None
    for piece in pieces:
        at = 0
        while at < len(piece):
            end = find(end_of, piece, at, within)
            read += end - at
            at = end
            if end_of.whole and (within is not None or not length):
                return read
            if end_of.whole:
                end_of.expect(length)
                within = length
    return -1


@pytest.mark.parametrize(("body", "length"), [(b"", 0), (b"abc", 3), (HEAD, len(HEAD)), (CHUNKS, CHUNKED)])
def test_the_end_is_the_same_however_a_request_is_cut(body: bytes, length: int) -> None:
    sent = HEAD + body + BEHIND
    for step in range(1, len(sent) + 1):
        pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
        assert read(pieces, length) == len(HEAD + body), step
    assert read([HEAD + body[:-1]] if body else [HEAD[:-1]], length) == -1


def test_so_many_chunks_are_followed_in_one_go() -> None:
    end_of = MessageEnd()
    end_of.expect(CHUNKED)
    data, at, turns = b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", 0, 0
    while at < len(data):
        at = end_of.find_last_chunk_end(data, at)
        turns += 1
    assert end_of.whole
    assert turns >= 5


@pytest.mark.parametrize(
    "size", [b"\r\n", b"x\r\n", b"-1\r\n", b"0x3\r\n", b" 3\r\n", b"3 \r\n", b"3\n", b"1" * 17 + b"\r\n"]
)
def test_what_is_no_chunk_size_is_refused(size: bytes) -> None:
    end_of = MessageEnd()
    end_of.expect(CHUNKED)
    with pytest.raises(MalformedRequest):
        end_of.find_last_chunk_end(size + b"abc\r\n0\r\n\r\n", 0)


def test_a_size_line_without_end_is_refused() -> None:
    end_of = MessageEnd()
    end_of.expect(CHUNKED)
    with pytest.raises(MalformedRequest):
        end_of.find_last_chunk_end(b"3;" + b"a" * 20_000, 0)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ([], 0),
        ([(b"content-length", b"0")], 0),
        ([(b"content-length", b" 12\t")], 12),
        ([(b"transfer-encoding", b"Chunked ")], CHUNKED),
    ],
)
def test_a_body_is_counted_or_chunked(fields: list[tuple[bytes, bytes]], length: int) -> None:
    assert read_body_length(fields, "1.1") == length
