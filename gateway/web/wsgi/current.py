"""What a WSGI app asks about the request at hand: who it is from, and where links lead.

Each takes the request of Flask, Bottle or Django, or the WSGI environ itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def sign_in_url(
    request: HasEnviron | Mapping[str, Any], return_to: str | None = None, scopes: Sequence[str] = ()
) -> str:
    """Return the address of a link that signs in, or asks for more `scopes`; then it leads to `return_to`.

    Without it, to the page that has the link. Raises `LookupError` outside of a request through the gateway.
    """
    return find_visit(_environ_of(request)).sign_in_url(return_to, scopes)


def sign_out_url(request: HasEnviron | Mapping[str, Any]) -> str:
    """Return the address of the page that asks whether to sign out; a form that does it at once sends a POST there."""
    return find_visit(_environ_of(request)).own_page("sign_out")


def account_url(request: HasEnviron | Mapping[str, Any]) -> str:
    """Return the address of the page where people see what they granted, sign out everywhere and disconnect."""
    return find_visit(_environ_of(request)).own_page("account")


def _environ_of(request: HasEnviron | Mapping[str, Any]) -> Mapping[str, Any]:
    return request if isinstance(request, Mapping) else request.environ
