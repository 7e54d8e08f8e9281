"""A second request hidden in the first never reaches the upstream as a request of its own."""

from __future__ import annotations

import pytest

from tests.talk import CHUNKED, HOST, compose, post
from tests.threats.guarded import Guarded

HIDDEN = compose(b"/public/hidden", HOST + b"X-TikTok-Open-Id: evil\r\n")
END = b"0\r\n\r\n"
AS_CHUNK = b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + END

PLAIN = {
    "counted": post(HIDDEN),
    "chunked": compose(fields=CHUNKED, method=b"POST", body=AS_CHUNK),
    "in a chunk extension": compose(
        fields=CHUNKED, method=b"POST", body=b'3;x="' + HIDDEN.replace(b"\r\n", b" ") + b'"\r\nabc\r\n' + END
    ),
    "in a GET": compose(fields=HOST + b"Content-Length: %d\r\n" % len(HIDDEN), body=HIDDEN),
    "in the query": compose(b"/public/x?" + HIDDEN.replace(b" ", b"+").replace(b"\r\n", b"%0d%0a")),
}


@pytest.mark.parametrize("where", PLAIN)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_what_is_hidden_in_a_well_formed_request_stays_within_it(guarded: Guarded, where: str, in_pieces: bool) -> None:
    request = PLAIN[where]
    head_ends = request.index(b"\r\n\r\n") + 4
    pieces = [request[:head_ends], request[head_ends:]] if in_pieces else [request]
    with guarded.talk() as talk:
        answer = talk.say(*pieces, pause=0.02).answer()
        assert answer is not None
        assert answer.status == 200
        after = talk.say(compose(b"/public/after")).answer()
        assert after is not None
        assert after.status == 200
    assert [seen.path for seen in guarded.behind.take()] == [b"/public/x", b"/public/after"]


BOTH = HOST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n"
CONTRADICTORY = {
    "CL.TE": compose(fields=BOTH % (len(END) + len(HIDDEN)), method=b"POST", body=END + HIDDEN),
    "TE.CL": compose(fields=BOTH % 4, method=b"POST", body=AS_CHUNK),
    "TE.0": compose(fields=BOTH % 0, method=b"OPTIONS", body=AS_CHUNK),
    "0.CL": compose(
        fields=HOST + b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(HIDDEN), method=b"POST", body=HIDDEN
    ),
    "CL.CL": compose(
        fields=HOST + b"Content-Length: %d\r\nContent-Length: 0\r\n" % len(HIDDEN), method=b"POST", body=HIDDEN
    ),
    "CL list": compose(fields=HOST + b"Content-Length: 0, %d\r\n" % len(HIDDEN), method=b"POST", body=HIDDEN),
    **{
        f"TE.TE {number}": compose(
            fields=HOST + b"Content-Length: %d\r\n" % (len(END) + len(HIDDEN)) + line, method=b"POST", body=END + HIDDEN
        )
        for number, line in enumerate(
            [
                b"Transfer-Encoding: xchunked\r\n",
                b"Transfer-Encoding : chunked\r\n",
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
                b"Transfer-Encoding:\x0bchunked\r\n",
                b" Transfer-Encoding: chunked\r\n",
                b"X: X\nTransfer-Encoding: chunked\r\n",
                b"X: X\rTransfer-Encoding: chunked\r\n",
                b"Transfer-Encoding\r\n : chunked\r\n",
                b"Transfer-Encoding: identity, chunked\r\n",
                b"Transfer-Encoding: chunked, identity\r\n",
                b"\x00Transfer-Encoding: chunked\r\n",
            ]
        )
    },
    "chunk terminated by LF": compose(fields=CHUNKED, method=b"POST", body=b"2\nxx\r\n" + END + HIDDEN),
    "chunk size that wraps round": compose(
        fields=CHUNKED, method=b"POST", body=b"10000000000000000\r\n" + END + HIDDEN
    ),
    "header line by CR": compose(fields=HOST + b"X-A: 1\r\r\n", body=HIDDEN),
    "header block by LF": b"GET /public/x HTTP/1.1\nHost: app.example\n\n" + HIDDEN,
    "1.0 with a coding": compose(fields=CHUNKED, method=b"POST", body=END + HIDDEN).replace(b"/1.1", b"/1.0", 1),
}


@pytest.mark.parametrize("how", CONTRADICTORY)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_what_is_hidden_by_a_contradiction_is_never_read(proxied: Guarded, how: str, in_pieces: bool) -> None:
    request = CONTRADICTORY[how]
    cut = request.index(b"\n\r\n" if b"\n\r\n" in request else b"\n\n") + 3
    pieces = [request[:cut], request[cut:]] if in_pieces else [request]
    with proxied.talk() as talk:
        answer = talk.say(*pieces, pause=0.02).answer()
        assert answer is not None
        assert answer.status in {400, 501}
        assert talk.ends()
    assert not [seen for seen in proxied.behind.take() if seen.whole]


@pytest.mark.parametrize("target", [b"/private/x", b"/denied/x", b"/public/%00", b"/oauth2/none", b"/nowhere"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_body_of_a_refused_request_is_never_a_request(guarded: Guarded, target: bytes, in_pieces: bool) -> None:
    request = post(HIDDEN, target=target)
    cut = len(request) - len(HIDDEN)
    pieces = [request[:cut], request[cut:]] if in_pieces else [request]
    with guarded.talk() as talk:
        answer = talk.say(*pieces, compose(b"/public/after"), pause=0.02).answer()
        assert answer is not None
        assert 400 <= answer.status < 500
        after = talk.answer()
        assert after is None or after.status == 200
    assert [seen.path for seen in guarded.behind.take()] in ([], [b"/public/after"])


def test_what_comes_after_a_request_that_closes_is_not_answered(guarded: Guarded) -> None:
    for fields in (HOST + b"Connection: close\r\n", HOST + b"Connection: x, Close\r\n"):
        with guarded.talk() as talk:
            answer = talk.say(compose(fields=fields) + HIDDEN).answer()
            assert answer is not None
            assert (answer.status, answer.says_close) == (200, True)
            assert talk.ends()
    assert [seen.path for seen in guarded.behind.take()] == [b"/public/x", b"/public/x"]


def test_what_comes_after_a_malformed_request_is_not_answered(guarded: Guarded) -> None:
    with guarded.talk() as talk:
        answer = talk.say(compose(fields=HOST + b"X-A : 1\r\n") + HIDDEN).answer()
        assert answer is not None
        assert (answer.status, talk.ends()) == (400, True)
    assert guarded.behind.take() == []


def test_a_body_that_is_too_long_is_not_a_request_that_is_too_good(proxied: Guarded) -> None:
    """The surplus is the next request or an error, and in no case the body's."""
    with proxied.talk() as talk:
        talk.say(compose(fields=HOST + b"Content-Length: 3\r\n", method=b"POST", body=b"abcdef"))
        answer = talk.answer()
        assert answer is not None
        assert answer.status in {200, 400}
        rest = talk.answer() if answer.status == 200 else None
        assert rest is None or rest.status in {400, 408}
    assert [seen.body for seen in proxied.behind.take()] in ([], [b"abc"])


IGNORED_UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
    b"Upgrade: websocket\r\n",
]


@pytest.mark.parametrize("fields", IGNORED_UPGRADES)
def test_an_upgrade_that_is_not_ours_is_removed_and_changes_nothing(guarded: Guarded, fields: bytes) -> None:
    with guarded.talk() as talk:
        for path in (b"/public/1", b"/public/2"):
            answer = talk.say(compose(path, HOST + fields)).answer()
            assert answer is not None
            assert answer.status == 200
            assert not answer.every(b"upgrade")
    for seen in guarded.behind.take():
        for name in (b"upgrade", b"http2-settings", b"connection"):
            assert not seen.every(name)
