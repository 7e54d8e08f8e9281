"""The request line and the Host (RFC 9112 §3): one target, one host, one version; else nothing is forwarded."""

from __future__ import annotations

import pytest

from tests.recorder import record
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded


@pytest.mark.parametrize(
    "line",
    [
        b"GET\t/public/x\tHTTP/1.1\r\n",
        b"GET /public/x HTTP/1.1 \r\n",
        b" GET /public/x HTTP/1.1\r\n",
        b"GET /public/x http/1.1\r\n",
        b"GET /public/x HTTP/1.1.1\r\n",
        b"GET /public/x HTTP/01.1\r\n",
        b"GET /public/x HTTP/11\r\n",
        b"GET /public/x HTTP/ 1.1\r\n",
        b"GET /public/x HTTP/x.y\r\n",
        b"GET /public/x FOO/1.1\r\n",
        b"GET /public/x\rHTTP/1.1\r\n",
        b"GET /public/x\x00 HTTP/1.1\r\n",
        b"GET /public/x\x0b HTTP/1.1\r\n",
        b"GET /public/x\x7f HTTP/1.1\r\n",
        b"GET /public/ x HTTP/1.1\r\n",
        b"GET /public/x?a b HTTP/1.1\r\n",
        b"GET /public/x HTTP/1.1 HTTP/1.1\r\n",
        b"GET HTTP/1.1\r\n",
        b"GET  HTTP/1.1\r\n",
        b"G\x00T /public/x HTTP/1.1\r\n",
        b"G@T /public/x HTTP/1.1\r\n",
        b"/public/x HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    ],
)
def test_a_line_that_is_none_is_refused(guarded: Guarded, line: bytes) -> None:
    guarded.refuses(line + HOST + b"\r\n", 400, 505)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /public/x HTTP/1.1\r\n",
        b"GET /public/x  HTTP/1.1\r\n",
        b"\r\nGET /public/x HTTP/1.1\r\n",
        b"\nGET /public/x HTTP/1.1\r\n",
        b"GET /public/x HTTP/1.2\r\n",
        b"GET /public/x HTTP/2.0\r\n",
        b"GET /public/x HTTP/0.9\r\n",
        b"GET /public/x RTSP/1.0\r\n",
        b"GET /public/x\r\n",
    ],
)
def test_a_line_that_some_read_is_refused_or_written_anew(guarded: Guarded, line: bytes) -> None:
    seen = guarded.forwarded_if_at_all(line + HOST + b"\r\n", 400, 505)
    assert seen is None or (seen.method, seen.target) == (b"GET", b"/public/x")


def test_the_preface_of_http_2_is_refused_and_what_follows_is_not_read(proxied: Guarded) -> None:
    with proxied.talk() as talk:
        answer = talk.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + compose(b"/public/hidden")).answer()
        assert answer is not None
        assert answer.status in {400, 405, 505}
        assert talk.ends()
    assert proxied.behind.take() == []


@pytest.mark.parametrize(
    "host",
    [
        b"",
        HOST + HOST,
        HOST + b"host: app.example\r\n",
        HOST + b"Host: evil.example\r\n",
        HOST + b"X-A: 1\r\nHost:\r\n",
        b"Host:\r\n",
        b"Host : app.example\r\n",
        b"Host\r\n",
        *(
            b"Host: " + value + b"\r\n"
            for value in (
                b"a/?x=",
                b"a@b",
                b"a b",
                b"a\tb",
                b"a,b",
                b"a;b",
                b"a?b",
                b"a#b",
                b"a\\b",
                b"a/b",
                b"a%2eb",
                b"a:",
                b":80",
                b"a:b",
                b"a:80:80",
                b"a:+80",
                b"a:999999",
                b"[::1",
                b"[::g]",
                b"http://a",
                b"a'b",
                b'a"b',
                b"a<b",
                b"a\x00",
                b"\xc3\xa9",
            )
        ),
    ],
)
def test_no_host_two_hosts_and_what_is_none_are_refused(guarded: Guarded, host: bytes) -> None:
    guarded.refuses(compose(fields=host), 400)


def test_a_host_that_is_one_arrives_as_it_is(proxied: Guarded) -> None:
    for host in (b"app.example", b"APP.example:8443", b"127.0.0.1:1", b"[::1]", b"[2001:db8::1]:8080"):
        seen = proxied.forwarded(compose(fields=b"Host: " + host + b"\r\n"))
        assert (seen.every(b"host"), seen.every(b"x-forwarded-host")) == ([host], [host])


def test_a_default_port_is_left_out(proxied: Guarded) -> None:
    for head in (compose(fields=b"Host: app.example:80\r\n"), compose(b"http://app.example:80/public/x")):
        seen = proxied.forwarded(head)
        assert (seen.every(b"host"), seen.every(b"x-forwarded-host")) == ([b"app.example"], [b"app.example"])


@pytest.mark.parametrize(
    "target",
    [
        b"@evil.example",
        b"foo",
        b"foo/public/x",
        b"public/x",
        b"*",
        b"?x",
        b"./public/x",
        b"\\public\\x",
        b"evil.example:80",
        b"javascript:alert(1)",
        b"http:/public/x",
        b"http:public/x",
    ],
)
def test_a_target_begins_with_a_slash(guarded: Guarded, target: bytes) -> None:
    guarded.refuses(compose(target), 400)


def test_the_asterisk_of_options_is_refused(guarded: Guarded) -> None:
    guarded.refuses(compose(b"*", method=b"OPTIONS"), 400)


ELSEWHERE = [
    b"http://169.254.169.254/public/x",
    b"http://evil.example/public/x",
    b"https://evil.example/public/x",
    b"http://app.example@evil.example/public/x",
    b"http://evil.example@app.example/public/x",
    b"http://app.example:8080/public/x",
    b"http://app.example.evil.example/public/x",
    b"http://app.example\\@evil.example/public/x",
    b"http:///public/x",
    b"ftp://app.example/public/x",
    b"://app.example/public/x",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_an_address_that_is_not_of_this_host_is_refused(proxied: Guarded, target: bytes) -> None:
    proxied.refuses(compose(target), 400)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_an_app_is_given_at_most_the_path_of_an_address(inside: Guarded, target: bytes) -> None:
    seen = inside.forwarded_if_at_all(compose(target))
    assert seen is None or seen.target == b"/public/x"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://app.example/public/x?y", b"/public/x?y"),
        (b"HTTP://APP.EXAMPLE/public/x", b"/public/x"),
        (b"http://app.example//public//x", b"/public/x"),
        (b"http://app.example/public/../private", b"/private"),
    ],
)
def test_of_an_address_of_this_host_only_the_path_is_used_and_judged(
    proxied: Guarded, target: bytes, path: bytes
) -> None:
    if path == b"/private":
        proxied.refuses(compose(target), 401)
    else:
        assert proxied.forwarded(compose(target)).target == path


def test_no_target_and_no_host_lead_to_another_upstream(proxied: Guarded) -> None:
    with record() as elsewhere:
        address = elsewhere.url.removeprefix("http://").encode()
        for target in (b"//%b/public/x", b"http://%b/public/x", b"/public//%b/x", b"/public/x?url=http://%b/", b"@%b/"):
            for host in (b"app.example", address):
                proxied.ask(compose(target % address, b"Host: " + host + b"\r\n"))
        assert elsewhere.connections == 0
    for seen in proxied.behind.take():
        assert seen.target.startswith(b"/public/")


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"TRACK", b"connect", b"trace", b"Trace", b"track"])
def test_no_method_that_opens_a_tunnel_or_an_echo_is_forwarded(guarded: Guarded, method: bytes) -> None:
    guarded.refuses(compose(method=method), 400, 405)
    guarded.refuses(compose(b"app.example:443", method=method), 400, 405)


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT"])
def test_trace_and_connect_are_405(proxied: Guarded, method: bytes) -> None:
    answer = proxied.refuses(compose(method=method), 405)
    assert b"GET" in answer.one(b"allow")


def test_after_a_refused_connect_nothing_is_tunnelled(proxied: Guarded) -> None:
    with proxied.talk() as talk:
        talk.say(compose(b"app.example:443", method=b"CONNECT"), compose(b"/private/hidden"), pause=0.05)
        first = talk.answer()
        assert first is not None
        assert first.status in {400, 405}
        second = talk.answer()
        assert second is None or second.status == 401
    assert proxied.behind.take() == []


@pytest.mark.parametrize("method", [b"get", b"Get", b"FOO", b"PROPFIND", b"M-SEARCH"])
def test_another_method_is_refused_or_arrives_in_its_own_spelling(guarded: Guarded, method: bytes) -> None:
    seen = guarded.forwarded_if_at_all(compose(method=method), 400, 405, 501)
    assert seen is None or seen.method == method


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET  /public/x HTTP/1.1", 400),
        (b"GET /public/x  HTTP/1.1", 400),
        (b"GET /public/x HTTP/1.1 ", 400),
        (b" GET /public/x HTTP/1.1", 400),
        (b"GET\t/public/x HTTP/1.1", 400),
        (b"GET /public/x\tHTTP/1.1", 400),
        (b"GET /public/x RTSP/1.0", 400),
        (b"GET /public/x", 400),
        (b"GET /public/x HTTP/0.9", 505),
        (b"GET /public/x HTTP/2.0", 505),
        (b"GET /public/x HTTP/1.2", 400),
        (b"GET /public/x HTTP/3.0", 400),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_one_version_and_single_spaces(proxied: Guarded, line: bytes, status: int, cut: bool) -> None:
    """What the parser is generous with: none of it is forwarded, and nothing behind it is read."""
    sent = line + b"\r\n" + HOST + b"\r\n" + compose(b"/public/behind")
    with proxied.talk() as talk:
        talk.say(*((sent[:7], sent[7:16], sent[16:]) if cut else (sent,)), pause=0.01)
        answer = talk.answer()
        assert answer is not None
        assert answer.status == status
        assert talk.ends()
    assert not proxied.behind.take()
