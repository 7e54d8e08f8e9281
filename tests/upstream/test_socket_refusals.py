"""What an upstream answers to a WebSocket handshake: a refusal is passed on as it is, and a bad switch is none."""

from __future__ import annotations

import time

import pytest

from tests.frames import ASKING, TEXT, accept_of, close, frame, read_frame, switching
from tests.scripted import Visit, scripted
from tests.talk import HOST, Answer, compose
from tests.upstream.conftest import Stage, echo_paths

SOCKET = compose(b"/public/socket", ASKING)


def ask(stage: Stage) -> Answer:
    with stage.talk() as talk:
        answer = talk.say(SOCKET).answer()
    assert answer is not None
    return answer


@pytest.mark.parametrize("hang_up", [False, True], ids=["stays", "hangs up"])
@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (b"403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, b"no"),
        (b"401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 401, b""),
        (b"404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 404, b"no"),
        (b"426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", 426, b""),
        (b"200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"500 Oh\r\nContent-Length: 3\r\n\r\n\x00\xff\n", 500, b"\x00\xff\n"),
        (b"503 Busy\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\nno", 503, b"no"),
    ],
)
def test_a_refusal_is_passed_on_with_status_and_body(
    stage: Stage, said: bytes, status: int, body: bytes, hang_up: bool
) -> None:
    def script(visit: Visit) -> None:
        if not visit.number and visit.head():
            visit.say(b"HTTP/1.1 " + said.replace(b"\r\n", b"\r\nX-Why: policy\r\n", 1))
            if hang_up:
                return
        echo_paths(visit)

    stage.upstream.follow(script)
    answer = ask(stage)
    assert (answer.status, answer.body, answer.whole) == (status, body, True)
    assert answer.every(b"x-why") == [b"policy"]
    stage.assert_next_is_served()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(stage: Stage, status: int) -> None:
    with scripted() as elsewhere:
        elsewhere.follow(echo_paths)
        location = elsewhere.url.encode() + b"/public/x"
        stage.first_say(b"HTTP/1.1 %d Go\r\nLocation: %b\r\nContent-Length: 2\r\n\r\nno" % (status, location))
        answer = ask(stage)
        assert (answer.status, answer.every(b"location"), answer.body) == (status, [location], b"no")
        assert elsewhere.connections == 0
    assert stage.upstream.connections == 1


def test_a_refusal_gives_away_no_identity_and_sets_no_cookie_of_ours(stage: Stage) -> None:
    stage.first_say(
        b"HTTP/1.1 403 No\r\nSet-Cookie: gateway=evil\r\nSet-Cookie: a=1\r\nX_TikTok-Access.Token: evil\r\n"
        b"Connection: x-hop\r\nX-Hop: evil\r\nContent-Length: 0\r\n\r\n"
    )
    answer = ask(stage)
    assert (answer.status, answer.every(b"set-cookie")) == (403, [b"a=1"])
    assert b"evil" not in answer.head


def switch_by(stage: Stage, change: object) -> None:
    """Have the upstream agree to the handshake with the head that `change` makes of the right one."""
    assert callable(change)

    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
        elif head := visit.head():
            visit.say(change(head))
            visit.rest()

    stage.upstream.follow(script)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: switching(head).replace(accept_of(head), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x"),
        lambda head: switching(head).replace(accept_of(head), accept_of(head).lower()),
        lambda head: switching(head).replace(accept_of(head), b""),
        lambda head: switching(head).replace(accept_of(head), accept_of(b"sec-websocket-key: AAAA\r\n")),
        lambda head: switching(head).replace(b"Sec-WebSocket-Accept", b"X-Accept"),
        lambda head: b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        lambda head: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        lambda head: switching(head).replace(b"HTTP/1.1", b"HTTP/1.1 "),
        lambda head: switching(head).replace(b"\r\n", b"\n"),
        lambda head: switching(head).replace(b"\r\nConnection", b"\rSet-Cookie: evil=1\r\nConnection"),
        lambda head: switching(head, b"X-A: a\x00b\r\n"),
        lambda head: switching(head)[:-2],
        lambda head: b"",
    ],
    ids=[
        "another accept",
        "the accept in lower case",
        "an empty accept",
        "the accept of another key",
        "no accept",
        "a bare 101",
        "another protocol",
        "a status line that is none",
        "bare line feeds",
        "a bare carriage return",
        "a control character",
        "a head without end",
        "nothing",
    ],
)
def test_a_switch_that_proves_nothing_is_none(stage: Stage, change: object) -> None:
    switch_by(stage, change)
    answer = ask(stage)
    assert answer.status in {502, 504}
    assert b"evil" not in answer.head
    stage.assert_next_is_served()


def test_a_switch_gives_away_no_identity_and_sets_no_cookie_of_ours(stage: Stage) -> None:
    fields = (
        b"Set-Cookie: gateway=evil\r\nSet-Cookie: a=1\r\nX-TikTok-Open-Id: evil\r\nX-Why: policy\r\n"
        b"Keep-Alive: evil\r\n"
    )
    switch_by(stage, lambda head: switching(head, fields))
    answer = ask(stage)
    assert answer.status == 101
    assert (answer.every(b"set-cookie"), answer.every(b"x-why")) == ([b"a=1"], [b"policy"])
    assert b"evil" not in answer.head
    assert [value.lower() for value in answer.every(b"upgrade")] == [b"websocket"]
    assert b"upgrade" in [value.lower() for value in answer.every(b"connection")]
    assert answer.every(b"sec-websocket-accept") == [accept_of(SOCKET)]


def test_what_the_upstream_says_with_its_agreement_comes_after_it(stage: Stage) -> None:
    switch_by(stage, lambda head: switching(head) + frame(TEXT, b"at once") + close(1000))
    with stage.talk() as talk:
        answer = talk.say(SOCKET).answer()
        assert answer is not None
        assert answer.status == 101
        said = read_frame(talk.exactly)
        assert said is not None
        assert said.payload == b"at once"


def early(stage: Stage, *, agree: bool) -> tuple[list[bytes], list[bool]]:
    """Have the upstream look, before it agrees or refuses, whether anything came after the handshake's head."""
    heads: list[bytes] = []
    quiet: list[bool] = []

    def script(visit: Visit) -> None:
        while head := visit.head():
            heads.append(head)
            quiet.append(visit.is_quiet(0.1))
            if b"upgrade: websocket" not in head.lower():
                visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            elif agree:
                visit.say(switching(head))
                while said := read_frame(visit.body):
                    visit.say(frame(said.opcode, said.payload))
                return
            else:
                visit.say(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")

    stage.upstream.follow(script)
    return heads, quiet


def test_what_the_client_says_before_the_switch_waits_for_it(stage: Stage) -> None:
    _, quiet = early(stage, agree=True)
    with stage.talk() as talk:
        talk.say(SOCKET, frame(TEXT, b"hello", masked=True) + frame(TEXT, b"world", masked=True), pause=0.03)
        answer = talk.answer()
        assert answer is not None
        assert answer.status == 101
        for expected in (b"hello", b"world"):
            said = read_frame(talk.exactly)
            assert said is not None
            assert said.payload == expected
    assert quiet == [True]


@pytest.mark.parametrize("apart", [False, True], ids=["in one read", "apart"])
@pytest.mark.parametrize("what", [compose(b"/public/hidden"), frame(TEXT, compose(b"/public/hidden"), masked=True)])
def test_what_the_client_says_before_a_refusal_never_reaches_the_upstream(
    stage: Stage, what: bytes, apart: bool
) -> None:
    heads, quiet = early(stage, agree=False)
    with stage.talk() as talk:
        talk.say(*([SOCKET, what] if apart else [SOCKET + what]), pause=0.03)
        answer = talk.answer()  # nobody may speak before the switch (RFC 6455 §4.1): to close is an answer too
        assert answer is None or answer.status == 400 or (answer.status, answer.body) == (403, b"no")
        after = talk.answer()
        assert after is None or after.status in {200, 400}
    assert [head for head in heads if b"hidden" in head] in ([], heads[1:])
    assert all(quiet)
    answered = stage.ask(b"/public/next")
    assert answered.status == 200


def test_a_client_that_says_very_much_before_the_switch_is_not_listened_to_for_ever(stage: Stage) -> None:
    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
        else:
            visit.head()
            visit.is_quiet(0.5)
            visit.rest()

    stage.upstream.follow(script)
    with stage.talk() as talk:
        talk.say(SOCKET)
        time.sleep(0.1)  # in which the upstream is asked
        for _ in range(64):
            talk.say(b"x" * 1_000_000)
            if talk.settled(0):
                break
        assert talk.settled(5)
    stage.assert_next_is_served()


def test_the_fields_of_the_handshake_are_each_legs_own(stage: Stage) -> None:
    heads, _ = early(stage, agree=False)
    fields = ASKING.replace(HOST, HOST + b"Transfer-Encoding-X: 1\r\nOrigin: %b\r\n" % stage.running.url.encode())
    with stage.talk() as talk:
        talk.say(compose(b"/public/socket?a=//b", fields)).answer()
    (head,) = heads
    assert head.startswith(b"GET /public/socket?a=//b HTTP/1.1\r\n")
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]]
    assert len(names) == len(set(names))
