"""What a WSGI app asks about the request at hand: who it is from.

Each takes the request of Flask, Bottle or Django, or the WSGI environ itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import NotSignedIn
from gateway.web.behind.visit import HasEnviron, find_visit
from gateway.web.wsgi.user import USER_KEY, User


def current_user(request: HasEnviron | Mapping[str, Any]) -> User:
    """Return who is signed in, which is somebody on every route that asks for it.

    Raises `NotSignedIn` where a route lets in people who are not; there, ask `find_user`.
    """
    user = find_user(request)
    if user is None:
        raise NotSignedIn("nobody is signed in, and the route lets such visitors in: ask find_user")
    return user


def find_user(request: HasEnviron | Mapping[str, Any]) -> User | None:
    """Return who is signed in; None for a visitor who is not."""
    environ = _environ_of(request)
    find_visit(environ)
    user = environ.get(USER_KEY)
    return user if isinstance(user, User) else None


def _environ_of(request: HasEnviron | Mapping[str, Any]) -> Mapping[str, Any]:
    return request if isinstance(request, Mapping) else request.environ
