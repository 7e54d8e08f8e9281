"""Kept connections that die: a safe request is asked once more on a fresh one, and nothing ever happens twice."""

from __future__ import annotations

import threading
import time

import pytest

from tests.scripted import Visit
from tests.talk import CHUNKED, HOST, Answer, compose, post
from tests.upstream.conftest import Stage, echo_paths

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def second_request_meets(stage: Stage, said: bytes, *, vanish: bool = False) -> None:
    """Have the first connection serve one request, read a second one, say this and end; others behave."""

    def script(visit: Visit) -> None:
        if visit.number:
            while head := visit.head():
                stage.upstream.heads.append(head)
                visit.say(OK)
            return
        stage.upstream.heads.append(visit.head())
        visit.say(OK)
        stage.upstream.heads.append(visit.head())
        visit.say(said)
        if vanish:
            visit.vanish()

    stage.upstream.follow(script)
    assert stage.ask(b"/public/first").status == 200


def send(stage: Stage, request: bytes) -> Answer:
    with stage.talk() as talk:
        answer = talk.say(request).answer(head=request.startswith(b"HEAD "))
    assert answer is not None
    return answer


@pytest.mark.parametrize("vanish", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE"])
def test_what_may_happen_twice_is_asked_once_more_on_a_fresh_connection(
    stage: Stage, method: bytes, vanish: bool
) -> None:
    second_request_meets(stage, b"", vanish=vanish)
    assert send(stage, compose(b"/public/second", method=method)).status == 200
    assert [head.split(b" ")[1] for head in stage.upstream.heads] == [b"/public/first", *[b"/public/second"] * 2]
    assert stage.upstream.connections == 2


@pytest.mark.parametrize("vanish", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "request_",
    [
        compose(b"/public/second", HOST + b"Content-Length: 0\r\n", method=b"POST"),
        compose(b"/public/second", method=b"POST"),
        compose(b"/public/second", method=b"PATCH"),
        post(b"abc", target=b"/public/second"),
        compose(b"/public/second", HOST + b"Content-Length: 3\r\n", method=b"PUT", body=b"abc"),
        compose(b"/public/second", CHUNKED, method=b"PUT", body=b"3\r\nabc\r\n0\r\n\r\n"),
        compose(b"/public/second", HOST + b"Content-Length: 3\r\n", method=b"DELETE", body=b"abc"),
    ],
    ids=lambda request: request.split(b" ")[0].decode(),
)
def test_what_may_not_happen_twice_is_502_and_sent_once(stage: Stage, request_: bytes, vanish: bool) -> None:
    second_request_meets(stage, b"", vanish=vanish)
    assert send(stage, request_).status == 502
    time.sleep(0.05)
    assert [head.split(b" ")[1] for head in stage.upstream.heads] == [b"/public/first", b"/public/second"]
    assert send(stage, compose(b"/public/third")).status == 200


@pytest.mark.parametrize("vanish", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize(
    "said",
    [
        b"H",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    ],
)
def test_once_a_byte_has_come_back_nothing_is_asked_again(stage: Stage, said: bytes, vanish: bool) -> None:
    second_request_meets(stage, said, vanish=vanish)
    answer = send(stage, compose(b"/public/second"))
    assert answer.status == 502 or not answer.whole
    time.sleep(0.05)
    assert len(stage.upstream.heads) == 2


def test_a_fresh_connection_that_dies_is_502_and_not_tried_for_ever(stage: Stage) -> None:
    def script(visit: Visit) -> None:
        stage.upstream.heads.append(visit.head())

    stage.upstream.follow(script)
    assert stage.ask().status == 502
    assert len(stage.upstream.heads) == 1

    def script_that_keeps_one(visit: Visit) -> None:
        stage.upstream.heads.append(visit.head())
        if not visit.number:
            visit.say(OK)
            stage.upstream.heads.append(visit.head())

    stage.upstream.follow(script_that_keeps_one)
    assert stage.ask().status == 200
    assert stage.ask().status == 502
    assert len(stage.upstream.heads) == 3


@pytest.mark.parametrize("request_", [compose(b"/public/second"), post(b"abc", target=b"/public/second")])
def test_a_connection_closed_while_idle_is_noticed_and_harms_nobody(stage: Stage, request_: bytes) -> None:
    def script(visit: Visit) -> None:
        if visit.number:
            while head := visit.head():
                visit.body(3 if head.startswith(b"POST") else 0)
                visit.say(OK)
        elif visit.head():
            visit.say(OK)

    stage.upstream.follow(script)
    assert stage.ask().status == 200
    time.sleep(0.05)
    assert send(stage, request_).status == 200
    assert stage.upstream.connections == 2


def test_ten_kept_connections_that_are_all_dead_cost_one_fresh_one(stage: Stage) -> None:
    """A restart of the app closes them all; a reader of the pool must not hand out one dead one after the other."""
    together, reset = threading.Barrier(10), threading.Event()

    def script(visit: Visit) -> None:
        if visit.number >= 10:
            echo_paths(visit)
        elif visit.head():
            together.wait(5)
            visit.say(OK)
            reset.wait(5)

    stage.upstream.follow(script)
    talks = [stage.talk().say(compose()) for _ in range(10)]
    for talk in talks:
        with talk:
            answer = talk.answer()
            assert answer is not None
            assert answer.status == 200
    reset.set()
    for number in range(5):
        assert stage.ask(b"/public/%d" % number).body == b"/public/%d" % number
