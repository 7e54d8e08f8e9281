"""What ASGI servers are started with: the gateway around an app that says what it was called with."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount

from gateway.asgi import protect


def headers_of(scope: Any) -> list[list[str]]:
    return [[name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in scope["headers"]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer by the last segment of the path."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await talk(scope, receive, send)
        return
    if scope["path"].endswith("/raise"):
        raise RuntimeError("the app's own failure")
    if scope["path"].endswith("/events"):
        await tell_events(send)
        return
    body = await Request(scope, receive).body()
    answer = {
        "method": scope["method"],
        "mount": scope["root_path"],
        "path": scope["path"].removeprefix(scope["root_path"]),
        "query": scope["query_string"].decode(),
        "headers": headers_of(scope),
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "user": scope["user"].identity if scope["user"].is_authenticated else None,
    }
    await JSONResponse(answer)(scope, receive, send)


async def talk(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"{scope['user'].identity}: {message['text']}"})


async def tell_events(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(600):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b"data: the end\n\n"})


application = protect(app)
mounted = Starlette(routes=[Mount("/app", application)])
