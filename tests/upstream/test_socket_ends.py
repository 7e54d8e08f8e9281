"""How WebSockets end: what one end says reaches the other, and an end that is gone is told to the other in time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from gateway.simulator import RunningSimulator
from tests.frames import BINARY, CLOSE, TEXT, close, frame
from tests.harness import Browser, serve_gateway
from tests.scripted import scripted
from tests.talk import compose
from tests.upstream.conftest import TIMEOUTS, Stage, echo_paths
from tests.upstream.sockets import Far, Near, goodbye, joined, message

CODES = [
    (1000, b""),
    (1000, b"bye"),
    (1001, b"going"),
    (1011, b"oh"),
    (3000, b""),
    (4000, b"x" * 123),
    (4999, "é".encode()),
]


@pytest.mark.parametrize(("code", "reason"), CODES)
def test_the_clients_goodbye_reaches_the_upstream(stage: Stage, code: int, reason: bytes) -> None:
    with joined(stage) as (near, far):
        near.talk.say(close(code, reason, masked=True))
        heard = goodbye(far.hears)
        assert heard is not None
        assert (heard.close_code, heard.payload[2:], heard.masked) == (code, reason, True)
        replied = goodbye(near.hears)
        assert replied is not None
        assert replied.close_code == code
        assert near.talk.rest() == b""


@pytest.mark.parametrize(("code", "reason"), CODES)
def test_the_upstreams_goodbye_reaches_the_client(stage: Stage, code: int, reason: bytes) -> None:
    with joined(stage) as (near, far):
        far.say(frame(TEXT, b"last words"))
        far.say_close(code, reason)
        assert message(near.hears) == (TEXT, b"last words")
        heard = goodbye(near.hears)
        assert heard is not None
        assert (heard.close_code, heard.payload[2:], heard.masked) == (code, reason, False)
        near.talk.say(close(code, masked=True))
        assert near.talk.rest() == b""


def test_a_goodbye_without_a_code_is_one(stage: Stage) -> None:
    with joined(stage) as (near, far):
        near.talk.say(close(None, masked=True))
        heard = goodbye(far.hears)
        assert heard is not None
        assert heard.close_code in {None, 1000}
    with joined(stage) as (near, far):
        far.say_close(None)
        heard = goodbye(near.hears)
        assert heard is not None
        assert heard.close_code in {None, 1000}


def test_what_comes_after_a_goodbye_is_not_a_request(stage: Stage) -> None:
    with joined(stage) as (near, far):
        near.talk.say(close(1000, masked=True) + compose(b"/denied/hidden"))
        assert goodbye(far.hears) is not None
        goodbye(near.hears)
        assert b"HTTP" not in near.talk.rest()
    assert stage.ask(b"/public/next").status == 200


Leave = Callable[[Near, Far], None]


@pytest.mark.parametrize(
    "leave",
    [
        lambda near, far: near.talk.vanish(),
        lambda near, far: near.talk.__exit__(),
        lambda near, far: (near.talk.say(frame(TEXT, b"x" * 1000, masked=True)[:500]), near.talk.vanish()),
        lambda near, far: (near.talk.say(frame(TEXT, b"x" * 1000, masked=True)[:500]), near.talk.__exit__()),
    ],
    ids=["resets", "closes", "resets within a frame", "closes within a frame"],
)
def test_a_client_that_is_gone_is_told_to_the_upstream(stage: Stage, leave: Leave) -> None:
    with joined(stage) as (near, far):
        near.say(TEXT, b"hello")
        assert message(far.hears) == (TEXT, b"hello")
        leave(near, far)
        heard = goodbye(far.hears)
        assert heard is None or heard.close_code == 1001


@pytest.mark.parametrize(
    "leave",
    [
        lambda near, far: far.vanish(),
        lambda near, far: far.hang_up(),
        lambda near, far: (far.say(frame(TEXT, b"x" * 1000)[:500]), far.hang_up()),
    ],
    ids=["resets", "closes", "closes within a frame"],
)
def test_an_upstream_that_is_gone_is_told_to_the_client(stage: Stage, leave: Leave) -> None:
    with joined(stage) as (near, far):
        far.say(frame(TEXT, b"hello"))
        assert message(near.hears) == (TEXT, b"hello")
        leave(near, far)
        heard = goodbye(near.hears)
        assert heard is None or heard.close_code == 1011
        near.talk.say(close(1011, masked=True))
        assert near.talk.rest() == b""


def test_a_client_that_never_answers_a_goodbye_is_not_waited_for_for_ever(stage: Stage) -> None:
    with joined(stage) as (near, far):
        far.say_close(4000)
        far.hang_up()
        assert goodbye(near.hears) is not None
        near.talk.wait_at_most(20)
        assert near.talk.rest() == b""


def signed_in(browser: Browser, stage: Stage) -> bytes:
    stage.upstream.follow(echo_paths)
    assert browser.sign_in().status_code == 200
    return b"Cookie: gateway=" + browser.client.cookies["gateway"].encode() + b"\r\n"


def test_a_sign_out_closes_both_ends_with_4401(stage: Stage) -> None:
    with Browser(stage.running.url) as browser:
        cookie = signed_in(browser, stage)
        with joined(stage, target=b"/private/socket", asks=cookie) as (near, far):
            near.say(TEXT, b"hello")
            assert message(far.hears) == (TEXT, b"hello")
            browser.fetch("/oauth2/sign_out", method="POST")
            heard = goodbye(near.hears)
            assert heard is not None
            assert heard.close_code == 4401
            far_heard = goodbye(far.hears)
            assert far_heard is None or far_heard.close_code in {1001, 4401}


@pytest.mark.parametrize("who", ["near", "far"])
def test_a_sign_out_in_the_middle_of_a_frame_puts_nothing_into_it(stage: Stage, who: str) -> None:
    """The close frame waits for the frame to end, or the connection ends: never is it read as part of a message."""
    whole = frame(BINARY, b"x" * 10_000, masked=who == "near")
    with Browser(stage.running.url) as browser:
        cookie = signed_in(browser, stage)
        with joined(stage, target=b"/private/socket", asks=cookie) as (near, far):
            say = near.talk.say if who == "near" else far.say
            hears = far.hears if who == "near" else near.hears
            say(whole[:6000])
            time.sleep(0.05)
            browser.fetch("/oauth2/sign_out", method="POST")
            time.sleep(0.05)
            with contextlib.suppress(OSError):  # it may be closed already
                say(whole[6000:])
            heard = hears()
            assert heard is None or heard.opcode == CLOSE or heard.payload == b"x" * 10_000
            if heard is not None and heard.opcode != CLOSE:
                heard = hears()
            assert heard is None or (heard.opcode, heard.close_code) in {(CLOSE, 4401), (CLOSE, 1001)}


def test_an_end_that_does_not_answer_a_sign_out_is_cut_off(stage: Stage) -> None:
    with Browser(stage.running.url) as browser:
        cookie = signed_in(browser, stage)
        with joined(stage, target=b"/private/socket", asks=cookie, polite=False) as (near, _):
            browser.fetch("/oauth2/sign_out", method="POST")
            assert goodbye(near.hears) is not None
            near.say(TEXT, b"I stay")
            near.talk.wait_at_most(20)
            assert near.talk.rest() == b""


def test_a_socket_of_the_anonymous_does_not_hear_of_anybodys_sign_out(stage: Stage) -> None:
    with Browser(stage.running.url) as browser:
        signed_in(browser, stage)
        with joined(stage) as (near, far):
            browser.fetch("/oauth2/sign_out", method="POST")
            near.say(TEXT, b"hello")
            assert message(far.hears) == (TEXT, b"hello")


def test_a_socket_in_which_nobody_says_anything_ends_with_1001(simulator: RunningSimulator) -> None:
    with (
        scripted() as upstream,
        serve_gateway(simulator, upstream.url, limits__websocket_idle="1s", **TIMEOUTS) as running,
        joined(Stage(running, upstream)) as (near, far),
    ):
        for _ in range(3):
            time.sleep(0.5)
            near.say(TEXT, b"still here")
            assert message(far.hears) == (TEXT, b"still here")
        heard = goodbye(near.hears)
        assert heard is not None
        assert heard.close_code == 1001
        heard = goodbye(far.hears)
        assert heard is not None
        assert heard.close_code == 1001
