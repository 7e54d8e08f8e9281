"""The gateway inside a WSGI app, where the server has made one key of many spellings before anybody could look."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import Browser, Running
from tests.talk import HOST, compose
from tests.threats.conftest import Wire
from tests.threats.identity import reads_as_identity, spellings
from tests.threats.mutation import examples
from tests.threats.test_dropped_headers import EXAMPLES
from tests.threats.test_origin import SAYING

forgeries = st.lists(spellings().map(lambda name: name + b": evil\r\n"), min_size=1, max_size=6).map(b"".join)


@pytest.fixture(scope="module")
def inside_wsgi(simulator: RunningSimulator) -> Generator[Running]:
    with wsgi(simulator) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(inside_wsgi: Running) -> bytes:
    with Browser(inside_wsgi.url) as browser:
        assert browser.sign_in().status_code == 200
        return b"Cookie: a=1; gateway=" + browser.client.cookies["gateway"].encode() + b"\r\n"


def told(running: Running, request: bytes) -> dict[str, str]:
    """Return the headers that the app sees; none may come twice."""
    answer = Wire(running.address).exchange(request)
    assert b" 200 " in answer[:16], answer
    pairs = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def identity(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if reads_as_identity(name.encode())}


@examples(40)
@given(forged=forgeries)
def test_nobody_is_told_of_the_anonymous(inside_wsgi: Running, forged: bytes) -> None:
    for target in (b"/public/x", b"/optional/x"):
        assert identity(told(inside_wsgi, compose(target, HOST + forged))) == {}


@examples(40)
@given(forged=forgeries)
def test_somebody_who_is_signed_in_is_told_of_by_the_gateway_alone(
    inside_wsgi: Running, cookie: bytes, forged: bytes
) -> None:
    expected = identity(told(inside_wsgi, compose(b"/private/x", HOST + cookie)))
    assert {"x-tiktok-open-id", "x-tiktok-access-token"} <= expected.keys()
    for fields in (HOST + forged + cookie, HOST + cookie + forged):
        headers = told(inside_wsgi, compose(b"/private/x", fields))
        assert identity(headers) == expected
        assert headers["cookie"] == "a=1"


@examples(40)
@given(names=st.lists(spellings(SAYING), min_size=1, max_size=6))
def test_a_stranger_says_nothing_of_where_it_comes_from(inside_wsgi: Running, names: list[bytes]) -> None:
    headers = told(inside_wsgi, compose(fields=HOST + b"".join(name + b": 6.6.6.6\r\n" for name in names)))
    assert "6.6.6.6" not in str(headers)
    assert headers["x-forwarded-for"] == "127.0.0.1"


def test_what_only_a_front_may_say_is_not_handed_on(inside_wsgi: Running) -> None:
    fields = b"".join(b"%b: evil\r\n" % name for name in EXAMPLES)
    given = told(inside_wsgi, compose(b"/public/x", HOST + fields + b"X-Mine: kept\r\n"))
    assert "evil" not in given.values()
    assert given["x-mine"] == "kept"


def test_an_optional_answer_is_kept_apart_whoever_asks(inside_wsgi: Running, cookie: bytes) -> None:
    for fields, private in ((HOST, False), (HOST + cookie, True)):
        head = Wire(inside_wsgi.address).exchange(compose(b"/optional/x", fields)).partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nvary: cookie" in head
        assert (b"\r\ncache-control: private" in head) is private
    assert b"vary" not in Wire(inside_wsgi.address).exchange(compose(b"/public/x", HOST + cookie)).lower()


@pytest.mark.parametrize("own_first", [True, False])
def test_of_several_cookie_fields_the_gateway_finds_its_own_and_the_app_does_not(
    inside_wsgi: Running, cookie: bytes, own_first: bool
) -> None:
    """The server (wsgiref) makes one field of them, with commas."""
    own = cookie.replace(b"a=1; ", b"")
    binding = b"Cookie: c=3; gateway-sign-in=" + b"b" * 43 + b"\r\n"
    fields = [own, b"Cookie: b=2,2\r\n", binding]
    headers = told(inside_wsgi, compose(b"/private/x", HOST + b"".join(fields if own_first else reversed(fields))))
    assert headers["x-tiktok-open-id"]
    assert headers["cookie"] in {"b=2,2; c=3", "c=3; b=2,2", "b=2,2,c=3", "c=3,b=2,2"}
