"""Where a request comes from: told by the connection, and by fronts that are trusted; never by whoever asks."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.recorder import Seen
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded, guard_upstream
from tests.threats.identity import spellings

SAYING = (
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "X-Request-Id",
    "X-Original-Host",
    "X-Url-Scheme",
    "Forwarded",
)
REBUILT = {
    b"x-forwarded-for": b"127.0.0.1",
    b"x-forwarded-host": b"app.example",
    b"x-forwarded-proto": b"http",
    b"forwarded": b'for=127.0.0.1;host="app.example";proto=http',
}


def lines(*fields: str) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode()


def origin_of(seen: Seen) -> tuple[str, str, str]:
    """Return the client, the host and the scheme that the app is told, each of them once."""
    assert len(seen.every(b"forwarded")) == 1
    (client,) = seen.every(b"x-forwarded-for")
    (host,) = seen.every(b"x-forwarded-host")
    (scheme,) = seen.every(b"x-forwarded-proto")
    return client.decode(), host.decode(), scheme.decode()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(spellings(SAYING), min_size=1, max_size=8))
def test_a_stranger_says_nothing_of_where_it_comes_from(guarded: Guarded, names: list[bytes]) -> None:
    guarded.behind.reset()
    values = (b"6.6.6.6", b"evil.example", b"https", b"for=6.6.6.6;host=evil.example;proto=https")
    forged = b"".join(name + b": " + values[at % len(values)] + b"\r\n" for at, name in enumerate(names))
    seen = guarded.forwarded(compose(fields=forged + HOST + forged))
    for name, value in REBUILT.items():
        assert seen.every(name) == [value]
    (request_id,) = seen.every(b"x-request-id")
    assert request_id.isalnum()
    assert not [value for _, value in seen.fields if b"6.6.6.6" in value or b"evil" in value or b"https" in value]


def test_request_ids_are_never_twice_the_same(guarded: Guarded) -> None:
    with guarded.talk() as talk:
        for _ in range(300):
            assert talk.say(compose(fields=HOST + b"X-Request-Id: mine\r\n")).answer() is not None
    ids = [seen.every(b"x-request-id")[0] for seen in guarded.behind.take()]
    assert len(set(ids)) == 300


def test_what_traces_a_request_passes(guarded: Guarded) -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    seen = guarded.forwarded(compose(fields=HOST + b"traceparent: " + trace + b"\r\ntracestate: a=b\r\n"))
    assert (seen.every(b"traceparent"), seen.every(b"tracestate")) == ([trace], [b"a=b"])


@pytest.fixture(scope="module", params=WAYS)
def behind_a_front(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    trusted = '["127.0.0.1", "10.0.0.0/8", "fd00::/8"]'
    with guard_upstream(simulator, request.param, trusted_proxies=trusted) as guarded:
        yield guarded


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        ("6.6.6.6, 10.9.9.9, 1.2.3.4, 10.0.0.7,10.0.0.8", "1.2.3.4"),
        ("evil, 1.2.3.4", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443, fd00::1", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::ffff:10.0.0.1, 10.0.0.2", "10.0.0.1"),
        ("1.2.3.4:5678", "1.2.3.4"),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_trusted(behind_a_front: Guarded, said: str, client: str) -> None:
    seen = behind_a_front.forwarded(compose(fields=HOST + lines(f"X-Forwarded-For: {said}")))
    assert origin_of(seen) == (client, "app.example", "http")
    first, _, last = said.rpartition(",")
    if first:
        seen = behind_a_front.forwarded(
            compose(fields=HOST + lines(f"X-Forwarded-For: {first}", f"x-forwarded-for: {last}"))
        )
        assert origin_of(seen) == (client, "app.example", "http")


@pytest.mark.parametrize("said", ["1.2.3.4,", "1.2.3.4,,127.0.0.1", ", 1.2.3.4 , ,\t,", "1.2.3.4, , 127.0.0.1"])
def test_empty_elements_count_for_nothing(behind_a_front: Guarded, said: str) -> None:
    seen = behind_a_front.forwarded(compose(fields=HOST + lines(f"X-Forwarded-For: {said}")))
    assert origin_of(seen)[0] == "1.2.3.4"


@pytest.mark.parametrize(
    ("nodes", "protos", "scheme"),
    [
        ("1.2.3.4, 127.0.0.1", "https,http", "https"),
        ("1.2.3.4, 127.0.0.1", "http, https", "http"),
        ("1.2.3.4, 127.0.0.1", "https", "https"),  # only the nearest says so
        ("1.2.3.4", "http, https", "https"),  # what stands further left is the client's
        ("6.6.6.6, 1.2.3.4, 127.0.0.1", "gopher, https, http", "https"),
        ("1.2.3.4, 127.0.0.1, 127.0.0.1", "https, http", "https"),
        ("6.6.6.6, 1.2.3.4", "https, http", "http"),  # 1.2.3.4 is not trusted, so its word does not count
    ],
)
def test_schemes_are_aligned_with_the_hops(behind_a_front: Guarded, nodes: str, protos: str, scheme: str) -> None:
    fields = lines(f"X-Forwarded-For: {nodes}", f"X-Forwarded-Proto: {protos}")
    assert origin_of(behind_a_front.forwarded(compose(fields=HOST + fields)))[::2] == ("1.2.3.4", scheme)


@pytest.mark.parametrize(("scheme", "port", "kept"), [("https", 443, False), ("http", 80, False), ("https", 80, True)])
def test_a_default_port_makes_no_other_host(behind_a_front: Guarded, scheme: str, port: int, kept: bool) -> None:
    fields = lines(f"X-Forwarded-Proto: {scheme}", f"X-Forwarded-Host: site.example:{port}")
    seen = behind_a_front.forwarded(compose(fields=HOST + fields))
    host = f"site.example:{port}" if kept else "site.example"
    assert origin_of(seen)[1:] == (host, scheme)
    assert seen.every(b"host") == [host.encode()]


def test_a_front_says_scheme_and_host_and_the_last_word_counts(behind_a_front: Guarded) -> None:
    fields = lines(
        "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example, site.example"
    )
    seen = behind_a_front.forwarded(compose(fields=HOST + fields))
    assert origin_of(seen) == ("1.2.3.4", "site.example", "https")
    assert seen.every(b"host") == [b"site.example"]


@pytest.mark.parametrize(
    "fields",
    [
        lines("X-Forwarded-For: evil"),
        lines("X-Forwarded-For: 1.2.3.4, evil"),
        lines("X-Forwarded-For: 1.2.3.256"),
        lines("X-Forwarded-For: 1.2.3.4;evil"),
        lines("X-Forwarded-For: 1.2.3.4 evil"),
        lines("X-Forwarded-For: 127.1"),
        lines("X-Forwarded-For: 0x7f000001"),
        lines("X-Forwarded-Proto: javascript"),
        lines("X-Forwarded-Proto: https evil"),
        lines("X-Forwarded-Host: a@b"),
        lines("X-Forwarded-Host: a/b"),
        lines("X-Forwarded-Host: a b"),
        lines("Forwarded: for=evil"),
        lines("Forwarded: for=1.2.3.4;for=5.6.7.8"),
        lines("Forwarded: for"),
        lines("Forwarded: for=1.2.3.4;host=a/b"),
        lines("Forwarded: for=1.2.3.4;proto=gopher"),
        lines('Forwarded: for="1.2.3.4'),
        lines("X-Forwarded-For: 1.2.3.4", "Forwarded: for=5.6.7.8"),
        lines("X-Forwarded-Host: a.example", "Forwarded: for=127.0.0.1;host=b.example"),
    ],
)
def test_malformed_words_of_a_front_are_refused(behind_a_front: Guarded, fields: bytes) -> None:
    behind_a_front.refuses(compose(fields=HOST + fields), 400)


def test_a_front_that_is_trusted_names_nobody(behind_a_front: Guarded) -> None:
    """It is believed where a request comes from, and never who made it."""
    fields = lines(
        "X-Forwarded-User: evil", "X-Forwarded-Access-Token: evil", "Remote-User: evil", "X-TikTok-Open-Id: evil"
    )
    seen = behind_a_front.forwarded(compose(fields=HOST + lines("X-Forwarded-For: 1.2.3.4") + fields))
    assert not [value for _, value in seen.fields if value == b"evil"]
    behind_a_front.refuses(compose(b"/private/x", HOST + fields), 401)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("port", ["", ":443"])
def test_a_default_port_is_no_detour(simulator: RunningSimulator, way: str, port: str) -> None:
    changes = {
        "public_url": "https://app.example.test",
        "trusted_proxies": "[127.0.0.1]",
        "routes": '[{"path": "/open/**", "host": "app.example.test:443", "access": "public"}, '
        '{"path": "/**", "host": "app.example.test", "keep_post": true}]',
    }
    host = b"Host: app.example.test%b\r\n" % port.encode() + lines("X-Forwarded-Proto: https", "Accept: text/html")
    with guard_upstream(simulator, way, **changes) as guarded:
        assert guarded.status(compose(b"/open/x", host)) == 200
        begun = guarded.ask(compose(b"/x", host))
        assert begun.status == 302
        assert begun.one(b"location").startswith(guarded.running.settings.tiktok.authorize_url.encode())
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n"
        for origin in ("https://app.example.test", "https://app.example.test:443"):
            fields = host + form + lines(f"Origin: {origin}")
            kept = guarded.ask(compose(b"/x", fields, method=b"POST", body=b"a=1"))
            assert kept.status == 401
            assert b"kept_post" in kept.body
