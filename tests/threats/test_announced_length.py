"""A body that is announced as larger than its route takes is refused by its head alone (413, RFC 9110 §15.5.14).

What is behind the gateway hears nothing of it: no upstream connection is opened, no app is called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi
from tests.harness import Browser, Running
from tests.talk import HOST, Talk, compose
from tests.threats.guarded import Guarded, guard_app, guard_upstream

LIMIT = 10
ROUTES = """[
  {path: /public/**, access: public},
  {path: /small/**, access: public, limits: {body: 5}},
  {path: /**}
]"""
CHANGES = {"routes": ROUTES, "limits__body": str(LIMIT), "session__cache_for": "0s"}  # so that the store is asked
EXPECTS = b"Expect: 100-continue\r\n"
HIDDEN = compose(b"/public/hidden")
AFTER = compose(b"/public/after")

FORMS: dict[str, Callable[[RunningSimulator], contextlib.AbstractContextManager[Guarded]]] = {
    "fast": lambda simulator: guard_upstream(simulator, "fast", **CHANGES),
    "slow": lambda simulator: guard_upstream(simulator, "slow", **CHANGES),
    "under_httptools": lambda simulator: guard_app(simulator, "httptools", **CHANGES),
    "under_h11": lambda simulator: guard_app(simulator, "h11", **CHANGES),
}


@pytest.fixture(scope="module", params=FORMS)
def limited(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    with FORMS[request.param](simulator) as guarded:
        yield guarded


def announce(target: bytes, length: int, fields: bytes = b"") -> bytes:
    """Return the head of a POST whose body is still to come."""
    return compose(target, HOST + fields + b"Content-Length: %d\r\n" % length, method=b"POST")


@pytest.mark.parametrize("expects", [b"", EXPECTS], ids=["", "expects"])
@pytest.mark.parametrize(
    ("target", "length"), [(b"/public/x", LIMIT + 1), (b"/small/x", 6), (b"/public/x", 10**15)], ids=repr
)
def test_the_head_alone_is_refused(limited: Guarded, target: bytes, length: int, expects: bytes) -> None:
    heard = limited.behind.connections
    with limited.talk() as talk:
        answer = talk.say(announce(target, length, expects)).answer()
        assert answer is not None
        assert (answer.status, answer.whole, answer.interim) == (413, True, ())
    assert (limited.behind.connections, limited.behind.take()) == (heard, [])


@pytest.mark.parametrize("expects", [b"", EXPECTS], ids=["", "expects"])
def test_so_is_that_of_somebody_whom_the_store_is_asked_about(limited: Guarded, expects: bytes) -> None:
    fields = b"Cookie: " + limited.cookie + b"\r\n" + expects
    heard = limited.behind.connections
    for _ in range(2):
        with limited.talk() as talk:
            answer = talk.say(announce(b"/private/x", LIMIT + 1, fields)).answer()
            assert answer is not None
            assert (answer.status, answer.interim) == (413, ())
    assert (limited.behind.connections, limited.behind.take()) == (heard, [])


def test_what_the_limit_takes_passes(limited: Guarded) -> None:
    for fields in (b"", EXPECTS):
        with limited.talk() as talk:
            answer = talk.say(announce(b"/public/x", LIMIT, fields), b"x" * LIMIT, pause=0.01).answer()
            assert answer is not None
            assert answer.status == 200
        assert [seen.body for seen in limited.behind.take()] == [b"x" * LIMIT]


@pytest.mark.parametrize("expects", [b"", EXPECTS], ids=["", "expects"])
def test_its_body_is_no_request(limited: Guarded, expects: bytes) -> None:
    """Our own server ends the connection, having said so; another may read on behind the body."""
    with limited.talk() as talk:
        answer = talk.say(announce(b"/public/x", len(HIDDEN), expects)).answer()
        assert answer is not None
        assert answer.status == 413
        assert answer.says_close or not limited.own_server
        talk.say(HIDDEN + AFTER)
        after = talk.answer()
        assert after is None or (after.status == 200 and not limited.own_server)
    assert [seen.path for seen in limited.behind.take()] == ([b"/public/after"] if after is not None else [])


# Under WSGI


class CountingApp:
    """A WSGI app that counts its calls, and answers without a look at the body."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.calls += 1
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@pytest.fixture(scope="module")
def counting() -> CountingApp:
    return CountingApp()


@pytest.fixture(scope="module")
def under_wsgi(simulator: RunningSimulator, counting: CountingApp) -> Generator[Running]:
    with wsgi(simulator, counting, **CHANGES) as running:
        yield running


@pytest.mark.parametrize("expects", [b"", EXPECTS], ids=["", "expects"])
@pytest.mark.parametrize(
    ("target", "length", "status"),
    [(b"/public/x", LIMIT + 1, 413), (b"/small/x", 6, 413), (b"/private/x", LIMIT + 1, 413), (b"/public/x", 10, 200)],
    ids=repr,
)
def test_a_wsgi_app_is_not_called(
    under_wsgi: Running, counting: CountingApp, target: bytes, length: int, status: int, expects: bytes
) -> None:
    with Browser(under_wsgi.url) as browser:
        assert browser.sign_in().status_code == 200
        cookie = b"Cookie: gateway=" + browser.client.cookies["gateway"].encode() + b"\r\n"
    calls = counting.calls
    with Talk(under_wsgi.address) as talk:
        answer = talk.say(announce(target, length, cookie + expects)).rest()
    assert answer.startswith(b"HTTP/1.0 %d " % status)  # and no interim answer before it
    assert counting.calls == calls + (status == 200)
