"""Requests that are nearly right: both ways of our own server judge them alike, and nothing bad comes of any."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given

from gateway.core.path import canonicalise
from tests.recorder import Seen
from tests.talk import HOST, Talk, compose
from tests.threats.guarded import Guarded
from tests.threats.identity import identity_of
from tests.threats.mutation import BASES, examples, is_one_request, is_surely_whole, mutants

AFTER = compose(b"/public/after")
_CANONICAL = re.compile(rb"(?:/(?:[!\"$&-.0-9:-\[\]-~]|%[0-9A-F]{2})*)+")
_NEEDLESS = re.compile(rb"%(?:2[DEF]|3[0-9]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AEF]|[01][0-9A-F])")
_OPEN = (b"/public", b"/optional")


def outcome(talk: Talk, sent: bytes, *, patience: float) -> int | str:
    """Return the status that is answered, or that nothing is."""
    if not talk.settled(patience):
        return "waits for more"
    answer = talk.answer(head=sent.lstrip(b"\r\n").startswith(b"HEAD "))
    return answer.status if answer is not None else "closed"


def send(guarded: Guarded, sent: bytes) -> tuple[int | str, list[Seen]]:
    """Send a request and see what comes of it: on this connection, behind the gateway, and for others afterwards."""
    guarded.behind.reset()
    with guarded.talk() as talk:
        talk.say(sent)
        found = outcome(talk, sent, patience=8 if is_surely_whole(sent) else 0.02)
        assert found != "waits for more" or not is_surely_whole(sent)
        assert guarded.status(AFTER) == 200
        if found == "waits for more":  # it may have been on its way
            found = outcome(talk, sent, patience=0)
    return found, [seen for seen in guarded.behind.take() if seen.target != b"/public/after"]


def assert_harmless(sent: bytes, found: int | str, seen: list[Seen]) -> None:
    """What must hold for whatever somebody sends who is not signed in."""
    assert not isinstance(found, int) or found < 500, sent
    if is_one_request(sent):
        assert len(seen) <= 1, sent
    for each in seen:
        assert identity_of(each.fields) == ()
        assert each.every(b"x-forwarded-for") == [b"127.0.0.1"]
        assert b"gateway" not in cookie_names(each)
        assert_judged(each.path)


def cookie_names(seen: Seen) -> set[bytes]:
    pairs = [pair for line in seen.every(b"cookie") for pair in line.split(b";")]
    return {pair.partition(b"=")[0].strip(b" \t") for pair in pairs if b"=" in pair}


def assert_judged(path: bytes) -> None:
    """A path that is in the one form, and open to everybody."""
    assert _CANONICAL.fullmatch(path), path
    assert not _NEEDLESS.search(path.replace(b"%25", b"")), path
    assert b"//" not in path
    assert not {b".", b".."} & set(path.split(b"/"))
    assert canonicalise(path).raw == path
    assert path in _OPEN or path.startswith(tuple(prefix + b"/" for prefix in _OPEN)), path


def facts(seen: list[Seen]) -> list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]]:
    """Return what whole requests say, but for the id of each."""
    return [
        (each.method, each.target, sorted(field for field in each.fields if field[0] != b"x-request-id"), each.body)
        for each in seen
        if each.whole
    ]


def status_class(found: int | str) -> int | str:
    return found // 100 if isinstance(found, int) else found


@examples(1500)
@given(mutants(BASES))
@example(compose(b"/public/x", HOST + b"X-TikTok-Open-Id: evil\r\nConnection: close, x-tiktok-open-id\r\n"))
def test_both_ways_judge_and_forward_a_mutant_alike(fast: Guarded, slow: Guarded, sent: bytes) -> None:
    """And what is forwarded is harmless: no identity, an open path in canonical form, one request at most."""
    found, seen = send(fast, sent)
    assert_harmless(sent, found, seen)
    found_slowly, seen_slowly = send(slow, sent)
    assert_harmless(sent, found_slowly, seen_slowly)
    assert status_class(found) == status_class(found_slowly), sent
    assert facts(seen) == facts(seen_slowly), sent


@examples(200)
@given(mutants(BASES))
def test_nothing_bad_comes_of_a_mutant_inside_an_app(inside: Guarded, sent: bytes) -> None:
    """A foreign server answers for its own reading; what it lets through is judged as strictly."""
    inside.behind.reset()
    with inside.talk() as talk:
        talk.say(sent)
        if talk.settled(0.02):
            answer = talk.answer(head=sent.lstrip(b"\r\n").startswith(b"HEAD "))
            assert answer is None or answer.status < 500
        assert inside.status(AFTER) == 200
    for each in inside.behind.take():
        assert identity_of(each.fields) == ()
        assert_judged(each.path)


SIGNED_IN = (
    compose(b"/private/a/../b", HOST + b"Cookie: a=1; %b\r\nAccept: */*\r\n"),
    compose(b"/optional/x", HOST + b"Cookie: %b\r\n"),
    compose(b"/public/x", HOST + b"X-A: 1\r\nCookie: %b; b=2\r\n"),
    compose(b"/private/x", HOST + b"Cookie: %b\r\nConnection: keep-alive\r\n", method=b"DELETE"),
)


@examples(600)
@given(sent=mutants(SIGNED_IN))
@pytest.mark.parametrize("way", ["fast", "slow"])
def test_who_is_signed_in_is_told_exactly_by_the_gateway_or_not_at_all(
    request: pytest.FixtureRequest, way: str, sent: bytes
) -> None:
    guarded: Guarded = request.getfixturevalue(way)
    cookie = guarded.cookie
    told = identity_of(guarded.forwarded(compose(b"/private/x", HOST + b"Cookie: " + cookie + b"\r\n")).fields)
    assert {name for name, _ in told} >= {b"x-tiktok-open-id", b"x-tiktok-access-token"}
    found, seen = send(guarded, sent.replace(b"%b", cookie))
    assert not isinstance(found, int) or found < 500, sent
    assert len(seen) <= 1 or not is_one_request(sent)
    for each in seen:
        if each.path.startswith((b"/public", b"/optional")):
            assert identity_of(each.fields) in ((), told)
        else:
            assert identity_of(each.fields) == told
        assert b"gateway" not in cookie_names(each)
        assert canonicalise(each.path).raw == each.path
