"""Addresses of the gateway's own pages, for links in the app's pages.

Each takes the request of Starlette, FastAPI, Flask, Bottle or Django, or the ASGI scope or WSGI environ itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.web.behind.visit import HasEnviron, HasScope, find_visit

Asked = HasScope | HasEnviron | Mapping[str, Any]
"""A request, as an app has it."""


def sign_in_url(request: Asked, return_to: str | None = None, scopes: Sequence[str] = ()) -> str:
    """Return the address of a link that signs in, or asks for more `scopes`; then it leads to `return_to`.

    Without it, to the page that has the link. Raises `LookupError` outside of a request through the gateway.
    """
    return find_visit(_state_of(request)).sign_in_url(return_to, scopes)


def sign_out_url(request: Asked) -> str:
    """Return the address of the page that asks whether to sign out; a form that does it at once sends a POST there."""
    return find_visit(_state_of(request)).own_page("sign_out")


def account_url(request: Asked) -> str:
    """Return the address of the page where people see what they granted, sign out everywhere and disconnect."""
    return find_visit(_state_of(request)).own_page("account")


def _state_of(request: Asked) -> Mapping[str, Any]:
    """Return the scope or environ of a request; Starlette's is a mapping that has what its scope has."""
    if isinstance(request, Mapping):
        return request
    environ: Mapping[str, Any] | None = getattr(request, "environ", None)
    return environ if environ is not None else request.scope  # type: ignore[union-attr]  # one of them is there
