"""What the gateway answers to its own errors, for the error handlers of an app in this process.

A framework makes a 500 of what it does not know, before the gateway sees it. With these it is answered as everywhere
else: the page that asks for a missing scope, the button to sign in, or a problem for a program (RFC 9457).
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.web.behind.asked import Asked, read_scope, read_state
from gateway.web.behind.visit import find_visit


class Reply(NamedTuple):
    """An answer, in the order in which Flask takes one."""

    body: bytes
    status_code: int
    headers: list[tuple[str, str]]


def reply_to(request: Asked, error: Exception) -> Reply:
    """Return what the gateway answers to an error of its own, a `GatewayError`; any other is raised as it is.

    Raises `LookupError` outside of a request through the gateway.
    """
    answer = find_visit(read_state(request)).answer_error(error)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    return Reply(answer.body, answer.status, headers)


async def respond_to(request: Request, error: Exception) -> Response:
    """Return what the gateway answers to an error of its own: a handler for Starlette and FastAPI, for `GatewayError`.

    Any other is raised as it is, and so is that of a WebSocket, which the gateway refuses or closes.
    """
    scope = read_scope(request)
    if scope["type"] != "http":
        raise error
    answer = find_visit(scope).answer_error(error)
    response = Response(answer.body, answer.status)
    response.raw_headers = [*answer.headers, *answer.length_headers()]
    return response
