"""One request as an app in this process may ask about it: addresses of the gateway's own pages, for links."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

from gateway.core.request import RequestHead
from gateway.web.answers.site import Site

VISIT_KEY: Final = "gateway.visit"
"""Key of a scope and of an environ."""


class HasScope(Protocol):
    """A request or WebSocket of Starlette, FastAPI or Django under ASGI."""

    @property
    def scope(self) -> MutableMapping[str, Any]:
        """The ASGI scope."""


class HasEnviron(Protocol):
    """A request of Flask, Bottle or Django."""

    @property
    def environ(self) -> dict[str, Any]:
        """The WSGI environ."""


class Visit:
    """A request that was let in."""

    __slots__ = ("_head", "_site")

    def __init__(self, head: RequestHead, site: Site) -> None:
        self._head = head
        self._site = site

    def sign_in_url(self, return_to: str | None = None, scopes: Sequence[str] = ()) -> str:
        """Return the address of a link that signs in, or asks for more `scopes`; then it leads to `return_to`.

        Without it, to the page that has the link. Where it may lead is judged when the link is followed.
        """
        target = return_to if return_to is not None else self._here()
        wanted = f"scopes={quote(','.join(scopes), safe=',')}&" if scopes else ""
        return f"{self._site.prefix}/start?{wanted}rd={quote(target, safe='/')}"

    def own_page(self, name: str) -> str:
        """Return the address of a page of the gateway's own."""
        return f"{self._site.prefix}/{name}"

    def _here(self) -> str:
        if self._head.method not in {"GET", "HEAD"}:
            return "/"
        return self._site.address_of(self._head, self._head.raw_target.decode("ascii", "replace"))


def find_visit(where: Mapping[str, Any]) -> Visit:
    """Return the visit of a scope or environ. Raises `LookupError` for one that has not come through the gateway."""
    visit = where.get(VISIT_KEY)
    if not isinstance(visit, Visit):
        raise LookupError("this request has not come through the gateway: serve what `protect` has returned")
    return visit
