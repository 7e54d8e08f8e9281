"""Who somebody is: said by the gateway alone, however a client spells it and wherever it says it."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.talk import CHUNKED, HOST, Fields, compose, post
from tests.threats.conftest import fresh
from tests.threats.guarded import Guarded, guard_upstream
from tests.threats.identity import RESERVED, identity_of, spellings

# the fixture only clears the recorder, which each example does too
bounded = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

HANDSHAKE = (
    HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
forgeries = st.lists(spellings().map(lambda name: name + b": evil\r\n"), min_size=1, max_size=6).map(b"".join)


@pytest.fixture(params=["fast", "slow", "under_httptools", "under_h11", "behind_nginx"])
def guarded(request: pytest.FixtureRequest) -> Guarded:
    """Every form, and a real nginx that asks."""
    return fresh(request)


def told(seen: Fields) -> dict[bytes, bytes]:
    """Return what the app is told of somebody; nothing may be told twice."""
    found = identity_of(seen)
    assert len({name for name, _ in found}) == len(found), found
    assert not [field for field in seen if b"evil" in field[1]]
    return {name.lower(): value for name, value in found}


@bounded
@given(forged=forgeries, method=st.sampled_from([b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"POST"]))
@pytest.mark.parametrize("target", [b"/public/x", b"/optional/x"])
def test_nobody_is_told_of_the_anonymous(guarded: Guarded, forged: bytes, method: bytes, target: bytes) -> None:
    guarded.behind.reset()
    for fields in (HOST + forged, forged + HOST):
        seen = guarded.forwarded(compose(target, fields, method=method))
        assert told(seen.fields) == {}


@bounded
@given(forged=forgeries)
def test_somebody_who_is_signed_in_is_told_of_by_the_gateway_alone(guarded: Guarded, forged: bytes) -> None:
    guarded.behind.reset()
    cookie = b"Cookie: a=1; " + guarded.cookie + b"\r\n"
    expected = told(guarded.forwarded(compose(b"/private/x", HOST + cookie)).fields)
    assert {b"x-tiktok-open-id", b"x-tiktok-access-token", b"x-tiktok-scopes"} <= expected.keys()
    for fields in (HOST + forged + cookie, HOST + cookie + forged):
        for target in (b"/private/x", b"/optional/x"):
            assert told(guarded.forwarded(compose(target, fields)).fields) == expected
        assert told(guarded.forwarded(compose(b"/public/x", fields)).fields) == {}


@bounded
@given(forged=forgeries)
def test_a_handshake_tells_nothing_either(guarded: Guarded, forged: bytes) -> None:
    guarded.behind.reset()
    guarded.ask(compose(b"/public/socket", HANDSHAKE + forged))
    (seen,) = guarded.behind.take()
    assert told(seen.fields) == {}
    guarded.ask(compose(b"/private/socket", HANDSHAKE + forged + b"Cookie: " + guarded.cookie + b"\r\n"))
    (seen,) = guarded.behind.take()
    assert b"x-tiktok-open-id" in told(seen.fields)


@bounded
@given(forged=forgeries)
def test_a_trailer_tells_nothing(guarded: Guarded, forged: bytes) -> None:
    guarded.behind.reset()
    request = compose(fields=CHUNKED, method=b"POST", body=b"3\r\nabc\r\n0\r\n" + forged + b"\r\n")
    assert told(guarded.forwarded(request).fields) == {}


@pytest.mark.parametrize(
    "target", [b"/oauth2/livez", b"/oauth2/readyz", b"/oauth2/userinfo", b"/oauth2/none", b"/denied/x", b"/public/%00"]
)
def test_what_does_not_pass_reaches_nobody_and_reflects_nothing(guarded: Guarded, target: bytes) -> None:
    forged = b"".join(name.encode() + b": evil\r\n" for name in RESERVED)
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST"):
        answer = guarded.ask(compose(target, HOST + forged, method=method))
        assert b"evil" not in answer.head + answer.body
    assert guarded.behind.take() == []


@pytest.mark.parametrize("name", RESERVED)
def test_connection_cannot_take_away_what_the_gateway_says(guarded: Guarded, name: str) -> None:
    cookie = b"Cookie: a=1; " + guarded.cookie + b"; b=2\r\n"
    expected = told(guarded.forwarded(compose(b"/private/x", HOST + cookie)).fields)
    named = (
        b"Connection: " + name.encode() + b", cookie, host, x-mine, x-forwarded-for, x-request-id, authorization\r\n"
    )
    seen = guarded.forwarded(compose(b"/private/x", HOST + cookie + named + b"X-Mine: 1\r\nAuthorization: Basic x\r\n"))
    assert told(seen.fields) == expected
    assert seen.every(b"cookie") == [b"a=1; b=2"]
    assert seen.every(b"authorization") == [b"Basic x"]
    assert seen.every(b"host") == [b"app.example"]
    assert seen.every(b"x-forwarded-for") == [b"127.0.0.1"]
    assert len(seen.every(b"x-request-id")) == 1
    assert not seen.every(b"connection")
    # nginx hands `Connection` on to nobody, and what it names to everybody
    assert guarded.by_nginx or not seen.every(b"x-mine")


def test_connection_cannot_take_away_where_a_body_ends(guarded: Guarded) -> None:
    seen = guarded.forwarded(post(b"abc", b"Connection: content-length, content-type\r\nContent-Type: text/plain\r\n"))
    assert (seen.body, seen.every(b"content-length")) == (b"abc", [b"3"])


HOP_BY_HOP = ["Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "TE", "Trailer", "Upgrade"]


@bounded
@given(name=spellings((*HOP_BY_HOP, "HTTP2-Settings")))
def test_what_concerns_one_connection_is_not_handed_on(guarded: Guarded, name: bytes) -> None:
    guarded.behind.reset()
    seen = guarded.forwarded(compose(fields=HOST + name + b": evil\r\n"))
    assert not [value for _, value in seen.fields if b"evil" in value]


def test_the_cookies_of_the_gateway_stay_with_it_and_those_of_the_app_pass(guarded: Guarded) -> None:
    ours = guarded.cookie
    for sent, handed_on in (
        ([ours], []),
        ([ours + b"; a=1"], [b"a=1"]),
        ([b"a=1; " + ours], [b"a=1"]),
        ([b"a=1", ours, b"b=2"], [b"a=1; b=2"]),
        ([b"a=1;" + ours + b";b=2"], [b"a=1;b=2"]),
        ([b"gateway-sign-in=x; " + ours + b'; a=x=y; =z; b; "q'], [b'a=x=y; =z; b; "q']),
        ([b"xgateway=1; gatewayx=2; Gateway=3; " + ours], [b"xgateway=1; gatewayx=2; Gateway=3"]),
    ):
        lines = b"".join(b"Cookie: " + line + b"\r\n" for line in sent)
        for target in (b"/private/x", b"/optional/x", b"/public/x"):
            assert guarded.forwarded(compose(target, HOST + lines)).every(b"cookie") == handed_on
    tossed = b"Cookie: gateway=AAA; " + ours + b"; b=2; gateway=BBB; gateway-sign-in=x; gateway-sign-in=y\r\n"
    assert guarded.forwarded(compose(fields=HOST + tossed)).every(b"cookie") == [b"b=2"]


@pytest.fixture(scope="module", params=WAYS)
def with_all_presets(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    presets = '["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"]'
    custom = '{"X-Who": "{open_id}", "X-TikTok-Username": "u-{username}"}'
    with guard_upstream(simulator, request.param, identity__presets=presets, identity__headers=custom) as guarded:
        yield guarded


@bounded
@given(forged=st.lists(spellings((*RESERVED, "X-Who", "Authorization")).map(lambda n: n + b": evil\r\n"), max_size=6))
def test_every_preset_at_once_says_each_thing_once(with_all_presets: Guarded, forged: list[bytes]) -> None:
    cookie = b"Cookie: " + with_all_presets.cookie + b"\r\n"
    seen = with_all_presets.forwarded(compose(b"/private/x", HOST + b"".join(forged) + cookie))
    said = told(seen.fields)
    who, token = said[b"x-tiktok-open-id"], said[b"x-tiktok-access-token"]
    assert said[b"remote-user"] == said[b"x-webauth-user"] == said[b"x-forwarded-user"] == who
    assert said[b"x-forwarded-access-token"] == token
    assert said[b"x-tiktok-username"].startswith(b"u-")
    assert seen.every(b"x-who") == [who]
    assert seen.every(b"authorization") == [b"Bearer " + token]
    anonymous = with_all_presets.forwarded(compose(fields=HOST + b"".join(forged)))
    assert told(anonymous.fields) == {}
    assert not anonymous.every(b"authorization")
