"""Where one request ends and whose the next one is: no client can shift it, for the upstream or for others."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest
from hypothesis import given

from gateway.simulator import RunningSimulator
from tests.frames import ASKING
from tests.harness import WAYS
from tests.talk import CHUNKED, HOST, compose, post
from tests.threats.guarded import Guarded, guard_upstream
from tests.threats.identity import identity_of
from tests.threats.mutation import examples, mutants
from tests.threats.test_mutants import assert_harmless, facts, send, status_class

KNOWN = compose(b"/public/known")
HIDDEN = compose(b"/public/hidden", HOST + b"X-TikTok-Open-Id: evil\r\n")
UNKNOWN = b"Cookie: gateway=" + b"A" * 43 + b"\r\n"
"""A session that the store has to be asked about, and does not know."""


@pytest.fixture(scope="module")
def fast(simulator: RunningSimulator) -> Generator[Guarded]:
    """Gateways of their own: what is shifted here is not to meet other tests."""
    with guard_upstream(simulator, "fast") as guarded:
        yield guarded


@pytest.fixture(scope="module")
def slow(simulator: RunningSimulator) -> Generator[Guarded]:
    with guard_upstream(simulator, "slow") as guarded:
        yield guarded


# A head that comes in two packets: what is kept of it must be all of it


def test_nobody_gets_the_identity_of_somebody_whose_head_came_in_two_packets(proxied: Guarded) -> None:
    rest = b"Host: app.example\r\nX-Only-Here: 1\r\n\r\n"
    with proxied.talk() as talk:
        first = b"GET /private/a HTTP/1.1\r\nCookie: " + proxied.cookie + b"\r\nX-A: b"
        answer = talk.say(first, b"c\r\n" + rest, pause=0.03).answer()
        assert answer is not None
        assert answer.status == 200
    proxied.behind.take()
    proxied.refuses(b"GET /private/b HTTP/1.1\r\n" + rest, 401)
    seen = proxied.forwarded(b"GET /public/b HTTP/1.1\r\n" + rest)
    assert identity_of(seen.fields) == ()
    assert not seen.every(b"x-a")


def test_a_request_without_a_host_is_refused_whatever_came_before_it(proxied: Guarded) -> None:
    rest = b"X-Only-There: 1\r\n\r\n"
    with proxied.talk() as talk:
        talk.say(b"GET /public/a HTTP/1.1\r\nHost: app.example\r\nX-A: b", b"c\r\n" + rest, pause=0.03)
        answer = talk.answer()
        assert answer is not None
        assert answer.status == 200
    proxied.behind.take()
    proxied.refuses(b"GET /public/b HTTP/1.1\r\n" + rest, 400)


# A head that has begun: what follows belongs to it, whatever it looks like


@pytest.mark.parametrize(
    "before",
    [
        KNOWN + b"GET /public/real HTTP/1.1\r\nX-A: ",
        post(b"abc") + b"GET /public/real HTTP/1.1\r\nX-A: ",
        compose(fields=CHUNKED, method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n") + b"GET /public/real HTTP/1.1\r\nX-A: ",
        b"GET /public/real HTTP/1.1\r\nX-A: ",
    ],
    ids=["after a GET", "after a counted body", "after a chunked body", "first"],
)
def test_what_follows_half_a_head_is_the_rest_of_it(proxied: Guarded, before: bytes) -> None:
    assert proxied.forwarded(KNOWN).target == b"/public/known"  # so that its header block may be remembered
    with proxied.talk() as talk:
        talk.say(before, KNOWN, pause=0.03)
        for _ in range(before.count(b" HTTP/1.1")):
            answer = talk.answer()
            assert answer is not None
            assert answer.status == 200
    last = proxied.behind.take()[-1]
    assert (last.target, last.every(b"x-a")) == (b"/public/real", [b"GET /public/known HTTP/1.1"])


def test_what_follows_half_a_request_line_is_no_request(proxied: Guarded) -> None:
    assert proxied.forwarded(KNOWN).target == b"/public/known"
    with proxied.talk() as talk:
        answer = talk.say(KNOWN + b"GET /pub", KNOWN, pause=0.03).answer()
        assert answer is not None
        assert answer.status == 200
        after = talk.answer()
        assert after is not None
        assert after.status == 400
    assert len(proxied.behind.take()) == 1


@pytest.mark.parametrize("way", WAYS)
def test_half_a_head_behind_a_request_has_only_the_time_of_a_head(simulator: RunningSimulator, way: str) -> None:
    limits = {"limits__head_timeout": "500ms", "limits__keep_alive": "60s"}
    with guard_upstream(simulator, way, **limits) as guarded, guarded.talk() as talk:
        answer = talk.say(KNOWN + b"GET /pub").answer()
        assert answer is not None
        assert talk.settled(8)


# A body that came before the gate has decided


@pytest.mark.parametrize("pause", [0.0, 0.02])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"GET", b"DELETE"])
def test_a_body_of_somebody_unknown_is_counted_for_the_upstream_as_it_was(
    proxied: Guarded, method: bytes, pause: float
) -> None:
    fields = HOST + UNKNOWN + b"Content-Length: %d\r\n" % len(HIDDEN)
    for cut in (0, 1, len(HIDDEN) // 2, len(HIDDEN)):
        with proxied.talk() as talk:
            head = compose(b"/optional/x", fields, method=method)
            answer = talk.say(head + HIDDEN[:cut], HIDDEN[cut:], pause=pause).answer()
            assert answer is not None
            assert answer.status == 200
        assert proxied.status(compose(b"/public/after")) == 200
        seen = proxied.behind.take()
        assert [(each.path, each.body) for each in seen] == [(b"/optional/x", HIDDEN), (b"/public/after", b"")]


@examples(400)
@given(
    mutants(
        (
            post(b"a=1&b=2", UNKNOWN, target=b"/optional/x"),
            compose(
                b"/optional/x", CHUNKED + UNKNOWN, method=b"PUT", body=b"4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\n\r\n"
            ),
            compose(b"/private/x", HOST + UNKNOWN),
        )
    )
)
def test_both_ways_judge_and_forward_a_mutant_of_somebody_unknown_alike(
    fast: Guarded, slow: Guarded, sent: bytes
) -> None:
    found, seen = send(fast, sent)
    found_slowly, seen_slowly = send(slow, sent)
    assert_harmless(sent, found, seen)
    assert_harmless(sent, found_slowly, seen_slowly)
    assert status_class(found) == status_class(found_slowly), sent
    assert facts(seen) == facts(seen_slowly), sent


# An upgrade that is not ours: the request is one like any other, body and all


UPGRADES = [
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n",
]


@pytest.mark.parametrize("fields", UPGRADES)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_body_of_a_request_with_an_ignored_upgrade_is_its_body(
    proxied: Guarded, fields: bytes, in_pieces: bool
) -> None:
    request = post(HIDDEN, fields)
    cut = len(request) - len(HIDDEN)
    with proxied.talk() as talk:
        answer = talk.say(*([request[:cut], request[cut:]] if in_pieces else [request]), pause=0.03).answer()
        assert answer is not None
        assert answer.status in {200, 400}
        time.sleep(0.05)
    seen = proxied.behind.take()
    assert [(each.path, each.body) for each in seen] in ([], [(b"/public/x", HIDDEN)])


@pytest.mark.parametrize("target", [b"/oauth2/auth", b"/oauth2/auth/x?y", b"/oauth2/ext_authz/x"])
@pytest.mark.parametrize("fields", [*UPGRADES, ASKING.removeprefix(HOST)])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_nothing_in_the_body_of_a_check_is_a_request(
    proxied: Guarded, target: bytes, fields: bytes, method: bytes
) -> None:
    for framing, body in (
        (b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    ):
        with proxied.talk() as talk:
            answer = talk.say(compose(target, HOST + fields + framing, method=method, body=body)).answer()
            assert answer is not None
            assert answer.status == 400
            assert talk.ends()
        assert proxied.behind.take() == []


@pytest.mark.parametrize("fields", UPGRADES)
def test_a_request_behind_one_with_an_ignored_upgrade_is_answered_or_the_connection_ends(
    proxied: Guarded, fields: bytes
) -> None:
    with proxied.talk() as talk:
        answer = talk.say(compose(fields=HOST + fields) + compose(b"/public/second")).answer()
        assert answer is not None
        assert answer.status == 200
        assert talk.settled(5)
        second = talk.answer()
        assert second is None or second.status == 200


@pytest.mark.parametrize(
    "request_",
    [
        compose(b"/public/socket", ASKING + b"Content-Length: 3\r\n", body=b"abc"),
        compose(b"/public/socket", ASKING + b"Content-Length: 3\r\n", method=b"POST", body=b"abc"),
        compose(b"/public/socket", ASKING + b"Transfer-Encoding: chunked\r\n", body=b"3\r\nabc\r\n0\r\n\r\n"),
    ],
    ids=["GET", "POST", "chunked"],
)
def test_a_handshake_with_a_body_is_refused_and_not_kept_waiting_for_ever(
    simulator: RunningSimulator, request_: bytes
) -> None:
    """No timer looks at such a connection: whoever asks so holds it for as long as they like."""
    limits = {"limits__head_timeout": "1s", "limits__body_timeout": "1s", "limits__keep_alive": "1s"}
    with guard_upstream(simulator, "fast", **limits) as guarded, guarded.talk() as talk:
        assert talk.say(request_).settled(6)


# An answer before its request has ended


@pytest.mark.parametrize("behind", [KNOWN, post(b"paid") + KNOWN], ids=["GET", "POST"])
def test_a_request_that_arrives_upstream_is_answered(proxied: Guarded, behind: bytes) -> None:
    """Behind one that was refused before its body had come: it is read and answered, or not read at all."""
    refused = post(b"abcdef", UNKNOWN, target=b"/private/x")
    with proxied.talk() as talk:
        talk.say(refused[:-3], refused[-3:] + behind, pause=0.03)
        statuses: list[int] = []
        while len(statuses) < 1 + behind.count(b" HTTP/1.1") and (answer := talk.answer()) is not None:
            statuses.append(answer.status)
    assert statuses[0] == 401
    assert len(proxied.behind.take()) == statuses.count(200)


def test_connect_is_405_in_its_own_form_too(proxied: Guarded) -> None:
    """As the table has it; RFC 9112 §3.2.3 gives it an authority for a target."""
    proxied.refuses(compose(b"app.example:443", method=b"CONNECT"), 405)


@pytest.mark.parametrize("target", [b"/public/x", b"/private/x", b"/denied/x", b"/oauth2/livez", b"/oauth2/webhook"])
@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: chunked, gzip",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Content-Length: 3\r\nContent-Length: 3",
        b"Content-Length: +3",
        b"Content-Length: 3, 3",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 0x3",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_framing_that_is_refused_ends_the_connection(
    proxied: Guarded, target: bytes, framing: bytes, version: bytes
) -> None:
    """Nobody can know where the next request begins (RFC 9112 §6.3)."""
    request = compose(target, HOST + framing + b"\r\n", method=b"POST").replace(b"HTTP/1.1", b"HTTP/" + version)
    with proxied.talk() as talk:
        answer = talk.say(request + HIDDEN, b"3\r\nabc\r\n0\r\n\r\n" + HIDDEN, pause=0.005).answer()
        assert answer is not None
        assert answer.status == 400
        assert answer.says_close
        assert talk.ends()
    assert not proxied.behind.take()
