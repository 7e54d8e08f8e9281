from __future__ import annotations

import pytest

from gateway.core.fields import Headers
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import MalformedRequest
from gateway.upstream.request import BodyFraming, build_request, build_target, read_body_framing


def head(method: str = "GET", query: bytes = b"", raw_target: bytes = b"/a", headers: Headers = ()) -> RequestHead:
    return RequestHead(
        method=method,
        scheme="http",
        host="app.example",
        path=canonicalise(b"/a"),
        query=query,
        raw_target=raw_target,
        headers=headers,
        client_address="",
    )


@pytest.mark.parametrize(
    ("query", "raw_target", "target"),
    [
        (b"", b"/a", b"/a"),
        (b"", b"/a?", b"/a?"),
        (b"x=//y%2F&z", b"/a?x=//y%2F&z", b"/a?x=//y%2F&z"),
        (b"?", b"/a??", b"/a??"),
    ],
)
def test_the_query_is_kept_byte_for_byte(query: bytes, raw_target: bytes, target: bytes) -> None:
    request = head(query=query, raw_target=raw_target)
    assert build_target(request.path, request.query, bare=request.is_bare) == target


@pytest.mark.parametrize(("method", "field"), [("GET", b""), ("POST", b"content-length: 0\r\n")])
def test_a_request_without_body(method: str, field: bytes) -> None:
    request = head(method)
    assert read_body_framing(request) is None
    sent = build_request(request, [(b"host", b"h"), (b"content-length", b"0")], None)
    assert sent == b"%b /a HTTP/1.1\r\nhost: h\r\n%b\r\n" % (method.encode(), field)


def test_a_counted_body_stays_counted() -> None:
    request = head("POST", headers=((b"content-length", b"5"),))
    framing = read_body_framing(request)
    assert framing is not None
    sent = build_request(request, [(b"host", b"h"), (b"content-length", b"9"), (b"expect", b"x")], framing)
    assert sent == b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n"
    assert framing.frame(b"he", last=False) + framing.frame(b"llo", last=True) == b"hello"


def test_a_chunked_body_is_chunked_again() -> None:
    request = head("POST", headers=((b"transfer-encoding", b"chunked"),))
    framing = read_body_framing(request)
    assert framing is not None
    assert build_request(request, [], framing).endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
    pieces = [
        framing.frame(b"a" * 17, last=False),
        framing.frame(b"", last=False),
        framing.frame(b"", last=True),
    ]
    assert pieces == [b"11\r\n" + b"a" * 17 + b"\r\n", b"", b"0\r\n\r\n"]


@pytest.mark.parametrize(("piece", "last"), [(b"toolong", False), (b"few", True)])
def test_a_body_of_another_length_is_refused(piece: bytes, last: bool) -> None:
    with pytest.raises(MalformedRequest):
        BodyFraming(5).frame(piece, last=last)


@pytest.mark.parametrize("length", [b"+5", b"1_0", b"-1", b"5, 5", b""])
def test_a_length_that_is_not_digits_is_refused(length: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_body_framing(head("POST", headers=((b"content-length", length),)))


@pytest.mark.parametrize("value", [b"a\r\nx-user: evil", b"a\nb", b"a\rb"])
def test_no_value_begins_a_line(value: bytes) -> None:
    with pytest.raises(MalformedRequest):
        build_request(head(), [(b"x-name", value)], None)


def test_no_space_in_the_target() -> None:
    with pytest.raises(MalformedRequest):
        build_request(head(query=b"a b", raw_target=b"/a?a b"), [], None)
