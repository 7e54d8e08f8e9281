"""One request as an app in this process may ask about it: where the gateway's pages are, what it answers to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from gateway.core.request import RequestHead
from gateway.errors import GatewayError
from gateway.telemetry.metrics import Metrics
from gateway.web.answers.answer import Answer
from gateway.web.answers.site import Site

VISIT_KEY: Final = "gateway.visit"
"""Key of a scope and of an environ."""


class Visit:
    """A request that was let in; `metrics` are those of the gateway that has let it in.

    An event that the gateway passes on itself has neither metrics nor anybody to be answered.
    """

    __slots__ = ("_answer_error", "_head", "_site", "metrics")

    def __init__(
        self,
        head: RequestHead,
        site: Site,
        metrics: Metrics | None = None,
        answer_error: Callable[[GatewayError], Answer] | None = None,
    ) -> None:
        self._head = head
        self._site = site
        self.metrics = metrics
        self._answer_error = answer_error

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

    def answer_error(self, error: Exception) -> Answer:
        """Return what the gateway answers to an error of its own: a page for a person, a problem for a program.

        The log's line tells of it. Raises an error that is not the gateway's as it is.
        """
        if self._answer_error is None or not isinstance(error, GatewayError):
            raise error
        return self._answer_error(error)

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
