"""Addresses of the gateway's own pages, for links in the app's pages.

Each takes the request of Starlette, FastAPI, Flask, Bottle or Django, or the ASGI scope or WSGI environ itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.web.behind.asked import Asked, read_state
from gateway.web.behind.visit import find_visit


def sign_in_url(request: Asked, return_to: str | None = None, scopes: Sequence[str] = ()) -> str:
    """Return the address of a link that signs in, or asks for more `scopes`; then it leads to `return_to`.

    Without it, to the page that has the link. Raises `LookupError` outside of a request through the gateway.
    """
    return find_visit(read_state(request)).sign_in_url(return_to, scopes)


def sign_out_url(request: Asked) -> str:
    """Return the address of the page that asks whether to sign out; a form that does it at once sends a POST there."""
    return find_visit(read_state(request)).own_page("sign_out")


def account_url(request: Asked) -> str:
    """Return the address of the page where people see what they granted, sign out everywhere and disconnect."""
    return find_visit(read_state(request)).own_page("account")
