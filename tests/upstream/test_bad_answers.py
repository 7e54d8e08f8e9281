"""Answers that are none, or two: through the whole gateway, the client is told so and nobody else notices."""

from __future__ import annotations

import pytest

from tests.upstream.conftest import Stage

OK = b"HTTP/1.1 200 OK\r\n"
COUNTED = OK + b"Content-Length: 5\r\n\r\nhello"

TWO_READINGS = [
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    OK + b"Content-Length: 5\r\nX-A: 1\r\ncontent-length: 0\r\n\r\nhello",
    OK + b"Content-Length: 5, 6\r\n\r\nhello",
    OK + b"Content-Length: -5\r\n\r\nhello",
    OK + b"Content-Length: +5\r\n\r\nhello",
    OK + b"Content-Length: 5x\r\n\r\nhello",
    OK + b"Content-Length: 0x5\r\n\r\nhello",
    OK + b"Content-Length: 5 5\r\n\r\nhello",
    OK + b"Content-Length:\r\n\r\nhello",
    OK + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    OK + b"Content-Length : 5\r\n\r\nhello",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: identity\r\n\r\nhello",
    OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]
NO_HTTP = [
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"200 OK\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"220 mail.example ESMTP\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100,
    b"<html>hello</html>\r\n\r\n",
]
INJECTIONS = [
    OK + b"X-A: a\rSet-Cookie: evil=1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A: a\r\rSet-Cookie: evil=1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A: a\nSet-Cookie: evil=1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A: a\x0bb\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A: a\r\n Set-Cookie: evil=1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A : a\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-A\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X A: 1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b": 1\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"X-\xc3\xa9: 1\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\rSet-Cookie: evil=1\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    OK + b"Content-Length: 5\r\n\nhello",
    OK + b"Content-Length: 5\n\r\nhello",
]
SWITCHES = [
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + COUNTED,
    b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n" + COUNTED,
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n" + COUNTED,
]
TOO_LARGE = {
    "one field of 70 KB": OK + b"X-A: " + b"a" * 70_000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "a head without end": OK + b"X-A: 1\r\n" * 20_000,
    "a line without end": OK + b"X-A: " + b"a" * 2_000_000,
    "a status line without end": b"HTTP/1.1 200 " + b"a" * 200_000,
    "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    "hints without end": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 5_000,
}


@pytest.mark.parametrize("hang_up", [False, True], ids=["stays", "hangs up"])
@pytest.mark.parametrize("said", [*TWO_READINGS, *NO_HTTP, *INJECTIONS, *SWITCHES], ids=lambda said: repr(said)[2:60])
def test_what_is_not_one_clear_answer_is_502(stage: Stage, said: bytes, hang_up: bool) -> None:
    stage.first_say(said, hang_up=hang_up)
    answer = stage.ask()
    assert answer.status == 502
    assert b"evil" not in answer.head + answer.body
    assert b"hello" not in answer.body
    stage.assert_next_is_served()
    assert stage.upstream.connections == 2


@pytest.mark.parametrize("what", TOO_LARGE)
def test_a_head_beyond_all_measure_is_502(stage: Stage, what: str) -> None:
    stage.first_say(TOO_LARGE[what])
    assert stage.ask().status == 502
    stage.assert_next_is_served()


@pytest.mark.parametrize("said", [*TWO_READINGS[:4], *NO_HTTP[:4], *INJECTIONS[:6], SWITCHES[1]])
def test_a_bad_answer_is_as_bad_in_pieces(stage: Stage, said: bytes) -> None:
    pieces = [said[at : at + 7] for at in range(0, len(said), 7)]
    stage.first_say(*pieces, pause=0.002)
    assert stage.ask().status == 502
    stage.assert_next_is_served()


@pytest.mark.parametrize(
    "said",
    [b"", OK, OK + b"Content-Le", OK + b"Content-Length: 5\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTT", b"\r\n"],
)
def test_a_head_cut_short_is_502_and_never_asked_for_again(stage: Stage, said: bytes) -> None:
    stage.first_say(said, hang_up=True)
    assert stage.ask().status == 502
    assert stage.upstream.connections == 1
    stage.assert_next_is_served()


CUT_SHORT = [
    (OK + b"Content-Length: 9\r\n\r\nhello", b"hello"),
    (OK + b"Content-Length: 9\r\n\r\n", b""),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", b"hello"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhello", b"hello"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5", b"hello"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n", b""),
]
BAD_CHUNKS = [
    b"zz\r\nevil\r\n0\r\n\r\n",
    b"0x4\r\nevil\r\n0\r\n\r\n",
    b"-4\r\nevil\r\n0\r\n\r\n",
    b"+4\r\nevil\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nevil\r\n0\r\n\r\n",
    b"4\nevil\r\n0\r\n\r\n",
    b"\r\nevil\r\n0\r\n\r\n",
    b"5\r\nevil\r\n0\r\n\r\n",
    b"0\n\r\n",
    b"0\r\nno trailer\r\n\r\n",
    COUNTED,
]


@pytest.mark.parametrize(("said", "begun"), CUT_SHORT)
def test_a_body_cut_short_is_never_ended_as_if_it_were_whole(stage: Stage, said: bytes, begun: bytes) -> None:
    stage.first_say(said, hang_up=True)
    answer = stage.ask()
    assert answer.status in {200, 502}
    if answer.status == 200:
        assert (answer.whole, begun.startswith(answer.body)) == (False, True)
    stage.assert_next_is_served()


@pytest.mark.parametrize("chunks", BAD_CHUNKS)
def test_a_body_in_bad_chunks_is_never_ended_as_if_it_were_whole(stage: Stage, chunks: bytes) -> None:
    stage.first_say(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n", chunks, pause=0.02)
    answer = stage.ask()
    assert answer.status in {200, 502}
    if answer.status == 200:
        assert (answer.whole, b"helloevil\r".startswith(answer.body)) == (False, True)
    stage.assert_next_is_served()


@pytest.mark.parametrize("pause", [0.0, 0.02])
@pytest.mark.parametrize(
    "interim",
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"HTTP/1.1 102 Processing\r\n\r\n",),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nSet-Cookie: evil=1\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") * 3,
        (b"HTTP/1.1 199 What\r\nX-A: evil\r\n\r\n",),
    ],
)
def test_interim_answers_are_no_answers(stage: Stage, interim: tuple[bytes, ...], pause: float) -> None:
    stage.first_say(*interim, COUNTED, pause=pause)
    answer = stage.ask()
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
    assert b"evil" not in answer.head
    assert not answer.every(b"link")


def test_an_interim_answer_with_a_body_is_none(stage: Stage) -> None:
    stage.first_say(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nevil!" + COUNTED)
    answer = stage.ask()
    assert answer.status in {200, 502}
    assert b"evil" not in answer.body
    stage.assert_next_is_served()
