"""Where a body ends (RFC 9112 §6): said once and in one spelling, or the request is refused."""

from __future__ import annotations

import pytest

from tests.recorder import Seen
from tests.talk import CHUNKED, HOST, compose, post
from tests.threats.guarded import Guarded

BOTH = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
CODINGS = [
    b"Transfer-Encoding: identity, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: chunked,\r\n",
    b"Transfer-Encoding: ,chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunkedx\r\n",
    b'Transfer-Encoding: "chunked"\r\n',
    b"Transfer-Encoding: chunked;q=1\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding: chunked\x00\r\n",
    b"Transfer-Encoding:\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chun\r\n ked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding\t: chunked\r\n",
    b"X-A: 1\rTransfer-Encoding: chunked\r\n",
]
LENGTHS = [
    b"+3",
    b"-3",
    b"-0",
    b"0x3",
    b"3.0",
    b"3 3",
    b"3;",
    b"3_0",
    b"three",
    b"\xb3",
    b"3\x0b",
    b"3\x00",
    b"",
    b"99999999999999999999",
    b"18446744073709551619",  # 2**64 + 3
]
# what h11 makes one number of; an app is never given two
LENGTH_LISTS = [
    b"Content-Length: 3, 3\r\n",
    b"Content-Length: 3,3\r\n",
    b"Content-Length: 3\r\nContent-Length: 3\r\n",
    b"Content-Length: 3\r\nContent-Length: 4\r\n",
    b"Content-Length: 4\r\nContent-Length: 3\r\n",
    b"Content-Length: 3, 4\r\n",
]


def with_body(fields: bytes) -> bytes:
    return compose(fields=HOST + fields, method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n")


@pytest.mark.parametrize("fields", [BOTH, BOTH.replace(b"Content-Length: 5\r\n", b"") + b"Content-Length: 5\r\n"])
def test_a_length_with_a_coding_is_refused(guarded: Guarded, fields: bytes) -> None:
    guarded.refuses(with_body(fields), 400)


def test_a_length_with_a_coding_ends_the_connection(proxied: Guarded) -> None:
    with proxied.talk() as talk:
        answer = talk.say(with_body(BOTH), compose(b"/public/hidden")).answer()
        assert answer is not None
        assert (answer.status, talk.ends()) == (400, True)
    assert proxied.behind.take() == []


@pytest.mark.parametrize("fields", CODINGS)
def test_any_coding_but_exactly_chunked_is_refused(guarded: Guarded, fields: bytes) -> None:
    guarded.refuses(with_body(fields), 400, 501)


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b"  chunked", b"\tchunked\t"])
def test_chunked_in_another_case_or_with_space_around_is_chunked_if_it_passes(guarded: Guarded, coding: bytes) -> None:
    seen = guarded.forwarded_if_at_all(with_body(b"Transfer-Encoding: " + coding + b"\r\n"))
    assert seen is not None or coding != b"chunked"
    if seen is not None:
        assert seen.body == b"abc"
        assert [(name, value.lower()) for name, value in framing_of(seen)] == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("version", [b"1.0", b"0.9"])
def test_a_coding_on_an_older_version_is_refused(guarded: Guarded, version: bytes) -> None:
    guarded.refuses(with_body(b"Transfer-Encoding: chunked\r\n").replace(b"HTTP/1.1", b"HTTP/" + version), 400, 505)


def test_a_field_that_only_resembles_a_coding_counts_for_nothing(proxied: Guarded) -> None:
    for fields in (b"Transfer_Encoding: chunked\r\n", b"X-Transfer-Encoding: chunked\r\n", b"TransferEncoding: x\r\n"):
        seen = proxied.forwarded(post(b"abc", fields))
        assert seen.body == b"abc"
        assert framing_of(seen) == [(b"content-length", b"3")]
        assert not seen.every(b"transfer_encoding")


@pytest.mark.parametrize("length", LENGTHS)
def test_a_length_that_is_no_number_is_refused(guarded: Guarded, length: bytes) -> None:
    guarded.refuses(compose(fields=HOST + b"Content-Length: " + length + b"\r\n", method=b"POST", body=b"abc"), 400)


@pytest.mark.parametrize("fields", LENGTH_LISTS)
def test_two_lengths_are_refused(proxied: Guarded, fields: bytes) -> None:
    proxied.refuses(compose(fields=HOST + fields, method=b"POST", body=b"abc"), 400)


@pytest.mark.parametrize("fields", LENGTH_LISTS)
def test_an_app_is_never_given_two_lengths(inside: Guarded, fields: bytes) -> None:
    seen = inside.forwarded_if_at_all(compose(fields=HOST + fields, method=b"POST", body=b"abc"))
    assert seen is None or (framing_of(seen), seen.body) == ([(b"content-length", b"3")], b"abc")


@pytest.mark.parametrize("length", [b"03", b"0000000003"])
def test_zeros_before_a_length_are_refused_or_rewritten(proxied: Guarded, length: bytes) -> None:
    fields = HOST + b"Content-Length: " + length + b"\r\n"
    seen = proxied.forwarded_if_at_all(compose(fields=fields, method=b"POST", body=b"abc"))
    assert seen is None or (framing_of(seen), seen.body) == ([(b"content-length", b"3")], b"abc")


@pytest.mark.parametrize("name", [b"Content_Length", b"Content.Length", b"CONTENT_LENGTH"])
def test_another_spelling_of_the_length_never_arrives(guarded: Guarded, name: bytes) -> None:
    seen = guarded.forwarded(post(b"abc", name + b": 7\r\n"))
    assert framing_of(seen) == [(b"content-length", b"3")]
    assert b"7" not in [value for _, value in seen.fields]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
def test_a_body_that_nobody_expects_is_counted_all_the_same(proxied: Guarded, method: bytes) -> None:
    hidden = compose(b"/public/hidden")
    request = compose(fields=HOST + b"Content-Length: %d\r\n" % len(hidden), method=method, body=hidden)
    assert proxied.forwarded(request).body == hidden
    chunked = compose(fields=CHUNKED, method=method, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden))
    assert proxied.forwarded(chunked).body == hidden


def framing_of(seen: Seen) -> list[tuple[bytes, bytes]]:
    """Return every field that a careless reader could take for framing."""
    looks_like = {b"content-length", b"transfer-encoding"}
    return [field for field in seen.fields if field[0].lower().replace(b"_", b"-").replace(b".", b"-") in looks_like]
