"""The demo's sample app: an ordinary web app that knows nothing of TikTok and shows the headers it was given."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from html import escape
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Sample app</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid #8884; }}
td {{ overflow-wrap: anywhere; font-family: ui-monospace, monospace; }}
</style></head><body>
<h1>Hello, <bdi>{name}</bdi></h1>
<p>This is the sample app. It has no sign-in of its own: the gateway in front of it added these headers.</p>
<table>{rows}</table>
<p><a href="/oauth2/account">Account</a> · <a href="/oauth2/sign_out">Sign out</a></p>
</body></html>"""


async def front(request: Request) -> HTMLResponse:
    """Show who is there, and every identity header."""
    given = {name: value for name, value in request.headers.items() if name.startswith("x-tiktok-")}
    name = unquote(given.get("x-tiktok-display-name", "")) or given.get("x-tiktok-open-id", "stranger")
    rows = "".join(
        f"<tr><th>{escape(header)}</th><td>{escape(value)}</td></tr>" for header, value in sorted(given.items())
    )
    return HTMLResponse(_PAGE.format(name=escape(name), rows=rows))


async def headers(request: Request) -> JSONResponse:
    """Answer with all request headers, as JSON."""
    return JSONResponse(dict(request.headers.items()))


app = Starlette(routes=[Route("/", front), Route("/headers", headers)])


@contextlib.contextmanager
def run_in_thread() -> Generator[str, None, None]:
    """Serve the sample app on a free port of 127.0.0.1; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=5)
