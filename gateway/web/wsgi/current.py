"""What a WSGI app asks about the request at hand: who it is from.

Each takes the request of Flask, Bottle or Django, or the WSGI environ itself.
"""

from __future__ import annotations

from gateway.errors import NotSignedIn
from gateway.web.behind.asked import Asked, read_environ, read_state
from gateway.web.behind.visit import find_visit
from gateway.web.wsgi.user import USER_KEY, User


def current_user(request: Asked) -> User:
    """Return who is signed in, which is somebody on every route that asks for it.

    Raises `NotSignedIn` where a route lets in people who are not; there, ask `find_user`, or have an error handler
    `answer_error`. Raises `TypeError` for a request under ASGI.
    """
    user = find_user(request)
    if user is None:
        raise NotSignedIn("nobody is signed in, and the route lets such visitors in: ask find_user")
    return user


def find_user(request: Asked) -> User | None:
    """Return who is signed in; None for a visitor who is not."""
    find_visit(read_state(request))
    user = read_environ(request).get(USER_KEY)
    return user if isinstance(user, User) else None
