"""What comes back to a browser: the app's answer, and nothing by which somebody could be impersonated."""

from __future__ import annotations

import re

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import Browser
from tests.recorder import Seen
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded
from tests.threats.identity import RESERVED, reads_as_identity, spellings

bounded = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
OURS = {b"gateway", b"gateway-sign-in"}


def answering(fields: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"Content-Length: 2\r\n\r\nok"


def sent_back_as(set_cookie: bytes) -> bytes:
    """Return the name under which a browser sends a cookie back; b"" for none (RFC 6265bis §5.6, §5.8.3)."""
    if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", set_cookie):
        return b""
    name, separator, value = set_cookie.partition(b";")[0].partition(b"=")
    if not separator:
        name, value = b"", name
    name, value = name.strip(b" \t"), value.strip(b" \t")
    return name or value.partition(b"=")[0].strip(b" \t")


COOKIES = [
    b"%b=x",
    b"%b=x; Path=/; HttpOnly; SameSite=Lax",
    b"%b=; Max-Age=0; Path=/",
    b"%b=x; Domain=example",
    b"%b=x; Path=/private",
    b" %b=x",
    b"\t%b=x",
    b"%b =x",
    b"%b\t= x",
    b"=%b=x",
    b" = %b=x",
    b"%b",
    b"%b;Path=/",
    b"%b=x=y",
    b'%b="x"',
    b"%b=x,a=1",
]


@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("name", sorted(OURS))
def test_the_app_cannot_set_a_cookie_of_the_gateway(guarded: Guarded, cookie: bytes, name: bytes) -> None:
    cookie = cookie.replace(b"%b", name)
    names = (b"Set-Cookie", b"SET-COOKIE", b"set-cookie", b"Set-Cookie")
    guarded.behind.extra = list(zip(names, (b"a=1", cookie, cookie, b"b=2; Path=/"), strict=True))
    for target in (b"/public/x", b"/optional/x", b"/private/x"):
        answer = guarded.ask(compose(target, HOST + b"Cookie: " + guarded.cookie + b"\r\n"))
        assert answer.every(b"set-cookie") == [b"a=1", b"b=2; Path=/"]


@bounded
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                b"gateway",
                b"gateway-sign-in",
                b"=",
                b" ",
                b"\t",
                b";",
                b"x",
                b'"',
                b",",
                b"Path=/",
                b"GATEWAY",
                b"__Host-",
            ]
        ),
        max_size=7,
    )
)
def test_no_spelling_of_a_cookie_is_sent_back_as_the_gateways_own(guarded: Guarded, pieces: list[bytes]) -> None:
    cookie = b"".join(pieces)
    guarded.behind.extra = [(b"Set-Cookie", cookie if guarded.own_server else cookie.strip(b" \t"))]
    passed = guarded.ask(compose()).every(b"set-cookie")
    assert not {sent_back_as(each) for each in passed} & OURS
    if re.fullmatch(rb"[A-Za-z-]+=.*", cookie) and cookie.partition(b"=")[0] not in OURS:
        assert passed == [cookie.strip(b" \t")]


@pytest.mark.parametrize("status", [b"200 OK", b"204 No Content", b"302 Found", b"404 Not Found", b"500 Oh"])
def test_two_cookies_of_the_app_stay_two(proxied: Guarded, status: bytes) -> None:
    fields = b"Set-Cookie: a=1; Path=/\r\nX-A: 1\r\nSet-Cookie: a=2; Path=/x\r\n"
    body = b"\r\n" if status.startswith(b"204") else b"Content-Length: 2\r\n\r\nok"
    proxied.recorder.respond = lambda seen: b"HTTP/1.1 " + status + b"\r\n" + fields + body
    answer = proxied.ask(compose())
    assert answer.every(b"set-cookie") == [b"a=1; Path=/", b"a=2; Path=/x"]


@bounded
@given(names=st.lists(spellings(), min_size=1, max_size=5))
def test_identity_that_the_app_says_back_does_not_leave(guarded: Guarded, names: list[bytes]) -> None:
    guarded.behind.extra = [(name, b"secret") for name in names]
    for target in (b"/private/x", b"/optional/x", b"/public/x"):
        for method in (b"GET", b"OPTIONS"):
            answer = guarded.ask(compose(target, HOST + b"Cookie: " + guarded.cookie + b"\r\n", method=method))
            assert answer.status == 200
            assert not [name for name, _ in answer.fields if reads_as_identity(name)]
            assert b"secret" not in answer.head


@pytest.mark.parametrize("where", ["trailer", "103", "100", "connection"])
def test_identity_does_not_leave_by_a_side_door_either(proxied: Guarded, where: str) -> None:
    def say_back(seen: Seen) -> bytes:
        told = b"".join(b"%b: secret\r\n" % name.encode() for name in RESERVED)
        return {
            "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + told + b"\r\n",
            "103": b"HTTP/1.1 103 Early Hints\r\n" + told + b"\r\n" + answering(b""),
            "100": b"HTTP/1.1 100 Continue\r\n" + told + b"\r\n" + answering(b""),
            "connection": answering(told + b"Connection: X-A\r\nX-A: secret\r\nKeep-Alive: secret\r\n"),
        }[where]

    proxied.recorder.respond = say_back
    with proxied.talk() as talk:
        fields = HOST + b"Connection: close\r\nCookie: " + proxied.cookie + b"\r\n"
        received = talk.say(compose(b"/private/x", fields)).rest()
    assert received.startswith(b"HTTP/1.1 ")
    assert b"ok" in received
    assert b"secret" not in received


@pytest.mark.parametrize(
    "target",
    [
        b"/denied/x",
        b"/nowhere",
        b"/public/%00",
        b"/oauth2/none",
        b"/oauth2/auth",
        b"/oauth2/start?rd=/private/x",
        b"/oauth2/sign_in",
        b"/oauth2/callback?code=x&state=y",
        b"/oauth2/userinfo",
        b"/oauth2/account",
        b"/oauth2/sign_out",
        b"/oauth2/livez",
    ],
)
def test_no_answer_of_the_gateway_holds_a_token_or_an_identity_header(guarded: Guarded, target: bytes) -> None:
    seen = guarded.forwarded(compose(b"/private/x", HOST + b"Cookie: " + guarded.cookie + b"\r\n"))
    (token,), (open_id,) = seen.every(b"x-tiktok-access-token"), seen.every(b"x-tiktok-open-id")
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"TRACE"):
        for accept in (b"text/html", b"application/json"):
            fields = HOST + b"Accept: " + accept + b"\r\nCookie: " + guarded.cookie + b"\r\n"
            answer = guarded.ask(compose(target, fields, method=method))
            assert not [name for name, _ in answer.fields if reads_as_identity(name)]
            assert token not in answer.head + answer.body
            assert b"act." not in answer.head + answer.body
            assert b"rft." not in answer.head + answer.body
            assert open_id not in answer.head
    assert guarded.behind.take() == []


def test_no_step_of_a_sign_in_shows_a_token(guarded: Guarded) -> None:
    answers: list[httpx.Response] = []
    with Browser(guarded.running.url) as browser:
        browser.client.event_hooks = {"response": [answers.append]}
        browser.sign_in()
        (seen,) = guarded.behind.take()
        browser.fetch("/oauth2/refresh", method="POST")
        browser.fetch("/oauth2/sign_out", method="POST")
    (token,) = seen.every(b"x-tiktok-access-token")
    assert len(answers) == 5
    for answer in answers:
        text = str(answer.headers) + answer.text
        assert token.decode() not in text
        assert "act." not in text
        assert "rft." not in text
