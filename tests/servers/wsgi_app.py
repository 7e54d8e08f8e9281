"""What WSGI servers are started with: the gateway around an app that says what it was called with."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.wsgi import protect


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer by the last segment of the path."""
    path = environ["PATH_INFO"].encode("latin-1").decode()
    if path.endswith("/raise"):
        raise RuntimeError("the app's own failure")
    if path.endswith("/events"):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return tell_events()
    body = read_body(environ)
    answer = {
        "method": environ["REQUEST_METHOD"],
        "mount": environ["SCRIPT_NAME"].encode("latin-1").decode(),
        "path": path,
        "query": environ.get("QUERY_STRING", ""),
        "headers": [
            [name[5:].replace("_", "-").lower(), value] for name, value in environ.items() if name.startswith("HTTP_")
        ],
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "user": environ.get("REMOTE_USER"),
    }
    data = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def read_body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    sizes = (int(length),) if length else () if environ.get("wsgi.input_terminated") else (0,)
    body: bytes = environ["wsgi.input"].read(*sizes)
    return body


def tell_events() -> Iterator[bytes]:
    for number in range(600):
        yield b"data: %d\n\n" % number
        time.sleep(0.05)
    yield b"data: the end\n\n"


application = protect(app)
