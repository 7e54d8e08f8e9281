"""What an ASGI app asks about the request at hand: who it is from.

Each takes Starlette's or FastAPI's request or WebSocket, Django's under ASGI, or the ASGI scope itself.
"""

from __future__ import annotations

from typing import overload

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection

from gateway.web.answers.answer import CHALLENGE
from gateway.web.behind.asked import Asked, read_scope, read_state
from gateway.web.behind.user import User
from gateway.web.behind.visit import find_visit

SIGNED_OUT: int = 4401
"""Close code of a WebSocket whose visitor is not signed in, or no longer."""


@overload
def current_user(connection: HTTPConnection) -> User: ...
@overload
def current_user(connection: Asked) -> User: ...
def current_user(connection: HTTPConnection) -> User:  # type: ignore[misc]  # FastAPI reads this, Django's types those
    """Return who is signed in; a dependency for FastAPI: `user: Annotated[User, Depends(current_user)]`.

    For where a route lets in people who are not (`access: optional`): for those it ends in a 401, which FastAPI writes
    as a problem (RFC 9457), and a WebSocket is closed with 4401, or refused. Raises Starlette's exceptions for that.
    """
    user = find_user(connection)
    if user is not None:
        return user
    if read_scope(connection)["type"] == "websocket":
        raise WebSocketException(SIGNED_OUT, "sign in first")
    name, value = (each.decode() for each in CHALLENGE)
    headers = {name: value, "cache-control": "no-store"}
    if hasattr(read_scope(connection).get("app"), "dependency_overrides"):  # FastAPI's answer is `{"detail": …}`
        headers["content-type"] = "application/problem+json"
    raise HTTPException(401, "Sign in first.", headers=headers)


@overload
def find_user(connection: HTTPConnection) -> User | None: ...
@overload
def find_user(connection: Asked) -> User | None: ...
def find_user(connection: HTTPConnection) -> User | None:  # type: ignore[misc]  # as above
    """Return who is signed in; None for a visitor who is not. Also a dependency for FastAPI."""
    find_visit(read_state(connection))
    user = read_scope(connection)["user"]
    return user if isinstance(user, User) else None
