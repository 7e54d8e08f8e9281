"""What a front's check is about: said once and the same, or not believed."""

from __future__ import annotations

import pytest

from gateway.core.original import read_original
from gateway.core.path import canonicalise
from gateway.core.request import UNKNOWN_METHOD, RequestHead
from gateway.errors import CheckRefused, MalformedRequest, RequestRefused, TargetTooLong

Fields = dict[str, str]


def check(fields: Fields, *more: tuple[str, str], host: str = "app.example.com") -> RequestHead:
    pairs = [*fields.items(), *more]
    return RequestHead(
        method="GET",
        scheme="http",
        host=host,
        path=canonicalise(b"/oauth2/auth"),
        query=b"q=1",
        raw_target=b"/oauth2/auth?q=1",
        headers=tuple((name.lower().encode(), value.encode("latin-1")) for name, value in pairs),
        client_address="192.0.2.1",
    )


def read(fields: Fields, *more: tuple[str, str], host: str = "app.example.com") -> RequestHead:
    original = read_original(check(fields, *more, host=host))
    assert original is not None
    return original


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        (
            {"X-Forwarded-Uri": "/a?b=%2F", "X-Forwarded-Method": "POST"},
            ("POST", "http", "app.example.com", "/a?b=%2F"),
        ),
        (
            {"X-Forwarded-Uri": "/a?", "X-Forwarded-Host": "o.test:8", "X-Forwarded-Proto": "https"},
            ("", "https", "o.test:8", "/a?"),
        ),
        (
            {"X-Original-URL": "https://app.example.com/a?b", "X-Original-Method": "PUT"},
            ("PUT", "https", "app.example.com", "/a?b"),
        ),
        ({"X-Original-URL": "https://APP.example.com:443?b"}, ("", "https", "app.example.com", "/?b")),
        ({"X-Original-URI": "/%e2%82%ac"}, ("", "http", "app.example.com", "/%e2%82%ac")),
        ({"X-Forwarded-Uri": "/a", "X-Forwarded-Proto": "wss"}, ("", "https", "app.example.com", "/a")),
        # the last word is the nearest front's
        ({"X-Forwarded-Uri": "/a", "X-Forwarded-Host": "evil.test, o.test"}, ("", "http", "o.test", "/a")),
        # said twice, and the same
        (
            {
                "X-Forwarded-Uri": "/a",
                "X-Original-URL": "http://o.test/a",
                "X-Original-URI": "/a",
                "X-Forwarded-Host": "o.test:80",
                "X-Forwarded-Method": "GET",
                "X-Original-Method": "GET",
            },
            ("GET", "http", "o.test", "/a"),
        ),
    ],
)
def test_what_fronts_say(fields: Fields, seen: tuple[str, str, str, str]) -> None:
    original = read(fields)
    assert (original.method, original.scheme, original.host, original.raw_target.decode()) == seen
    assert (original.client_address, original.websocket) == ("192.0.2.1", False)


def test_what_no_front_says() -> None:
    assert read_original(check({"X-Forwarded-Host": "o.test", "X-Forwarded-Method": "GET"})) is None


def test_a_method_that_is_not_told_is_not_guessed() -> None:
    assert read({"X-Forwarded-Uri": "/a"}).method == UNKNOWN_METHOD


def test_a_websocket_is_known_by_its_key() -> None:
    assert not read({"X-Forwarded-Uri": "/a", "Connection": "upgrade", "Upgrade": "websocket"}).websocket
    assert read({"X-Forwarded-Uri": "/a", "Sec-WebSocket-Key": "x"}).websocket


@pytest.mark.parametrize(
    "fields",
    [
        # contradictions
        {"X-Forwarded-Uri": "/public", "X-Original-URL": "http://app.example.com/admin"},
        {"X-Forwarded-Uri": "/public", "X-Original-URI": "/admin"},
        {"X-Original-URI": "/public", "X-Original-URL": "/admin"},
        {"X-Forwarded-Uri": "/a", "X-Original-URI": "/a?"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "GET", "X-Original-Method": "POST"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "", "X-Original-Method": "POST"},
        {"X-Original-URL": "http://admin.example.com/a", "X-Forwarded-Host": "www.example.com"},
        {"X-Original-URL": "http://admin.example.com/a"},
        {"X-Original-URL": "http://app.example.com:8080/a"},
        {"X-Original-URL": "https://app.example.com:80/a"},
        {"X-Original-URL": "http://x@app.example.com/a"},
        {"X-Forwarded-Uri": "http://evil.test/a"},
        # what the proxy form refuses, too
        {"X-Forwarded-Uri": ""},
        {"X-Forwarded-Uri": "a"},
        {"X-Forwarded-Uri": "/a#b"},
        {"X-Forwarded-Uri": "/a?b#c"},
        {"X-Forwarded-Uri": "/a?\xe4"},
        {"X-Forwarded-Uri": "/a%2fb"},
        {"X-Forwarded-Uri": "/%00"},
        {"X-Forwarded-Uri": "*", "X-Forwarded-Method": "OPTIONS"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "CONNECT"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "G ET"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Method": ""},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Host": "a b"},
        {"X-Forwarded-Uri": "/a", "X-Forwarded-Proto": "ftp"},
        # the front forwards it as it came, and the app may read it otherwise
        {"X-Forwarded-Uri": "/public/../admin"},
        {"X-Forwarded-Uri": "/public/%2e%2e/admin"},
        {"X-Forwarded-Uri": "/./a"},
    ],
)
def test_what_is_not_believed(fields: Fields) -> None:
    with pytest.raises(RequestRefused):
        read_original(check(fields))


@pytest.mark.parametrize("name", ["X-Forwarded-Uri", "X-Original-URL", "X-Original-URI", "X-Forwarded-Method"])
def test_one_field_said_twice_must_be_the_same(name: str) -> None:
    values = ("GET", "POST") if name.endswith("Method") else ("/a", "/b")
    rest = {"X-Forwarded-Uri": "/a"} if name.endswith("Method") else {}
    with pytest.raises(RequestRefused):
        read_original(check(rest, (name, values[0]), (name, values[1])))
    assert read(rest, (name, values[0]), (name, values[0])).path.text == "/a"


@pytest.mark.parametrize("other", ["https://app.example.com/a", "http://admin.example.com/a"])
def test_whole_addresses_that_differ_in_scheme_or_host_alone_contradict_each_other(other: str) -> None:
    ours = ("X-Original-URL", "http://app.example.com/a")
    for one, two in ((ours, ("X-Original-URL", other)), (ours, ("X-Original-URI", other))):
        with pytest.raises(CheckRefused, match="contradict"):
            read_original(check({}, one, two))
    assert read({}, ours, ours).path.text == "/a"


def test_whatever_else_a_head_tells_is_kept() -> None:
    head = check({"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "PUT"})
    original = read_original(head)
    assert original is not None
    different = {name for name in RequestHead.__struct_fields__ if getattr(head, name) != getattr(original, name)}
    assert different == {"method", "path", "query", "raw_target"}


@pytest.mark.parametrize("fields", [{"X-Forwarded-Uri": "/" + "a" * 8192}, {"X-Original-URI": "/" + "%C3%A9" * 2000}])
def test_it_is_no_longer_than_a_target_may_be(fields: Fields) -> None:
    with pytest.raises(TargetTooLong):
        read(fields)
    assert read({"X-Forwarded-Uri": "/" + "a" * 8191}).method == UNKNOWN_METHOD


def test_nor_is_its_method() -> None:
    with pytest.raises(MalformedRequest, match="64 characters"):
        read({"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "B" * 65})
    assert read({"X-Forwarded-Uri": "/a", "X-Forwarded-Method": "B" * 64}).method == "B" * 64
