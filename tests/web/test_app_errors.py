"""What an app in this process raises is its own: its framework, its error reporter and its server see it as it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from gateway.asgi import protect
from gateway.simulator import RunningSimulator
from gateway.web.asgi_head import Message
from gateway.web.pipeline import Pipeline
from tests.harness import read_settings

BOOM = RuntimeError("the app's own")


async def failing(scope: Any, receive: Any, send: Any) -> None:
    """Fail before an answer, within one, or when the body is read."""
    if scope["path"].endswith("/within"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    if scope["path"].endswith("/read"):
        await receive()
    raise BOOM


def call(app: Any, path: str = "/public/x", *, kind: str = "http", body: bytes = b"") -> list[Message]:
    """Call an app once, and return what it sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body} if kind == "http" else {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": kind, "path": path, "headers": [(b"host", b"app.example")]}
    asyncio.run(app(scope | ({"method": "POST"} if kind == "http" else {}), receive, send))
    return sent


def get(app: Any, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.fixture
def guard(simulator: RunningSimulator) -> Callable[[Any], Any]:
    routes = "[{path: /public/**, access: public, limits: {body: 4B}}]"
    settings = read_settings(simulator, "http://app.example", routes=routes)
    return lambda app: protect(app, settings)


@pytest.mark.parametrize("path", ["/public/x", "/public/within"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_it_is_raised_as_it_is(
    guard: Callable[[Any], Any], caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(RuntimeError) as raised:
        call(guard(failing), path, kind=kind)
    assert raised.value is BOOM
    assert raised.value.__cause__ is raised.value.__context__ is None
    assert "bug" not in caplog.text
    assert "status=500" in caplog.text or path.endswith("/within")


def test_what_the_gateway_refuses_within_the_app_is_answered(guard: Callable[[Any], Any]) -> None:
    assert call(guard(failing), "/public/read", body=b"12345")[0]["status"] == 413


def test_a_bug_of_ours_is_answered_and_told(
    guard: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise BOOM

    monkeypatch.setattr(Pipeline, "judge", broken)
    assert call(guard(failing))[0]["status"] == 500
    assert "event=bug" in caplog.text


def test_a_framework_around_the_gateway_handles_it(simulator: RunningSimulator) -> None:
    async def boom(request: Request) -> Response:
        raise BOOM

    async def explain(request: Request, error: Exception) -> Response:
        assert error is BOOM
        return PlainTextResponse("sorry, said the app", status_code=500)

    app = Starlette(routes=[Route("/public/boom", boom)])
    app.add_middleware(protect, settings=read_settings(simulator, "http://app.example"))
    app.add_exception_handler(Exception, explain)
    assert get(app, "/public/boom").text == "sorry, said the app"
    assert get(app, "/private/boom").status_code == 401


def live(app: Any) -> list[str]:
    """Start an app and end it, as a server does; returns what it says."""
    sent: list[str] = []
    received = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(received)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    return sent


def test_a_start_that_fails_is_seen_by_the_server(guard: Callable[[Any], Any]) -> None:
    async def starting(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise BOOM

    with pytest.raises(RuntimeError) as raised:
        live(guard(starting))
    assert raised.value is BOOM


def test_an_end_that_fails_is_seen_by_the_server(guard: Callable[[Any], Any]) -> None:
    async def ending(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise BOOM

    with pytest.raises(RuntimeError) as raised:
        live(guard(ending))
    assert raised.value is BOOM


def test_an_app_without_lifespan_is_answered_for(guard: Callable[[Any], Any]) -> None:
    async def only_http(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(f"{scope['type']}?")

    assert live(guard(only_http)) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(("prefix", "told"), [("/app/oauth2", 0), ("/oauth2", 1), ("/apple/oauth2", 1)])
def test_pages_that_no_request_can_reach_are_told_of_once(
    simulator: RunningSimulator, caplog: pytest.LogCaptureFixture, prefix: str, told: int
) -> None:
    settings = read_settings(simulator, "http://app.example", prefix=prefix)
    app = Starlette(routes=[Mount("/app", protect(Starlette(), settings))])
    for _ in range(3):
        assert get(app, "/app/oauth2/livez").status_code == (403 if told else 200)
    assert caplog.text.count("prefix_outside_of_mount") == told
    assert caplog.text.count("set `prefix: /app/oauth2`") == told
