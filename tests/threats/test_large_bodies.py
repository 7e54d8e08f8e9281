"""Large bodies, which a server may be tempted to treat in a way of their own: they end where they end all the same."""

from __future__ import annotations

import hashlib

import pytest

from tests.recorder import Seen
from tests.talk import CHUNKED, HOST, compose, post
from tests.threats.guarded import Guarded

HIDDEN = compose(b"/public/hidden", HOST + b"X-TikTok-Open-Id: evil\r\n")
SIZES = [65_535, 65_536, 65_537, 131_072, 300_001]
AFTER = compose(b"/public/after")


def large(size: int) -> bytes:
    """Return so many bytes, full of requests."""
    return (HIDDEN * (size // len(HIDDEN) + 1))[:size]


def digests(seen: list[Seen]) -> list[tuple[bytes, str]]:
    return [(each.path, hashlib.sha256(each.body).hexdigest()) for each in seen if each.whole]


def expected(size: int) -> list[tuple[bytes, str]]:
    none = hashlib.sha256(b"").hexdigest()
    return [(b"/public/x", hashlib.sha256(large(size)).hexdigest()), (b"/public/after", none)]


@pytest.mark.parametrize("size", SIZES)
def test_a_large_body_full_of_requests_is_one_body(guarded: Guarded, size: int) -> None:
    request = post(large(size))
    head = len(request) - size
    for pieces in (
        [request + AFTER],
        [request, AFTER],
        [request[:head], request[head:] + AFTER],
        [request[: head + 1], request[head + 1 :] + AFTER[:9], AFTER[9:]],
        [request[:-1], request[-1:] + AFTER],
        [request[:-1], request[-1:], AFTER],
    ):
        with guarded.talk() as talk:
            talk.say(*pieces, pause=0.005)
            for _ in range(2):
                answer = talk.answer()
                assert answer is not None
                assert answer.status == 200
        assert digests(guarded.behind.take()) == expected(size)


@pytest.mark.parametrize("size", SIZES)
def test_a_large_body_in_chunks_is_one_body(guarded: Guarded, size: int) -> None:
    body = large(size)
    for step in (size, 65_536, 10_007):
        pieces = [body[at : at + step] for at in range(0, size, step)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        with guarded.talk() as talk:
            talk.say(compose(fields=CHUNKED, method=b"POST"), chunks + b"0\r\n\r\n" + AFTER, pause=0.005)
            for _ in range(2):
                answer = talk.answer()
                assert answer is not None
                assert answer.status == 200
        assert digests(guarded.behind.take()) == expected(size)


@pytest.mark.parametrize("target", [b"/private/x", b"/denied/x", b"/public/%00", b"/oauth2/none"])
def test_a_large_body_of_a_refused_request_is_nobodys(guarded: Guarded, target: bytes) -> None:
    request = post(large(200_000), target=target)
    head = len(request) - 200_000
    for pieces in ([request + AFTER], [request[:head], request[head:] + AFTER], [request[:-5], request[-5:] + AFTER]):
        with guarded.talk() as talk:
            answer = talk.say(*pieces, pause=0.005).answer()
            assert answer is not None
            assert 400 <= answer.status < 500
            after = talk.answer()
            assert after is None or after.status == 200
        assert [seen.path for seen in guarded.behind.take()] in ([], [b"/public/after"])


@pytest.mark.parametrize("size", [65_536, 300_001])
def test_a_large_body_that_its_sender_leaves_is_never_whole(proxied: Guarded, size: int) -> None:
    request = post(large(size))
    for missing in (1, 1000, size - 1):
        with proxied.talk() as talk:
            talk.say(request[:-missing])
            assert not talk.settled(0.05)
            talk.vanish()
        assert proxied.status(AFTER) == 200
        assert [seen.path for seen in proxied.behind.take() if seen.whole] == [b"/public/after"]


@pytest.mark.parametrize("size", [65_536, 300_001])
def test_what_comes_behind_a_large_body_is_read_as_strictly(proxied: Guarded, size: int) -> None:
    for behind in (b"GET /public/x HTTP/1.1\r\nHost : x\r\n\r\n", b"\x00" * 10 + AFTER, b"junk\r\n\r\n"):
        with proxied.talk() as talk:
            talk.say(post(large(size)) + behind + HIDDEN)
            answer = talk.answer()
            assert answer is not None
            assert answer.status == 200
            behind_it = talk.answer()
            assert behind_it is None or behind_it.status == 400
            assert talk.ends()
        assert [seen.path for seen in proxied.behind.take()] == [b"/public/x"]
