"""Two proxies to measure, both without sign-in; `UPSTREAM_PORT` says where to forward to.

`textbook` is what one finds when one looks for "FastAPI reverse proxy": Starlette and a shared httpx client.
`lean` is this package's ReverseProxy alone.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.upstream import Address, ReverseProxy, Upstream

PORT = int(os.environ.get("UPSTREAM_PORT", "9000"))
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}")
_proxy = ReverseProxy(Upstream(addresses=(Address(port=PORT),)))


async def _forward(request: Request) -> StreamingResponse:
    url = httpx.URL(path=request.url.path, query=request.url.query.encode())
    content = None if request.method in {"GET", "HEAD"} else request.stream()
    outgoing = _client.build_request(request.method, url, headers=request.headers.raw, content=content)
    answer = await _client.send(outgoing, stream=True)
    return StreamingResponse(
        answer.aiter_raw(),
        status_code=answer.status_code,
        headers=answer.headers,
        background=BackgroundTask(answer.aclose),
    )


textbook = Starlette(routes=[Route("/{path:path}", _forward, methods=METHODS)])


async def lean(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI app of `ReverseProxy`."""
    raw, query = scope["raw_path"], scope["query_string"]
    head = RequestHead(
        method=scope["method"],
        scheme=scope["scheme"],
        host="app.example",
        path=canonicalise(raw),
        query=query,
        raw_target=raw + b"?" + query if query else raw,
        headers=tuple(scope["headers"]),
        client_address="127.0.0.1",
    )
    await _proxy.forward(head, scope["headers"], receive, send)
