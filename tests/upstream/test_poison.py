"""What an upstream says too much, too early or to nobody: no other visitor ever reads it."""

from __future__ import annotations

import threading
import time
from random import Random

import pytest

from tests.scripted import Visit
from tests.talk import HOST, compose
from tests.upstream.conftest import Stage, echo_paths

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: evil=1\r\n\r\nevil"
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "counted": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "counted 0": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunked": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunked with a trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", b"hello"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
}


@pytest.mark.parametrize("surplus", [EVIL, b"evil", b"\r\n\r\n" + EVIL, b"0\r\n\r\n" + EVIL, EVIL * 500])
@pytest.mark.parametrize("what", WHOLE)
def test_bytes_after_the_end_of_an_answer_reach_nobody(stage: Stage, what: str, surplus: bytes) -> None:
    said, body = WHOLE[what]
    stage.first_say(said + surplus)
    with stage.talk() as talk:
        answer = talk.say(compose()).answer()
        assert answer is not None
        assert (answer.body, b"evil" in answer.head) == (body, False)
        again = talk.say(compose(b"/public/again")).answer()
        assert again is None or again.body == b"/public/again"
    stage.assert_next_is_served()


@pytest.mark.parametrize("what", WHOLE)
def test_an_answer_that_nobody_asked_for_reaches_nobody(stage: Stage, what: str) -> None:
    said, body = WHOLE[what]
    late = threading.Event()

    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
        elif visit.head():
            visit.say(said)
            late.wait(5)
            visit.say(EVIL)
            visit.rest()

    stage.upstream.follow(script)
    assert stage.ask().body == body
    late.set()
    time.sleep(0.05)  # in which it arrives, at a connection that is idle
    stage.assert_next_is_served()
    assert stage.upstream.connections == 2


@pytest.mark.parametrize(
    "said",
    [
        OK + b"Content-Length: 4\r\n\r\nevil",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        OK + b"Content-Length: 0\r\n\r\n" + EVIL,
        OK + b"\r\n" + b"evil",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nevil",
    ],
)
def test_a_body_in_the_answer_to_a_head_reaches_nobody(stage: Stage, said: bytes) -> None:
    stage.first_say(said)
    with stage.talk() as talk:
        answer = talk.say(compose(method=b"HEAD")).answer(head=True)
        assert answer is not None
        assert answer.status in {200, 404}
        again = talk.say(compose(b"/public/again")).answer()
        assert again is None or again.body == b"/public/again"
    stage.assert_next_is_served()


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 4\r\n\r\nevil",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        b"\r\nevil",
        b"Content-Length: 0\r\n\r\n" + EVIL,
    ],
)
def test_a_body_where_none_may_be_reaches_nobody(stage: Stage, status: bytes, rest: bytes) -> None:
    stage.first_say(b"HTTP/1.1 " + status + b"\r\n" + rest)
    with stage.talk() as talk:
        answer = talk.say(compose()).answer()
        assert answer is not None
        assert answer.status in {int(status[:3]), 502}
        assert b"evil" not in answer.body
        again = talk.say(compose(b"/public/again")).answer()
        assert again is None or again.body == b"/public/again"
    stage.assert_next_is_served()


@pytest.mark.parametrize(
    "said",
    [
        OK + b"\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        OK + b"Connection: close\r\n\r\nhello",
        OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_used_again(stage: Stage, said: bytes) -> None:
    stage.first_say(said, hang_up=True)
    answer = stage.ask()
    assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
    stage.assert_next_is_served()
    assert stage.upstream.connections == 2


def test_a_connection_that_says_it_closes_is_not_used_again_though_it_stays(stage: Stage) -> None:
    stage.first_say(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello")
    assert stage.ask().body == b"hello"
    stage.assert_next_is_served()
    assert stage.upstream.connections == 2


def test_the_answer_of_somebody_who_hung_up_reaches_nobody(stage: Stage) -> None:
    release = threading.Event()

    def script(visit: Visit) -> None:
        while head := visit.head():
            path = head.split(b" ")[1]
            if b"gone" in path:
                release.wait(5)
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    stage.upstream.follow(script)
    gone = [stage.talk().say(compose(b"/public/gone%d" % number)) for number in range(5)]
    for talk in gone:
        talk.vanish()
    release.set()
    for number in range(20):
        assert stage.ask(b"/public/here%d" % number).body == b"/public/here%d" % number


def test_whoever_hangs_up_in_the_middle_of_a_body_leaves_the_rest_to_nobody(stage: Stage) -> None:
    def script(visit: Visit) -> None:
        while head := visit.head():
            path = head.split(b" ")[1]
            if b"gone" in path:
                visit.say(OK + b"Content-Length: 1000\r\n\r\nevil", b"evil" * 249, pause=0.05)
            else:
                visit.say(OK + b"Content-Length: %d\r\n\r\n%b" % (len(path), path))

    stage.upstream.follow(script)
    for _ in range(5):
        with stage.talk() as talk:
            talk.say(compose(b"/public/gone"))
            assert talk.exactly(12) == b"HTTP/1.1 200"
            talk.vanish()
        stage.assert_next_is_served()


def misbehave(visit: Visit) -> None:
    """Answer each visitor with their own mark, and now and then badly: by a seed that the mark holds."""
    while head := visit.head():
        mark = head.split(b" ")[1]
        random = Random(mark)
        counted = OK + b"Content-Length: %d\r\n\r\n" % len(mark) + mark
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(mark), mark)
        match random.randrange(8):
            case 0:
                visit.say(counted + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + mark[:4])
            case 1:
                visit.say(counted[: random.randrange(len(counted))])
                return
            case 2:
                visit.say(chunked[: random.randrange(len(chunked))])
                return
            case 3:
                visit.say(counted, b"surplus of " + mark, pause=0.005)
            case 4:
                return
            case 5:
                visit.say(*(chunked[at : at + 9] for at in range(0, len(chunked), 9)), pause=0.001)
            case _:
                visit.say(counted if random.random() < 0.5 else chunked)


def test_among_many_visitors_nobody_reads_a_byte_of_another(stage: Stage) -> None:
    stage.upstream.follow(misbehave)
    wrong: list[tuple[bytes, bytes]] = []
    served: list[int] = []

    def visit(visitor: int) -> None:
        random = Random(visitor)
        for number in range(25):
            mark = b"/public/%02d-%02d" % (visitor, number)
            with stage.talk() as talk:
                talk.say(compose(mark, HOST + b"X-Mark: " + mark + b"\r\n"))
                if random.randrange(6) == 0:
                    talk.vanish()
                    continue
                answer = talk.answer()
                if answer is None or answer.status == 502:
                    continue
                served.append(answer.status)
                if not mark.startswith(answer.body) or (answer.whole and answer.body != mark):
                    wrong.append((mark, answer.body))

    threads = [threading.Thread(target=visit, args=(visitor,)) for visitor in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert wrong == []
    assert len(served) > 100
