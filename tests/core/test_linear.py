"""What strangers send is read in time that grows as its length does.

Each input is so long that whatever grows with its square would need hours: such a reader does not end within the time
limit of a test, one that grows with the length needs a moment. So nothing here depends on how fast the machine is.
"""

import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from unicodedata import is_normalized
from urllib.parse import quote

import pytest

from gateway.core import cookies, in_app
from gateway.core.binding import new_binding, read_binding
from gateway.core.challenge import is_navigation
from gateway.core.cors import read_preflight
from gateway.core.fields import Headers, build_lines, split_line
from gateway.core.forwarded import TrustedProxies, is_host, read_forwarded
from gateway.core.headers import join_cookies, named_by_connection
from gateway.core.kept_post import read_post
from gateway.core.path import canonicalise
from gateway.core.request import Limits, RequestHead, read_head
from gateway.core.response import client_headers, read_answer_head, read_field
from gateway.core.spelling import Readings, fold
from gateway.core.urls import check_return_to
from gateway.errors import GatewayError
from gateway.server.short.learned import read_line

MANY = 100_000
OWN = frozenset({b"gateway"})
TRUSTED = TrustedProxies(["10.0.0.0/8"])
PIECES = (
    *(
        b" ",
        b"\t",
        b" ,",
        b" ;",
        b" =",
        b"a ",
        b"a",
        b"a=",
        b'a="',
        b'a="\\',
        b'\\"',
        b'"',
        b"\\",
        b",",
        b";",
        b"=",
        b":",
        b"[",
    ),
    *(
        b"%",
        b"%25",
        b"%41;",
        b"/",
        b"/.",
        b"/a",
        b"a/..",
        b"//;",
        b"?",
        b"&a",
        b"\xff",
        b"%CC%81",
        b"\r",
        b"\r\n",
        b"a=b;",
        b"gateway=a;",
        b"--a",
        b"\r\n--a\r\n",
    ),
    *(b"for=1,", b'for="', b"10.0.0.1,", b"text/html;q=1,", b"1.", b"A:"),
)


def head(*fields: tuple[bytes, bytes], method: str = "GET") -> RequestHead:
    """Return a request as it comes out of the reader, with fields of any length."""
    return RequestHead(
        method=method,
        scheme="https",
        host="app.example",
        path=canonicalise(b"/"),
        query=b"",
        raw_target=b"/",
        headers=fields,
        client_address="192.0.2.1",
    )


def forwarded(name: bytes) -> Callable[[bytes], object]:
    return lambda sent: read_forwarded(((name, sent),), peer="10.0.0.1", scheme="http", host="a", trusted=TRUSTED)


def whole(headers: Headers, target: bytes = b"/") -> object:
    unlimited = Limits(header_bytes=sys.maxsize, target_bytes=sys.maxsize)
    return read_head(
        method="GET", scheme="http", target=target, headers=headers, peer="10.0.0.1", trusted=TRUSTED, limits=unlimited
    )


def posted(kind: bytes, body: bytes) -> object:
    return read_post(head((b"content-type", kind), method="POST"), body, new_binding())


READERS: dict[str, Callable[[bytes], object]] = {
    "header line": lambda sent: split_line(b"a:" + sent),
    "field of an answer": lambda sent: read_field(b"a:" + sent),
    "head of an answer": lambda sent: read_answer_head(b"HTTP/1.1 200 " + sent),
    "Cache-Control of an answer": lambda sent: client_headers(
        [(b"cache-control", sent), (b"vary", sent)], own_cookies=OWN, remove_headers=OWN, identity_bearing=True
    ),
    "Set-Cookie": lambda sent: client_headers(
        [(b"set-cookie", sent)], own_cookies=OWN, remove_headers=OWN, identity_bearing=True
    ),
    "fields": lambda sent: whole(((b"host", b"a"), (b"x", sent), (sent, b""))),
    "Host": is_host,
    "target": lambda sent: whole(((b"host", b"a"),), b"/" + sent),
    "absolute target": lambda sent: whole(((b"host", b"a"),), b"http://" + sent),
    "request line": lambda sent: read_line(b"GET /" + sent + b" HTTP/1.1", Limits(target_bytes=sys.maxsize)),
    "path": lambda sent: canonicalise(b"/" + sent),
    "readings": lambda sent: Readings("/" + sent.decode("latin-1")),
    "X-Forwarded-For": forwarded(b"x-forwarded-for"),
    "X-Forwarded-Host": forwarded(b"x-forwarded-host"),
    "X-Forwarded-Proto": forwarded(b"x-forwarded-proto"),
    "Forwarded": forwarded(b"forwarded"),
    "Connection": lambda sent: named_by_connection([(b"connection", sent)]),
    "cookies": lambda sent: cookies.read(((b"cookie", sent),), b"gateway"),
    "cookies handed on": lambda sent: join_cookies([sent], OWN),
    "binding": lambda sent: read_binding(sent.decode("latin-1")),
    "lines": lambda sent: build_lines([(b"a", sent)]),
    "Accept": lambda sent: is_navigation(head((b"accept", sent))),
    "preflight": lambda sent: read_preflight(
        head(
            (b"origin", sent),
            (b"access-control-request-method", b"GET"),
            (b"access-control-request-headers", sent),
            method="OPTIONS",
        )
    ),
    "user agent": lambda sent: in_app.find_app(sent.decode("latin-1")),
    "return address": lambda sent: check_return_to(
        "/" + sent.decode("latin-1"), public_url="https://a", allowed_hosts=frozenset(), prefix="/oauth2"
    ),
    "kind of a form": lambda sent: posted(b"multipart/form-data" + sent, b""),
    "parts of a form": lambda sent: posted(b"multipart/form-data; boundary=a", sent[: 64 * 1024]),
    "form": lambda sent: posted(b"application/x-www-form-urlencoded", sent[: 64 * 1024]),
}


@pytest.mark.parametrize("reader", READERS)
def test_reading_takes_as_long_as_the_input_is(reader: str) -> None:
    read = READERS[reader]
    for piece in PIECES:
        with suppress(GatewayError):  # refused, which is as good
            read(piece * (MANY // len(piece)) + b"\x01")


@pytest.mark.parametrize("marks", ["\u0323\u0301", "\u0301\u0323", "\u0f73", "\u0345\u0315\u0334", "\uff9e"])
def test_marks_are_sorted_at_once_however_many(marks: str) -> None:
    assert len(fold("/a" + marks * 500_000)) < 200
    assert len(fold("/a" + marks[0] * 500_000 + marks[-1] * 500_000)) < 200


def test_what_scripts_write_is_folded_as_ever() -> None:
    for text in ("Ṩ", "ạ̄́", "क़्", "שָּׁ", "각", "ﷺ", "ﾊﾟ"):
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).upper().casefold())
        assert fold(text) == plain


def test_a_folded_path_is_hardly_longer_than_it_was_sent() -> None:
    letters = [letter for letter in map(chr, range(sys.maxunicode + 1)) if not is_normalized("NFKD", letter)]
    assert [letter for letter in letters if len(fold(letter)) > 2 * len(quote(letter))] == []
