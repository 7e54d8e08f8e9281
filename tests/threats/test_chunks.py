"""Chunked bodies (RFC 9112 §7.1): read by the letter, and what cannot be is refused rather than passed on."""

from __future__ import annotations

import pytest

from tests.talk import CHUNKED, compose, post
from tests.threats.guarded import Guarded

END = b"0\r\n\r\n"


def chunked(body: bytes, fields: bytes = CHUNKED) -> bytes:
    return compose(fields=fields, method=b"POST", body=body)


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabc\r\n" + END,
        b"1\r\na\r\n2\r\nbc\r\n" + END,
        b"003\r\nabc\r\n000\r\n\r\n",
        b"3;a=b\r\nabc\r\n" + END,
        b'3;a="x;y\\"z"\r\nabc\r\n0;last\r\n\r\n',
        b"3;" + b"a" * 9000 + b"\r\nabc\r\n" + END,
        b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=lambda body: repr(body)[:40],
)
def test_only_the_content_of_the_chunks_arrives(guarded: Guarded, body: bytes) -> None:
    seen = guarded.forwarded(chunked(body))
    assert seen.body == b"abc"
    assert seen.every(b"transfer-encoding") == [b"chunked"]
    assert not seen.every(b"content-length")


@pytest.mark.parametrize("size", [b"A", b"a", b"0A"])
def test_sizes_are_hexadecimal_in_either_case(guarded: Guarded, size: bytes) -> None:
    assert guarded.forwarded(chunked(size + b"\r\n0123456789\r\n" + END)).body == b"0123456789"


BROKEN = [
    b"0x3\r\nabc\r\n" + END,
    b"+3\r\nabc\r\n" + END,
    b"-3\r\nabc\r\n" + END,
    b" 3\r\nabc\r\n" + END,
    b"3h\r\nabc\r\n" + END,
    b"3_0\r\nabc\r\n" + END,
    b"\xb3\r\nabc\r\n" + END,
    b"\r\nabc\r\n" + END,
    b";a\r\nabc\r\n" + END,
    b"3\nabc\r\n" + END,
    b"3\rabc\r\n" + END,
    b"3\r\nabc\n" + END,
    b"3\r\nabc\r" + END,
    b"3\r\nabcXX" + END,
    b"3\r\nabcd\r\n" + END,
    b"3\r\nab\r\n" + END,
    b"3;a\nb\r\nabc\r\n" + END,
    b"3\r\nabc\r\n0\n\r\n",
    b"3\r\nabc\r\n0\r\nno trailer\r\n\r\n",
    b"3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n",
]
# what h11 lets through, as RFC 9112 §7.1.1 and §2.2 allow
LENIENT = [
    b"3 \r\nabc\r\n" + END,
    b"3\t\r\nabc\r\n" + END,
    b"3 ;a\r\nabc\r\n" + END,
    b"3; a\r\nabc\r\n" + END,
    b"3;a\rb\r\nabc\r\n" + END,
    b"3;a\x00\r\nabc\r\n" + END,
    b"3\r\nabc\r\n0\r\n\n",
    b"3\r\nabc\r\n0\r\nX-A: 1\n\r\n",
    b"3\r\nabc\r\n0\r\nX-A: 1\r\n folded\r\n\r\n",
    b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
    b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("body", BROKEN)
def test_chunks_that_are_none_are_refused(guarded: Guarded, body: bytes) -> None:
    guarded.refuses(chunked(body), 400)


@pytest.mark.parametrize("body", LENIENT)
def test_chunks_in_odd_but_harmless_spelling_are_refused_or_rewritten(proxied: Guarded, body: bytes) -> None:
    seen = proxied.forwarded_if_at_all(chunked(body))
    assert seen is None or seen.body == b"abc"


@pytest.mark.parametrize("body", [*BROKEN, *LENIENT])
def test_after_a_broken_chunk_nothing_more_is_read(proxied: Guarded, body: bytes) -> None:
    with proxied.talk() as talk:
        talk.say(chunked(body) + compose(b"/public/hidden"))
        first = talk.answer()
        assert first is not None
        if first.status == 400:
            assert talk.ends()
            assert not [seen for seen in proxied.behind.take() if seen.whole]


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"7fffffffffffffff", b"10000000000000003", b"f" * 40])
def test_a_huge_size_is_refused_or_waited_for_and_never_wraps_round(proxied: Guarded, size: bytes) -> None:
    with proxied.talk() as talk:
        talk.say(chunked(size + b"\r\nabc\r\n" + END) + compose(b"/public/hidden"))
        if talk.settled(0.2):
            answer = talk.answer()
            assert answer is not None
            assert answer.status in {400, 413}
            assert talk.ends()
    assert not [seen for seen in proxied.behind.take() if seen.whole]


def test_a_chunk_cut_off_by_the_client_is_never_ended_for_it(proxied: Guarded) -> None:
    with proxied.talk() as talk:
        talk.say(chunked(b"5\r\nabc"))
        assert not talk.settled(0.2)
    assert proxied.status(post(b"next")) == 200
    assert [seen.body for seen in proxied.behind.take() if seen.whole] == [b"next"]


def test_a_trailer_is_never_a_header(guarded: Guarded) -> None:
    """Looked at only once the body has come: some servers append trailers to the list they gave before."""
    with guarded.talk() as talk:
        body = b"3\r\nabc\r\n0\r\nX-TikTok-Open-Id: evil\r\nX_TikTok.Access-Token: evil\r\n"
        fields = CHUNKED + b"Trailer: X-TikTok-Open-Id\r\n"
        answer = talk.say(
            chunked(b"", fields), body + b"Remote-User: evil\r\nX-Other: evil\r\n\r\n", pause=0.05
        ).answer()
        assert answer is not None
        assert answer.status == 200
    (seen,) = guarded.behind.take()
    assert seen.body == b"abc"
    assert b"evil" not in [value for _, value in seen.fields]
    assert not seen.every(b"trailer")


@pytest.mark.parametrize(
    "field", [b"X-Forwarded-For: 6.6.6.6", b"Cookie: gateway=x; a=1", b"Host: evil.example", b"Connection: close"]
)
def test_a_trailer_changes_nothing_of_who_asks_and_for_what(proxied: Guarded, field: bytes) -> None:
    seen = proxied.forwarded(chunked(b"3\r\nabc\r\n0\r\n" + field + b"\r\n\r\n"))
    assert seen.every(b"host") == [b"app.example"]
    assert seen.every(b"x-forwarded-for") == [b"127.0.0.1"]
    assert not seen.every(b"cookie")
