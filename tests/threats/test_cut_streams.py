"""Many requests on one connection, cut into packets anywhere: each is read as what it is, with its own headers."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.recorder import Seen
from tests.talk import CHUNKED, HOST, compose, post
from tests.threats.guarded import Guarded, guard_upstream
from tests.threats.mutation import examples

UNKNOWN = b"Cookie: gateway=" + b"A" * 43 + b"\r\n"


@dataclass(frozen=True)
class Kind:
    """A request, the status of its answer, and what of it arrives where it passes."""

    request: bytes
    status: int = 200
    body: bytes = b""
    mark: bytes = b""  # its X-Mark


KINDS = (
    Kind(compose()),
    Kind(compose(fields=b"X-Mark: first\r\n" + HOST), mark=b"first"),
    Kind(compose(fields=HOST + b"X-Mark: last\r\n"), mark=b"last"),
    Kind(compose(fields=b"X-Mark: GET /public/y HTTP/1.1\r\n" + HOST), mark=b"GET /public/y HTTP/1.1"),
    Kind(compose(b"/optional/x", b"X-Mark: who\r\n" + UNKNOWN + HOST), mark=b"who"),
    Kind(compose(method=b"HEAD")),
    Kind(post(b"hello=world"), body=b"hello=world"),
    Kind(post(b"hello=world", UNKNOWN, target=b"/optional/x"), body=b"hello=world"),
    Kind(post(b"GET /public/y HTTP/1.1\r\n" + HOST + b"\r\n"), body=b"GET /public/y HTTP/1.1\r\n" + HOST + b"\r\n"),
    Kind(compose(fields=CHUNKED, method=b"PUT", body=b"5\r\nhello\r\n6\r\n=world\r\n0\r\n\r\n"), body=b"hello=world"),
    Kind(compose(b"/private/x"), 401),
    Kind(compose(b"/private/x", HOST + UNKNOWN), 401),
    Kind(compose(b"/denied/x"), 403),
    Kind(compose(b"/public/%2f"), 400),
    Kind(compose(b"/oauth2/livez")),
)


def expected(kinds: list[Kind]) -> list[tuple[bytes, bytes, bytes, bytes]]:
    return [
        (words[0], words[1], kind.mark, kind.body)
        for kind in kinds
        if kind.status == 200 and (words := kind.request.split(b" "))[1] != b"/oauth2/livez"
    ]


def arrived(seen: list[Seen]) -> list[tuple[bytes, bytes, bytes, bytes]]:
    return [(each.method, each.target, b"".join(each.every(b"x-mark")), each.body) for each in seen]


@pytest.fixture(scope="module", params=WAYS)
def cut(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    """A gateway of its own: what may be kept of heads that came in pieces is not to meet other tests."""
    with guard_upstream(simulator, request.param) as guarded:
        yield guarded


@examples(400)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 1200), max_size=5),
)
@example(kinds=[KINDS[1], KINDS[0]], cuts=[60, len(KINDS[1].request)])
@example(kinds=[KINDS[0], KINDS[0], KINDS[3]], cuts=[len(KINDS[0].request), 2 * len(KINDS[0].request) + 32])
def test_a_stream_of_requests_means_the_same_however_it_is_cut(
    cut: Guarded, kinds: list[Kind], cuts: list[int]
) -> None:
    cut.behind.reset()
    stream = b"".join(kind.request for kind in kinds)
    places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    with cut.talk() as talk:
        talk.say(*(stream[a:b] for a, b in itertools.pairwise(places)), pause=0.002)
        for kind in kinds:
            answer = talk.answer(head=kind.request.startswith(b"HEAD "))
            assert answer is not None, kind
            assert answer.status == kind.status, kind
    assert arrived(cut.behind.take()) == expected(kinds)


@pytest.fixture(scope="module", params=WAYS)
def asking(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    """A gateway that remembers nobody: each request of somebody signed in waits for the store."""
    with guard_upstream(simulator, request.param, session__cache_for="0s") as guarded:
        yield guarded


@examples(60)
@given(body=st.binary(min_size=1, max_size=300), cut=st.integers(0, 300), method=st.sampled_from([b"POST", b"GET"]))
def test_a_body_stays_a_body_while_the_store_is_asked(asking: Guarded, body: bytes, cut: int, method: bytes) -> None:
    fields = HOST + b"Cookie: " + asking.cookie + b"\r\nContent-Length: %d\r\n" % len(body)
    request = compose(b"/private/x", fields, method=method)
    with asking.talk() as talk:
        answer = talk.say(request + body[:cut], body[cut:], pause=0.002).answer()
        assert answer is not None
        assert answer.status == 200
    (seen,) = asking.behind.take()
    assert (seen.method, seen.body) == (method, body)
    assert seen.every(b"content-length") == [b"%d" % len(body)]
