"""Caches: what is said to one person is never kept for another, and an app's own word is never weakened."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.harness import WAYS, Browser, listener, url_of
from tests.talk import HOST, Answer, compose
from tests.threats.guarded import Guarded

_DIRECTIVE = re.compile(rb'([^\s,=]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,]*))?')  # RFC 9111 §5.2
OVERRIDES = (b"CDN-Cache-Control", b"Acme-CDN-Cache-Control", b"Surrogate-Control", b"X-Accel-Expires")
LOOSE = (b"public", b"s-maxage=60", b"max-age=60", b"immutable", b"stale-while-revalidate=9")
STRICT = (b"no-store", b"no-cache", b"must-revalidate", b"no-transform", b"private")


def directives(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return what Cache-Control says, names in lower case."""
    return {found[1].lower(): found[2] or b"" for line in lines for found in _DIRECTIVE.finditer(line)}


def varies_on(answer: Answer) -> set[bytes]:
    return {part.strip().lower() for line in answer.every(b"vary") for part in line.split(b",")}


def assert_private(answer: Answer) -> None:
    """Nobody but this person's browser may keep it, and the browser not for somebody else."""
    said = directives(answer.every(b"cache-control"))
    assert b"no-store" in said or said.get(b"private") == b""
    assert not said.keys() & {b"public", b"s-maxage"}
    assert b"no-store" in said or varies_on(answer) & {b"cookie", b"*"}
    assert not [name for name, _ in answer.fields if name.lower() in {override.lower() for override in OVERRIDES}]


def signed_in(guarded: Guarded, target: bytes = b"/private/x", method: bytes = b"GET") -> Answer:
    return guarded.ask(compose(target, HOST + b"Cookie: " + guarded.cookie + b"\r\n", method=method))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.sampled_from([*LOOSE, *STRICT, b'private="x"', b'no-cache="set-cookie"', b"PUBLIC"]), max_size=5),
    lines=st.booleans(),
    extra=st.lists(st.sampled_from([b"Vary: Accept", b"vary: *", b"Vary: accept, COOKIE", b"Expires: 0", b"Age: 1"])),
)
def test_what_is_said_to_somebody_is_private_and_never_weaker_than_the_app_said(
    guarded: Guarded, said: list[bytes], lines: bool, extra: list[bytes]
) -> None:
    joined = said if lines else [b", ".join(said)] if said else []
    fields = [(b"Cache-Control", line) for line in joined]
    for line in extra:
        name, _, value = line.partition(b": ")
        fields.append((name, value))
    guarded.behind.extra = fields
    asked = directives(joined)
    for target in (b"/private/x", b"/optional/x"):
        answer = signed_in(guarded, target)
        assert_private(answer)
        given = directives(answer.every(b"cache-control"))
        for strict in asked.keys() & {b"no-store", b"no-cache", b"must-revalidate", b"no-transform"}:
            assert strict in given
        assert given.get(b"max-age") == asked.get(b"max-age")
        varying = {
            part.strip().lower() for line in extra if line[:4].lower() == b"vary" for part in line[5:].split(b",")
        }
        assert varying <= varies_on(answer)


@pytest.mark.parametrize("name", OVERRIDES)
def test_caches_that_obey_another_field_are_not_told_otherwise(guarded: Guarded, name: bytes) -> None:
    guarded.behind.extra = [(b"Cache-Control", b"max-age=60"), (name, b"max-age=60")]
    assert_private(signed_in(guarded))
    assert guarded.ask(compose()).every(name.lower()) == [b"max-age=60"]


@pytest.mark.parametrize("status", [b"200 OK", b"206 Partial", b"301 Moved", b"304 Not Modified", b"404 Oh", b"500 Oh"])
def test_every_kind_of_answer_to_somebody_is_private(proxied: Guarded, status: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nETag: x\r\nCache-Control: public, max-age=60\r\n"
    body = b"\r\n" if status.startswith(b"304") else b"Content-Length: 2\r\n\r\nok"
    proxied.recorder.respond = lambda seen: head + (body if seen.method == b"GET" else body.removesuffix(b"ok"))
    for method in (b"GET", b"HEAD"):
        with proxied.talk() as talk:
            talk.say(compose(b"/private/x", HOST + b"Cookie: " + proxied.cookie + b"\r\n", method=method))
            answer = talk.answer(head=method == b"HEAD")
            assert answer is not None
            assert answer.status == int(status[:3])
            assert_private(answer)


@pytest.mark.parametrize("target", [b"/public/x", b"/optional/x"])
@pytest.mark.parametrize("said", [b"public, max-age=60", b"s-maxage=60", b"no-store", b"private", b""])
def test_what_is_said_to_everybody_is_the_apps_own_affair(guarded: Guarded, target: bytes, said: bytes) -> None:
    guarded.behind.extra = [(b"Cache-Control", said)] if said else []
    answer = guarded.ask(compose(target))
    assert answer.every(b"cache-control") == ([said] if said else [])


@pytest.mark.parametrize(
    ("said", "alone"),
    [
        ([b"Cache-Control: public, max-age=60"], False),
        ([b"Cache-Control: s-maxage=60", b"Vary: Accept"], False),
        ([b'Cache-Control: private="x-a"'], False),
        ([b"Cache-Control: no-cache"], False),
        ([b"Last-Modified: Sat, 28 Nov 2026 08:00:00 GMT"], False),
        ([], False),
        ([b"Cache-Control: private, max-age=60"], True),
        ([b"Cache-Control: max-age=60", b"Cache-Control: No-Store"], True),
        ([b"Cache-Control: max-age=60", b"Vary: *"], True),
        ([b"Cache-Control: max-age=60", b"Vary: accept, COOKIE"], True),
    ],
)
def test_what_somebody_would_not_be_told_is_kept_apart(guarded: Guarded, said: list[bytes], alone: bool) -> None:
    guarded.behind.extra = [(line.partition(b": ")[0], line.partition(b": ")[2]) for line in said]
    asked = [value for name, value in guarded.behind.extra if name == b"Vary"]
    stale = HOST + b"Cookie: gateway=" + b"a" * 43 + b"\r\n"
    for fields in (HOST, HOST, stale):
        answer = guarded.ask(compose(b"/optional/x", fields))
        assert answer.every(b"cache-control") == [line[15:] for line in said if line.startswith(b"Cache-Control")]
        assert answer.every(b"vary") == (asked if alone else [*asked, b"Cookie"])
        assert guarded.ask(compose(b"/public/x", fields)).every(b"vary") == asked
    assert_private(signed_in(guarded, b"/optional/x"))


OWN = [
    b"/private/x",
    b"/denied/x",
    b"/nowhere",
    b"/public/%00",
    b"/public/" + b"a" * 9000,
    *(
        b"/oauth2/" + page
        for page in (
            b"start",
            b"sign_in",
            b"sign_out",
            b"callback",
            b"userinfo",
            b"account",
            b"auth",
            b"none",
            b"livez",
            b"readyz",
        )
    ),
]


@pytest.mark.parametrize("target", OWN)
def test_answers_of_the_gateway_are_kept_by_nobody(guarded: Guarded, target: bytes) -> None:
    for accept in (b"text/html", b"*/*"):
        for method in (b"GET", b"HEAD", b"POST", b"TRACE"):
            for cookie in (b"", b"Cookie: " + guarded.cookie + b"\r\n"):
                answer = guarded.ask(compose(target, HOST + b"Accept: " + accept + b"\r\n" + cookie, method=method))
                if answer.status != 200 or target.startswith(b"/oauth2/"):
                    assert directives(answer.every(b"cache-control")).keys() == {b"no-store"}, (method, answer)


def test_every_step_of_a_sign_in_is_kept_by_nobody(guarded: Guarded) -> None:
    with Browser(guarded.running.url) as browser:
        begun = browser.navigate("/private/x")
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        ended = browser.fetch("/oauth2/sign_out", method="POST")
        for answer, status in ((begun, 302), (returned, 302), (ended, 200)):
            assert answer.status_code in {status, 303, 204}
            assert answer.headers["cache-control"] == "no-store"
        assert '"cache"' in ended.headers["clear-site-data"]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /public/x HTTP/1.1\r\nHost : x\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        compose(fields=HOST + b"X-A: " + b"a" * 100_000 + b"\r\n"),
        compose(fields=HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        compose(method=b"TRACE"),
    ],
    ids=["malformed", "no HTTP", "too large", "ambiguous", "method"],
)
def test_refusals_of_our_own_server_are_kept_by_nobody(proxied: Guarded, request_: bytes) -> None:
    answer = proxied.ask(request_)
    assert 400 <= answer.status < 500
    assert answer.one(b"cache-control") == b"no-store"


@pytest.mark.parametrize("way", WAYS)
def test_that_the_app_is_away_is_kept_by_nobody(simulator: RunningSimulator, way: str) -> None:
    with listener() as taken:
        nobody = url_of(taken)
    with WAYS[way](simulator, nobody) as running, Browser(running.url) as browser:
        for answer in (browser.navigate("/public/x"), browser.fetch("/public/x"), browser.sign_in()):
            assert (answer.status_code, answer.headers["cache-control"]) == (502, "no-store")
