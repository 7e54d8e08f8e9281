"""Answers that are nearly right: both ways pass the same on or refuse it, and the next visitor never notices."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import pytest
from hypothesis import given

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.scripted import Visit, scripted
from tests.talk import Answer, compose
from tests.threats.mutation import examples, mutants
from tests.upstream.conftest import TIMEOUTS, Stage, echo_paths

OK = b"HTTP/1.1 200 OK\r\n"
BASES = (
    OK + b"Content-Type: text/plain\r\nContent-Length: 11\r\nSet-Cookie: a=1\r\n\r\nhello world",
    OK + b"Transfer-Encoding: chunked\r\nVary: Accept\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    OK + b"Connection: close\r\n\r\nhello world",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nCache-Control: max-age=60\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
)
LINES = (
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 500\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, set-cookie\r\n",
    b"Upgrade: websocket\r\n",
    b"Set-Cookie: gateway=evil\r\n",
    b"X-TikTok-Access-Token: evil\r\n",
    b"Trailer: X-T\r\n",
    b" folded\r\n",
    b"X-A: \r\n",
    b"\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
)


@pytest.fixture(scope="module")
def both(simulator: RunningSimulator) -> Generator[list[Stage]]:
    with contextlib.ExitStack() as stack:
        stages = []
        for serve in WAYS.values():
            upstream = stack.enter_context(scripted())
            stages.append(Stage(stack.enter_context(serve(simulator, upstream.url, **TIMEOUTS)), upstream))
        yield stages


def answer_to(stage: Stage, said: bytes) -> Answer | None:
    """Return what a visitor is told when the app says this, and hangs up."""

    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
        elif visit.head():
            visit.say(said)

    stage.upstream.follow(script)
    with stage.talk() as talk:
        answer = talk.say(compose()).answer()
    stage.assert_next_is_served()
    return answer


def facts(answer: Answer | None) -> object:
    """Return what both ways must agree on."""
    if answer is None or answer.status in {502, 504}:
        return "refused"
    if not answer.whole:
        return answer.status, "cut short"
    framing = {b"content-length", b"transfer-encoding", b"connection", b"date", b"server"}
    return answer.status, answer.body, sorted(field for field in answer.fields if field[0] not in framing)


@examples(150)
@given(said=mutants(BASES, LINES))
def test_both_ways_pass_a_mutant_on_alike_and_it_poisons_nothing(both: list[Stage], said: bytes) -> None:
    told = [answer_to(stage, said) for stage in both]
    for answer in told:
        assert answer is None or answer.status != 500
        if answer is not None:
            assert not answer.every(b"x-tiktok-access-token")
            assert not [value for value in answer.every(b"set-cookie") if value.startswith(b"gateway=")]
    assert facts(told[0]) == facts(told[1]), said
