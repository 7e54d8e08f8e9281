"""What one finds when one looks for "FastAPI reverse proxy": Starlette and a shared httpx client, without sign-in.

`UPSTREAM_PORT` in the environment says where to forward to.
"""

from __future__ import annotations

import os

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{os.environ.get('UPSTREAM_PORT', '9000')}", trust_env=False)


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


app = Starlette(routes=[Route("/{path:path}", _forward, methods=METHODS)])
