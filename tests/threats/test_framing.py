"""The request line, framing and headers, over raw sockets: what could be read in two ways is not read at all."""

from __future__ import annotations

import json

import pytest

from tests.harness import Running
from tests.threats.conftest import Wire

HOST = b"Host: app.example\r\n"


def request(target: bytes = b"/public/x", headers: bytes = HOST, method: bytes = b"GET", body: bytes = b"") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + headers + b"\r\n" + body


def test_a_plain_request_passes(wire: Wire) -> None:
    assert wire.status(request()) == 200


@pytest.mark.parametrize(
    "headers",
    [
        HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        HOST + b"Transfer-Encoding: identity, chunked\r\n",
        HOST + b"Transfer-Encoding: chunked, chunked\r\n",
        HOST + b"Transfer-Encoding: xchunked\r\n",
        HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n",
        HOST + b"Content-Length: +3\r\n",
        HOST + b"Content-Length: 3, 3\r\n",
        HOST + b"X-A: 1\r\n folded\r\n",
        HOST + b"X-A : 1\r\n",
        HOST + b"X A: 1\r\n",
        HOST + b"X-A: a\x00b\r\n",
        HOST + b": empty\r\n",
        b"",
        HOST + HOST,
        b"Host: a@b\r\n",
        b"Host: a/?x=\r\n",
        b"Host: a b\r\n",
        b"Host: \r\n",
        b"Host: a, b\r\n",
    ],
    ids=lambda headers: repr(headers.removeprefix(HOST))[:48],
)
def test_ambiguous_framing_and_hosts_are_400(wire: Wire, headers: bytes) -> None:
    assert wire.status(request(headers=headers, method=b"POST", body=b"abc")) in {400, 501}


def test_bare_line_feeds_are_400(wire: Wire) -> None:
    assert wire.status(b"GET /public/x HTTP/1.1\nHost: app.example\n\n") == 400


def test_transfer_encoding_on_http_1_0_is_400(wire: Wire) -> None:
    assert wire.status(b"POST /public/x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400


@pytest.mark.parametrize(
    "target",
    [
        b"@evil.example",
        b"foo",
        b"*",
        b"/public/%2fx",
        b"/public/%5Cx",
        b"/public/%00",
        b"/public/\\x",
        b"/public/%zz",
        b"/public/%",
        b"/public/%ff",
        b"/public/%c0%ae",
        b"/public/..;/x",
        b"/public/\xc3\xa9",
    ],
)
def test_targets_that_could_be_read_in_two_ways_are_400(wire: Wire, target: bytes) -> None:
    assert wire.status(request(target)) == 400


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"//public/x", "/public/x"),
        (b"/public//a///b", "/public/a/b"),
        (b"/public/./a/../x", "/public/x"),
        (b"/public/%2e/x", "/public/x"),
        (b"/public/%61%7e", "/public/a~"),
        (b"/public/%e2%82%ac", "/public/%E2%82%AC"),
        (b"/public/%2541", "/public/%2541"),
        (b"http://app.example/public/x", "/public/x"),
    ],
)
def test_the_upstream_sees_exactly_what_was_judged(wire: Wire, sent: bytes, forwarded: str) -> None:
    answer = wire.exchange(request(sent))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == forwarded


def test_an_answer_is_dated_once_and_names_no_server_of_ours(wire: Wire) -> None:
    head = wire.exchange(request()).partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"\r\ndate:") == 1
    assert head.count(b"\r\nserver:") <= 1


def test_the_query_is_untouched(wire: Wire) -> None:
    query = b"u=https://x//y/../z&p=%2f%2e%2e&q=a+b&&e="
    answer = wire.exchange(request(b"/public/x?" + query))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["query"].encode() == query


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT"])
def test_trace_and_connect_are_not_forwarded(wire: Wire, method: bytes) -> None:
    target = b"app.example:443" if method == b"CONNECT" else b"/public/x"
    assert wire.status(request(target, method=method)) in {400, 405}


def test_too_many_headers_are_431(wire: Wire) -> None:
    assert wire.status(request(headers=HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(150)))) == 431


def test_a_huge_header_block_is_431_while_it_arrives(own_wire: Wire) -> None:
    endless = b"GET /public/x HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 200_000
    assert own_wire.status(endless) == 431


def test_a_huge_target_is_414(wire: Wire) -> None:
    assert wire.status(request(b"/public/" + b"a" * 9000)) == 414


@pytest.mark.parametrize("target", [b"http://169.254.169.254/public/x", b"https://a.evil/public/x", b"/public/x#y"])
def test_another_authority_or_a_fragment_is_400(own_wire: Wire, target: bytes) -> None:
    assert own_wire.status(request(target)) == 400


@pytest.mark.parametrize("target", [b"http://169.254.169.254/public/x", b"/public/x#y"])
def test_a_foreign_server_hands_on_the_path_alone(wire: Wire, target: bytes) -> None:
    answer = wire.exchange(request(target))
    if answer.startswith(b"HTTP/1.1 200"):
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == "/public/x"


def test_identity_in_a_trailer_never_arrives(wire: Wire) -> None:
    sent = request(
        headers=HOST + b"Transfer-Encoding: chunked\r\n",
        method=b"POST",
        body=b"3\r\nabc\r\n0\r\nX-TikTok-Open-Id: evil\r\n\r\n",
    )
    assert b"evil" not in wire.exchange(sent)


def test_trailers_never_become_headers(own_wire: Wire) -> None:
    sent = request(
        headers=HOST + b"Transfer-Encoding: chunked\r\nTrailer: X-TikTok-Open-Id\r\n",
        method=b"POST",
        body=b"3\r\nabc\r\n0\r\nX-TikTok-Open-Id: evil\r\nX-Other: evil\r\n\r\n",
    )
    answer = own_wire.exchange(sent)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"evil" not in answer


def test_an_upgrade_to_anything_but_websocket_is_removed(wire: Wire) -> None:
    answer = wire.exchange(
        request(headers=HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n")
    )
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"h2c" not in answer
    assert b"http2-settings" not in answer.lower()


def test_forwarded_headers_of_a_stranger_are_dropped_and_rebuilt(wire: Wire, gateway: Running) -> None:
    forged = (
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n"
        b"Forwarded: for=6.6.6.6;host=evil.example\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-User: evil\r\n"
        b"X-Original-URL: /denied/x\r\nX-Rewrite-URL: /denied/x\r\n"
    )
    answer = wire.exchange(request(headers=HOST + forged))
    told = dict(json.loads(answer.partition(b"\r\n\r\n")[2])["headers"])
    assert "6.6.6.6" not in str(told)
    assert "evil" not in str(told)
    assert "denied" not in str(told)
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-forwarded-host"] == "app.example"
    assert told["x-forwarded-proto"] == "http"
    assert told["host"] == "app.example"


@pytest.mark.parametrize("agent", [b"kube-probe/1.30", b"GoogleHC/1.0"])
def test_probe_user_agents_open_nothing(wire: Wire, agent: bytes) -> None:
    assert wire.status(request(b"/private/x", HOST + b"User-Agent: " + agent + b"\r\n")) == 401


def test_two_cookie_lines_become_one(wire: Wire) -> None:
    answer = wire.exchange(request(headers=HOST + b"Cookie: a=1\r\nCookie: b=2; gateway=x\r\n"))
    cookies = [value for name, value in json.loads(answer.partition(b"\r\n\r\n")[2])["headers"] if name == "cookie"]
    assert cookies == ["a=1; b=2"]


@pytest.mark.parametrize(
    "cookie",
    [
        b"gateway=",
        b"gateway=" + b"a" * 43,
        b"gateway=" + b"\xff" * 43,
        b"gateway=" + b"a" * 20000,
        b"gateway=x; gateway=y",
        b"; ".join(b"c%d=1" % n for n in range(3000)),
        b"gateway",
        b'gateway="quoted',
    ],
)
def test_odd_cookies_are_nobody_and_never_an_error(wire: Wire, cookie: bytes) -> None:
    assert wire.status(request(b"/private/x", HOST + b"Cookie: " + cookie + b"\r\n")) in {401, 431}
