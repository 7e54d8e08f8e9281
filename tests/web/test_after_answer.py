"""When an answer is complete, what the app does afterwards is its own: neither ended with a session, nor counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder

from gateway import asgi, wsgi
from gateway.errors import SessionEnded
from gateway.flows import live
from gateway.testing import signed_in
from gateway.web.asgi_head import Message
from gateway.web.middleware import Abandoned
from tests.web.test_testing import read

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
LAST: Message = {"type": "http.response.body", "body": b"all"}
SIGN_OUT = "/oauth2/sign_out"


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what ends end at once."""
    monkeypatch.setattr(live, "GRACE", 0.0)


def lines(caplog: pytest.LogCaptureFixture, path: str) -> list[str]:
    """Return the lines of requests to a path."""
    return [record.getMessage() for record in caplog.records if f"path={path} " in record.getMessage() + " "]


async def call(app: Any, path: str, method: str = "GET") -> list[Message]:
    """Call an ASGI app once, and return what it sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"testserver"), (b"sec-fetch-site", b"same-origin")]
    await app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    return sent


async def talk(protected: Any) -> list[Message]:
    """Open a WebSocket, hang up, and return what the other side has sent."""
    sent: list[Message] = []
    coming = iter(["websocket.connect", "websocket.disconnect"])

    async def receive() -> Message:
        return {"type": next(coming)}

    async def send(message: Message) -> None:
        sent.append(message)

    await protected({"type": "websocket", "path": "/x", "headers": [(b"host", b"testserver")]}, receive, send)
    await protected.generation.close()
    return sent


async def end_session(protected: Any) -> None:
    """Sign out, and let everything that was let in be judged, and cut."""
    answer = await call(protected, SIGN_OUT, "POST")
    assert answer[0]["status"] in {200, 204}
    await protected.generation.judging.watch.look()
    for _ in range(10):
        await asyncio.sleep(0)


def run(app: Callable[[Any, Any, Any, Any], Any]) -> list[Message]:
    """Serve one request of somebody who is signed in; the app is given what protects it."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await app(protected, scope, receive, send)

    protected = asgi.protect(inner, read())

    async def serve() -> list[Message]:
        sent = await call(protected, "/x")
        await protected.generation.close()
        return sent

    with signed_in("ada"):
        return asyncio.run(serve())


def test_work_after_the_answer_goes_on_when_the_session_ends(caplog: pytest.LogCaptureFixture) -> None:
    done: list[list[str]] = []

    async def app(protected: Any, scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)
        await end_session(protected)
        done.append(lines(caplog, "/x"))

    with caplog.at_level(logging.INFO):
        assert run(app)[-1] == LAST
    [told] = done  # not cut, and the line was there before
    assert len(told) == len(lines(caplog, "/x")) == 1
    assert "status=200" in told[0]
    assert "error" not in told[0]


@pytest.mark.parametrize("more", [{"body": b"some", "more_body": True}, None])
def test_an_answer_that_is_not_complete_is_cut(more: Message | None) -> None:
    done: list[bool] = []

    async def app(protected: Any, scope: Any, receive: Any, send: Any) -> None:
        if more is not None:
            await send(START)
            await send({"type": "http.response.body", **more})
        await end_session(protected)
        done.append(True)

    if more is None:
        assert run(app)[0]["status"] == 401
    else:
        with pytest.raises(Abandoned):
            run(app)
    assert not done


def test_what_fails_afterwards_has_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    async def app(protected: Any, scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(LAST)
        raise SessionEnded("in a task")

    with caplog.at_level(logging.INFO):
        assert run(app)[0]["status"] == 200
    assert "error" not in lines(caplog, "/x")[0]
    assert any("event=failed_after_answer" in each.getMessage() for each in caplog.records)


@pytest.mark.parametrize("who", ["the client", "the app"])
def test_work_after_a_websocket_is_closed_goes_on(who: str) -> None:
    done: list[bool] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        if who == "the client":
            assert (await receive())["type"] == "websocket.disconnect"
        else:
            await send({"type": "websocket.close", "code": 1000})
        await end_session(protected)
        protected.generation.drain()
        await asyncio.sleep(0)
        done.append(True)

    protected = asgi.protect(inner, read())
    with signed_in("ada"):
        asyncio.run(talk(protected))
    assert done


def test_a_websocket_that_is_open_is_closed() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await end_session(protected)
        pytest.fail("it went on")

    protected = asgi.protect(inner, read())
    with signed_in("ada"):
        sent = asyncio.run(talk(protected))
    assert sent[-1] == {"type": "websocket.close", "code": 4401, "reason": ""}


class Body:
    """The body of a WSGI answer, which notes what its reader does."""

    def __init__(self, noted: Callable[[str], None]) -> None:
        self._chunks = iter([b"a", b"ll"])
        self._noted = noted

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._noted("chunk")
        return next(self._chunks)

    def close(self) -> None:
        """Do the app's own work, such as Werkzeug's `call_on_close`."""
        self._noted("closed")


@pytest.mark.parametrize(("path", "person"), [("/x", "ada"), ("/open", None)])
def test_wsgi_tells_when_the_body_ends(caplog: pytest.LogCaptureFixture, path: str, person: str | None) -> None:
    noted: list[tuple[str, int]] = []

    def app(environ: Any, start: Any) -> Body:
        start("200 OK", [])
        return Body(lambda what: noted.append((what, len(lines(caplog, path)))))

    guarded = wsgi.protect(app, read(GATEWAY__ROUTES="[{path: /open, access: public}, {path: /**}]"))
    with caplog.at_level(logging.INFO), signed_in(person or ""):
        body = guarded(EnvironBuilder(path, base_url="http://testserver").get_environ(), lambda *_: None)
        assert b"".join(body) == b"all"
        if person is not None:
            Client(guarded).post(SIGN_OUT, base_url="http://testserver", headers={"sec-fetch-site": "same-origin"})
        body.close()
    guarded.close()
    assert noted == [("chunk", 0)] * 3 + [("closed", 1)]
    assert len(lines(caplog, path)) == 1


def test_wsgi_tells_of_a_body_that_nobody_reads_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        return iter([b"a", b"ll"])

    guarded = wsgi.protect(app, read())
    with caplog.at_level(logging.INFO), signed_in("ada"):
        body = guarded(EnvironBuilder("/x", base_url="http://testserver").get_environ(), lambda *_: None)
        next(body)
        body.close()
    guarded.close()
    assert len(lines(caplog, "/x")) == 1


def test_wsgi_leaves_what_servers_send_quickly_as_it_is() -> None:
    made = [b"all"]

    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return made

    guarded = wsgi.protect(app, read(GATEWAY__ROUTES="[{path: /**, access: public}]"))
    assert guarded(EnvironBuilder("/", base_url="http://testserver").get_environ(), lambda *_: None) is made
    guarded.close()


def test_wsgi_tells_what_the_app_raises(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start: Any) -> list[bytes]:
        raise RuntimeError("the app's own")

    guarded = wsgi.protect(app, read())
    with caplog.at_level(logging.INFO), signed_in("ada"), pytest.raises(RuntimeError):
        guarded(EnvironBuilder("/x", base_url="http://testserver").get_environ(), lambda *_: None)
    guarded.close()
    assert "status=500" in lines(caplog, "/x")[0]
