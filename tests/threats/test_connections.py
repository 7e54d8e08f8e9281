"""Connections of clients: kept, closed and used again as HTTP/1.1 has it, whatever the upstream answers."""

from __future__ import annotations

import pytest

from tests.recorder import Seen, ok
from tests.talk import CHUNKED, HOST, Answer, Talk, compose, post
from tests.threats.guarded import Guarded

BODILESS = b"HTTP/1.1 %d Nothing\r\n%b\r\n"


def heard(talk: Talk, request: bytes) -> Answer:
    answer = talk.say(request).answer(head=request.startswith(b"HEAD "))
    assert answer is not None
    return answer


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_http_1_0_is_answered_and_closed(guarded: Guarded, connection: bytes) -> None:
    with guarded.talk() as talk:
        request = compose(fields=HOST + connection).replace(b"HTTP/1.1", b"HTTP/1.0")
        answer = heard(talk, request + compose(b"/public/hidden"))
        assert (answer.status, answer.body, talk.ends()) == (200, b"ok", True)
    assert [seen.path for seen in guarded.behind.take()] == [b"/public/x"]


def test_http_1_0_that_wants_to_stay_is_told_whether_it_may(guarded: Guarded) -> None:
    request = compose(fields=HOST + b"Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    with guarded.talk() as talk:
        answer = heard(talk, request)
        assert answer.status == 200
        if answer.says_close:
            assert talk.ends()
        else:
            assert answer.every(b"connection") == [b"keep-alive"]
            assert heard(talk, request).status == 200


def test_http_1_0_without_a_host_is_refused(guarded: Guarded) -> None:
    """Nobody could say whose request it is: the routes may depend on the host."""
    guarded.refuses(b"GET /public/x HTTP/1.0\r\n\r\n", 400)


@pytest.mark.parametrize("name", [b"livez", b"readyz"])
def test_a_probe_of_http_1_0_needs_no_host(guarded: Guarded, name: bytes) -> None:
    """As load balancers ask: whose health it is, is no question."""
    assert guarded.status(b"GET /oauth2/" + name + b" HTTP/1.0\r\n\r\n") == 200
    assert guarded.status(b"GET /oauth2/" + name + b" HTTP/1.0\r\n" + HOST + b"\r\n") == 200
    for line in (b"/x HTTP/1.0", b"/../userinfo HTTP/1.0", b"?a=b HTTP/1.0", b" HTTP/1.0\r\nHost: a@b", b" HTTP/1.1"):
        assert guarded.status(b"GET /oauth2/" + name + line + b"\r\n\r\n") == 400


@pytest.mark.parametrize("target", [b"/public/x", b"/private/x", b"/public/%00", b"/oauth2/userinfo", b"/denied/x"])
def test_head_gets_the_head_of_the_get_and_no_body(guarded: Guarded, target: bytes) -> None:
    with guarded.talk() as talk:
        told = [heard(talk, compose(target, method=method)) for method in (b"HEAD", b"GET")]
        assert told[0].status == told[1].status
        framing = {b"content-length", b"transfer-encoding"}
        assert {name for name, _ in told[0].fields} - framing == {name for name, _ in told[1].fields} - framing
        assert heard(talk, compose(b"/public/after")).body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
@pytest.mark.parametrize("fields", [b"", b"Content-Length: 0\r\n", b"ETag: x\r\n"])
def test_answers_without_a_body_end_where_they_end(proxied: Guarded, status: int, method: bytes, fields: bytes) -> None:
    proxied.recorder.respond = lambda seen: BODILESS % (status, fields) if seen.path == b"/public/x" else ok(seen)
    with proxied.talk() as talk:
        for _ in range(2):
            answer = heard(talk, compose(method=method, fields=HOST + b"Content-Length: 0\r\n" * (method == b"POST")))
            assert (answer.status, answer.body) == (status, b"")
            assert not answer.every(b"transfer-encoding")
            assert answer.every(b"content-length") in ([], [b"0"])
            assert heard(talk, compose(b"/public/after")).body == b"ok"


@pytest.mark.parametrize(
    "way",
    ["counted", "chunked", "then closed", "counted 0", "chunked 0"],
)
def test_every_framing_of_an_answer_is_framed_for_the_client(proxied: Guarded, way: str) -> None:
    answers = {
        "counted": b"Content-Length: 5\r\n\r\nhello",
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n",
        "then closed": b"Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        "counted 0": b"Content-Length: 0\r\n\r\n",
        "chunked 0": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    }
    proxied.recorder.respond = lambda seen: b"HTTP/1.1 200 OK\r\n" + answers[way]
    with proxied.talk() as talk:
        for _ in range(3):
            answer = heard(talk, compose())
            assert (answer.status, answer.whole) == (200, True)
            assert answer.body == (b"" if way.endswith("0") else b"hello")
            assert not answer.every(b"x-t")


def test_expect_is_answered_once_it_is_clear_that_the_body_is_wanted(guarded: Guarded) -> None:
    with guarded.talk() as talk:
        head = compose(fields=HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n", method=b"POST")
        talk.say(head)
        assert talk.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert heard(talk, b"abc").status == 200
        assert heard(talk, compose()).status == 200
    first, _ = guarded.behind.take()
    assert (first.body, first.every(b"expect")) == (b"abc", [] if guarded.own_server else first.every(b"expect"))


def test_a_client_of_http_1_0_is_never_told_to_go_on(proxied: Guarded) -> None:
    request = post(b"abc", b"Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    with proxied.talk() as talk:
        answer = heard(talk, request)
        assert (answer.status, answer.interim) == (200, ())  # RFC 9110 §10.1.1
    assert proxied.behind.take()[0].body == b"abc"


@pytest.mark.parametrize("target", [b"/private/x", b"/denied/x", b"/public/%00"])
def test_expect_of_a_refused_request_is_refused_without_asking_for_the_body(guarded: Guarded, target: bytes) -> None:
    hidden = compose(b"/public/hidden")
    fields = HOST + b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(hidden)
    with guarded.talk() as talk:
        answer = heard(talk, compose(target, fields, method=b"POST"))
        assert 400 <= answer.status < 500
        assert answer.interim == ()
        after = talk.say(hidden, compose(b"/public/after"), pause=0.02).answer()
        assert after is None or after.status == 200
    assert [seen.path for seen in guarded.behind.take()] in ([], [b"/public/after"])


def test_an_expectation_that_nobody_knows_is_refused_or_not_handed_on(proxied: Guarded) -> None:
    seen = proxied.forwarded_if_at_all(post(b"abc", b"Expect: 200-ok\r\n"), 417)
    assert seen is None or not seen.every(b"expect")


KINDS: dict[str, tuple[bytes, int]] = {
    "passes": (compose(), 200),
    "with a body": (post(b"abc"), 200),
    "in chunks": (compose(fields=CHUNKED, method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n"), 200),
    "HEAD": (compose(method=b"HEAD"), 200),
    "unauthenticated": (compose(b"/private/x"), 401),
    "unauthenticated with a body": (post(b"abc", target=b"/private/x"), 401),
    "denied": (compose(b"/denied/x"), 403),
    "own page": (compose(b"/oauth2/livez"), 200),
    "no such page": (post(b"abc", target=b"/oauth2/none"), 404),
    "malformed": (compose(b"/public/%2f"), 400),
    "too long": (compose(b"/public/" + b"a" * 9000), 414),
    "method": (compose(method=b"TRACE"), 405),
    "expects": (post(b"abc", b"Expect: 100-continue\r\n"), 200),
}


@pytest.mark.parametrize("first", KINDS)
def test_whatever_came_before_the_next_request_gets_its_own_answer(proxied: Guarded, first: str) -> None:
    """Each kind after each, in one read: the way of one request leaves nothing behind for the next."""
    for second in KINDS:
        with proxied.talk() as talk:
            talk.say(KINDS[first][0] + KINDS[second][0] + compose(b"/public/last"))
            for kind in (first, second):
                answer = talk.answer(head=kind == "HEAD")
                assert answer is not None, (first, second)
                assert answer.status == KINDS[kind][1], (first, second)
            last = talk.answer()
            assert last is not None, (first, second)
            assert last.body == b"ok"
        sent = [KINDS[kind][0] for kind in (first, second)]
        passed = [request for request in sent if b" /public/x " in request and not request.startswith(b"TRACE")]
        expected = [(request.split(b" ")[0], b"abc" if request[:4] == b"POST" else b"") for request in passed]
        assert [(seen.method, seen.body) for seen in proxied.behind.take()] == [*expected, (b"GET", b"")]


def echo_target(seen: Seen) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(seen.target), seen.target)


def test_a_client_that_hangs_up_leaves_its_answer_to_nobody(proxied: Guarded) -> None:
    proxied.recorder.respond = echo_target
    for number in range(30):
        with proxied.talk() as first, proxied.talk() as second:
            first.say(compose(b"/public/gone%d" % number))
            first.vanish()
            assert heard(second, compose(b"/public/here%d" % number)).body == b"/public/here%d" % number
