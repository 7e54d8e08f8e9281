"""What WSGI servers make of a request: joined fields, merged names, tidied paths."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.cookies import CookieSpec, OwnCookies
from gateway.core.forwarded import TrustedProxies
from gateway.core.request import Limits, RequestHead
from gateway.errors import MalformedRequest
from gateway.web.asgi_head import HeadReader
from gateway.web.wsgi.environ import EnvironReader

OWN = OwnCookies(session=CookieSpec("gateway", secure=False), binding=CookieSpec("gateway-sign-in", secure=False))
SAID = {
    "REMOTE_ADDR": "10.0.0.1",
    "HTTP_X_FORWARDED_FOR": "6.6.6.6",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "other.example",
}


def reader(*, underscores_dropped: bool = False) -> EnvironReader:
    trusted = TrustedProxies(["10.0.0.0/8"])
    return EnvironReader(HeadReader(trusted, Limits()), OWN, underscores_dropped=underscores_dropped)


def read(by: EnvironReader | None = None, /, **variables: str) -> RequestHead:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "HTTP_HOST": "app.example",
        "wsgi.url_scheme": "http",
    }
    return (by or reader()).read(environ | variables)


@pytest.mark.parametrize("server", ["gunicorn/27.0.1", "waitress", "Werkzeug/3.1.9", "gevent/26.9 Python/3.11"])
def test_a_front_is_believed_under_servers_that_drop_look_alike_names(server: str) -> None:
    head = read(SERVER_SOFTWARE=server, **SAID)
    assert (head.client_address, head.scheme, head.host) == ("6.6.6.6", "https", "other.example")


def test_a_front_is_believed_under_mod_wsgi() -> None:
    assert read(**SAID, **{"mod_wsgi.version": "4.9.4"}).client_address == "6.6.6.6"


@pytest.mark.parametrize(
    "server", ["Granian", "Cheroot/11.1.2 Server", "WSGIServer/0.2 CPython/3.11.7", "", "x gunicorn/"]
)
def test_no_front_is_believed_under_other_servers_unless_asked_for(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    doubting = reader()
    for _ in range(2):
        head = read(doubting, SERVER_SOFTWARE=server, **SAID)
        assert (head.client_address, head.scheme, head.host) == ("10.0.0.1", "http", "app.example")
    assert caplog.text.count("forwarded_fields_ignored") == 1
    assert read(reader(underscores_dropped=True), SERVER_SOFTWARE=server, **SAID).client_address == "6.6.6.6"


def test_a_stranger_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert read(**SAID | {"REMOTE_ADDR": "192.0.2.1"}).client_address == "192.0.2.1"
    assert "forwarded" not in caplog.text


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/raw//x/y~-%41?q=%2F", "/raw/x/y~-A"),  # Apache merges slashes
        ("/a/./b/../c?q=%2F", "/a/c"),  # and resolves dots
        ("/a/./b/../c?q=%2F", "/a/./b/../c"),
        ("/%C3%A9;x%3Bx?q=%2F", "/é;x;x".encode().decode("latin-1")),
        ("//x?q=%2F", "/x"),  # waitress tidies only this
    ],
)
def test_one_returns_to_what_was_typed_where_the_server_tidies(raw: str, path: str) -> None:
    assert read(REQUEST_URI=raw, PATH_INFO=path, QUERY_STRING="q=%2F").raw_target == raw.encode()


@pytest.mark.parametrize(
    ("raw", "path", "query", "target"),
    [
        ("/elsewhere?q", "/a", "q", b"/a?q"),  # rewritten on the way
        ("/a?other", "/a", "q", b"/a?q"),
        ("http://app.example/a?q", "/a", "q", b"/a?q"),
        ("", "/a b", "q", b"/a%20b?q"),
    ],
)
def test_one_returns_to_what_was_judged_where_the_raw_target_is_another(
    raw: str, path: str, query: str, target: bytes
) -> None:
    head = read(RAW_URI=raw, PATH_INFO=path, QUERY_STRING=query)
    assert head.raw_target == target
    assert head.path.text == path


@pytest.mark.parametrize("raw", ["/a%2Fb", "/a%5Cb", "/a%00", "/../a", "/a%zz", "/%E9"])
def test_what_decoding_has_hidden_is_refused(raw: str) -> None:
    with pytest.raises(MalformedRequest):
        read(REQUEST_URI=raw, PATH_INFO="/a/b")


def test_a_mount_that_a_front_took_off_is_part_of_the_address_to_return_to() -> None:
    head = read(SCRIPT_NAME="/app", PATH_INFO="/x A", REQUEST_URI="/x%20%41?q", QUERY_STRING="q")
    assert (head.mount, head.path.text, head.raw_target) == ("/app", "/app/x A", b"/app/x%20%41?q")
