"""Answers before the request is complete, and answers that take their time: through the whole gateway."""

from __future__ import annotations

import threading
import time

import pytest

from tests.scripted import Visit
from tests.talk import CHUNKED, HOST, compose, post
from tests.upstream.conftest import Stage, echo_paths

MIB = 1024 * 1024
EARLY = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
HIDDEN = b"GET /public/hidden HTTP/1.1\r\nHost: app.example\r\n\r\n"


def paths_after_early_answer(stage: Stage, *, early: bytes, read: int = 0) -> list[bytes]:
    """Have the first connection answer as soon as it has read a head, then go on reading; paths of the others."""
    paths: list[bytes] = []

    def script(visit: Visit) -> None:
        if visit.number:
            while head := visit.head():
                paths.append(head.split(b" ")[1])
                visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        visit.head()
        visit.body(read)
        visit.say(early)
        visit.rest()

    stage.upstream.follow(script)
    return paths


@pytest.mark.parametrize("early", [EARLY, EARLY.replace(b"Content-Length", b"Connection: close\r\nContent-Length")])
def test_an_early_answer_reaches_the_client_and_the_body_reaches_nobody(stage: Stage, early: bytes) -> None:
    paths = paths_after_early_answer(stage, early=early)
    with stage.talk() as talk:
        talk.say(compose(fields=HOST + b"Content-Length: 20000\r\n", method=b"POST", body=HIDDEN))
        answer = talk.answer()
        assert answer is not None
        assert (answer.status, answer.body) == (413, b"no")
        after = talk.say(HIDDEN * (20_000 // len(HIDDEN) - 1), compose(b"/public/after"), pause=0.05).answer()
        assert after is None or after.status == 200
    assert stage.ask(b"/public/next").status == 200
    assert set(paths) <= {b"/public/after", b"/public/next"}


def test_an_early_answer_to_a_chunked_body_reaches_the_client_too(stage: Stage) -> None:
    paths = paths_after_early_answer(stage, early=EARLY)
    chunk = b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN)
    with stage.talk() as talk:
        talk.say(compose(fields=CHUNKED, method=b"POST", body=chunk))
        answer = talk.answer()
        assert answer is not None
        assert answer.status == 413
        after = talk.say(chunk, b"0\r\n\r\n" + compose(b"/public/after"), pause=0.05).answer()
        assert after is None or after.status == 200
    assert stage.ask(b"/public/next").status == 200
    assert set(paths) <= {b"/public/after", b"/public/next"}


def test_an_early_answer_in_the_middle_of_a_large_upload_ends_it(stage: Stage) -> None:
    paths_after_early_answer(stage, early=EARLY, read=100_000)
    with stage.talk() as talk:
        talk.say(compose(fields=HOST + b"Content-Length: %d\r\n" % (64 * MIB), method=b"POST"))
        sender = threading.Thread(target=lambda: [talk.say(b"x" * MIB) for _ in range(64)], daemon=True)
        sender.start()
        answer = talk.answer()
        assert answer is not None
        assert (answer.status, answer.body) == (413, b"no")
        sender.join(timeout=20)
        assert not sender.is_alive()
    assert stage.ask(b"/public/next").status == 200


def test_a_request_of_somebody_who_stops_in_the_middle_is_not_ended_for_them(stage: Stage) -> None:
    bodies: list[bytes] = []

    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
        elif visit.head():
            bodies.append(visit.rest())

    stage.upstream.follow(script)
    for request in (
        compose(fields=HOST + b"Content-Length: 20000\r\n", method=b"POST", body=b"hello"),
        compose(fields=CHUNKED, method=b"POST", body=b"5\r\nhello\r\n"),
    ):
        stage.upstream.follow(script)
        with stage.talk() as talk:
            talk.say(request)
            time.sleep(0.2)
        stage.assert_next_is_served()
    # what has arrived of them, if they were sent on so soon, was not made whole
    assert set(bodies) <= {b"", b"hello", b"5\r\nhello\r\n"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_as_it_was_sent_however_it_is_cut(stage: Stage, chunked: bool) -> None:
    body = bytes(range(256)) * 3000
    got: list[bytes] = []

    def script(visit: Visit) -> None:
        while head := visit.head():
            if b"chunked" in head:
                got.append(unchunk(visit.until(b"\r\n0\r\n\r\n")))
            else:
                got.append(visit.body(len(body)))
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    stage.upstream.follow(script)
    sizes = [1, 2, 70_000, 65_536, 3, 200_000, len(body)]
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    with stage.talk() as talk:
        if chunked:
            framed = [b"%x;n=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
            talk.say(compose(fields=CHUNKED, method=b"PUT"), *framed, b"0\r\nX-T: 1\r\n\r\n", pause=0.01)
        else:
            head = post(body)[: -len(body)]
            talk.say(head, *pieces, pause=0.01)
        answer = talk.answer()
        assert answer is not None
        assert answer.status == 200
    assert got == [body]


def unchunk(text: bytes) -> bytes:
    body = b""
    while text:
        size, _, text = text.partition(b"\r\n")
        body, text = body + text[: int(size, 16)], text[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("pieces", [[b""], [b"HTTP/1.1 200 OK\r\nContent-Le"], [b"HTTP/1.1 103 Early Hints\r\n\r\n"]])
def test_an_upstream_that_does_not_answer_is_504(stage: Stage, pieces: list[bytes]) -> None:
    stage.first_say(*pieces)
    assert stage.ask().status == 504
    stage.assert_next_is_served()


def test_a_head_that_trickles_in_is_504_and_not_waited_for_for_ever(stage: Stage) -> None:
    stage.first_say(*[b"HTTP/1.1 200 OK\r\n", *[b"X-A: 1\r\n"] * 60], pause=0.1)
    assert stage.ask().status == 504
    stage.assert_next_is_served()


def test_a_body_that_trickles_in_is_passed_on_as_it_comes(stage: Stage) -> None:
    stage.first_say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", *[b"x"] * 6, pause=0.3)
    answer = stage.ask()
    assert (answer.status, answer.body, answer.whole) == (200, b"xxxxxx", True)


@pytest.mark.parametrize("framing", [b"Content-Length: 9\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n9\r\n"])
def test_a_body_that_stands_still_is_cut_and_not_ended(stage: Stage, framing: bytes) -> None:
    stage.first_say(b"HTTP/1.1 200 OK\r\n" + framing + b"hello")
    answer = stage.ask()
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", False)
    stage.assert_next_is_served()


def test_http_1_0_is_never_answered_in_chunks(stage: Stage) -> None:
    """Where the answer has a length. Without one, see RFC 9112 §6.1: a 1.0 client knows no chunks."""
    stage.first_say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    with stage.talk() as talk:
        received = talk.say(compose().replace(b"HTTP/1.1", b"HTTP/1.0")).rest()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in received.lower()
    assert received.endswith(b"\r\n\r\nhello")
