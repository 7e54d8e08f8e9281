"""However the bytes of a client are cut into packets, they mean the same."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.recorder import Seen
from tests.talk import CHUNKED, HOST, Answer, compose, post
from tests.threats.guarded import Guarded, guard_upstream

GET = compose(b"/public/a//b?q=//x", HOST + b"Cookie: a=1\r\nAccept: */*\r\n")
REPRESENTATIVE = {
    "GET": GET,
    "HEAD": compose(method=b"HEAD"),
    "counted": post(b"hello=world"),
    "chunked": compose(fields=CHUNKED, method=b"POST", body=b"5\r\nhello\r\n6;x=y\r\n=world\r\n0\r\nX-T: 1\r\n\r\n"),
    "unauthenticated": compose(b"/private/x"),
    "absolute": compose(b"http://app.example/public/x"),
    "malformed": compose(b"/public/%2fx"),
}
FOLLOWER = compose(b"/public/follower")
PAUSE = 0.002  # the gateway shares this process and reads a packet within it; where it does not, nothing is lost


@pytest.fixture(scope="module", params=WAYS)
def apart(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    """Gateways of their own: what may be kept of heads that came in pieces is not to meet other tests."""
    with guard_upstream(simulator, request.param) as guarded:
        yield guarded


@pytest.fixture
def proxied(apart: Guarded) -> Guarded:
    apart.behind.reset()
    return apart


def told(answer: Answer | None) -> tuple[int, bytes] | None:
    """Return what of an answer does not depend on the moment."""
    return (answer.status, answer.body if answer.status == 200 else b"") if answer is not None else None


def arrived(seen: list[Seen]) -> list[tuple[bytes, bytes, bytes, list[tuple[bytes, bytes]]]]:
    """Return what of requests does not depend on the moment."""
    return [
        (each.method, each.target, each.body, [field for field in each.fields if field[0] != b"x-request-id"])
        for each in seen
    ]


@pytest.mark.parametrize("what", REPRESENTATIVE)
def test_a_request_in_two_pieces_is_the_same_request_wherever_it_is_cut(proxied: Guarded, what: str) -> None:
    request, head = REPRESENTATIVE[what], what == "HEAD"
    with proxied.talk() as talk:
        expected = told(talk.say(request).answer(head=head)), arrived(proxied.behind.take())
        for cut in range(1, len(request)):
            answer = talk.say(request[:cut], request[cut:], pause=PAUSE).answer(head=head)
            assert (told(answer), arrived(proxied.behind.take())) == expected, request[:cut]


@pytest.mark.parametrize("what", REPRESENTATIVE)
def test_a_request_that_comes_byte_by_byte_is_the_same_request(proxied: Guarded, what: str) -> None:
    request, head = REPRESENTATIVE[what], what == "HEAD"
    with proxied.talk() as talk:
        expected = told(talk.say(request).answer(head=head)), arrived(proxied.behind.take())
        answer = talk.say(*(request[at : at + 1] for at in range(len(request))), pause=PAUSE).answer(head=head)
        assert (told(answer), arrived(proxied.behind.take())) == expected


@pytest.mark.parametrize("what", REPRESENTATIVE)
def test_two_requests_in_one_read_get_their_two_answers_in_order(guarded: Guarded, what: str) -> None:
    request, head = REPRESENTATIVE[what], what == "HEAD"
    with guarded.talk() as talk:
        expected = told(talk.say(request).answer(head=head)), arrived(guarded.behind.take())
        talk.say(request + FOLLOWER)
        assert told(talk.answer(head=head)) == expected[0]
        assert told(talk.answer()) == (200, b"ok")
    *first, follower = guarded.behind.take()
    assert arrived(first) == expected[1]
    assert follower.target == b"/public/follower"


@pytest.mark.parametrize("what", ["GET", "counted", "chunked", "unauthenticated"])
def test_a_request_behind_another_may_be_cut_anywhere(proxied: Guarded, what: str) -> None:
    request = REPRESENTATIVE[what]
    with proxied.talk() as talk:
        expected = told(talk.say(request).answer()), arrived(proxied.behind.take())
        for cut in range(1, len(request)):
            talk.say(FOLLOWER + request[:cut], request[cut:], pause=PAUSE)
            assert told(talk.answer()) == (200, b"ok")
            assert told(talk.answer()) == expected[0], request[:cut]
            follower, *rest = proxied.behind.take()
            assert follower.target == b"/public/follower"
            assert arrived(rest) == expected[1], request[:cut]


@pytest.mark.parametrize("what", ["counted", "chunked"])
def test_a_body_that_ends_in_the_read_of_the_next_head_may_be_cut_anywhere(proxied: Guarded, what: str) -> None:
    request = REPRESENTATIVE[what]
    body_at = request.index(b"\r\n\r\n") + 4
    with proxied.talk() as talk:
        expected = told(talk.say(request).answer()), arrived(proxied.behind.take())
        for cut in range(body_at, len(request)):
            talk.say(request[:cut], request[cut:] + FOLLOWER[:20], FOLLOWER[20:], pause=PAUSE)
            assert told(talk.answer()) == expected[0], request[:cut]
            assert told(talk.answer()) == (200, b"ok")
            *first, follower = proxied.behind.take()
            assert arrived(first) == expected[1]
            assert follower.target == b"/public/follower"


def test_empty_lines_between_requests_are_no_requests(proxied: Guarded) -> None:
    with proxied.talk() as talk:
        for pieces in ((b"\r\n" + GET,), (b"\r\n", GET), (b"\r", b"\n", GET), (b"\r\n\r\n" + GET[:5], GET[5:])):
            answer = talk.say(*pieces, pause=0.02).answer()
            assert told(answer) == (200, b"ok")
            assert [seen.target for seen in proxied.behind.take()] == [b"/public/a/b?q=//x"]


def test_a_hundred_requests_in_one_read_get_a_hundred_answers_in_order(proxied: Guarded) -> None:
    requests = [post(b"%d" % number) if number % 3 else compose(b"/public/%d" % number) for number in range(100)]
    proxied.recorder.respond = echo_of
    with proxied.talk() as talk:
        talk.say(b"".join(requests))
        for number in range(100):
            answer = talk.answer()
            assert answer is not None
            assert answer.body == (b"%d" % number if number % 3 else b"/public/%d" % number)
    assert len(proxied.behind.take()) == 100


def echo_of(seen: Seen) -> bytes:
    text = seen.body or seen.target
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def test_an_unfinished_request_holds_up_nobody_else(proxied: Guarded) -> None:
    with proxied.talk() as first, proxied.talk() as second:
        first.say(b"POST /public/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nab")
        time.sleep(0.05)
        assert told(second.say(FOLLOWER).answer()) == (200, b"ok")
        assert told(first.say(b"cde").answer()) == (200, b"ok")
    assert sorted(seen.body for seen in proxied.behind.take()) == [b"", b"abcde"]
