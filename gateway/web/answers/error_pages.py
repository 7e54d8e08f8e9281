"""Errors, as a page for a person or a problem for a program: what is said besides the fixed texts, and the ways on."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from gateway.core.challenge import Viewer
from gateway.core.fields import Headers
from gateway.core.scopes import describe_scopes
from gateway.errors import (
    AttemptWithoutCookie,
    GatewayError,
    MethodRefused,
    ProviderError,
    ScopeRefused,
    SessionEnded,
    SessionsDiffer,
    SignInLoop,
    SignInRefused,
    SignInsBusy,
    TooManyAttempts,
)
from gateway.web.answers.answer import Answer, page, problem
from gateway.web.answers.pages import ErrorView, Link, Pages, PersonName

_NEEDS_A_REST: Final = (AttemptWithoutCookie, SignInLoop)
"""Where going back at once would only begin the same again."""
_SIGN_IN_HELPS: Final = (SessionsDiffer, SessionEnded)
_TIME_HELPS: Final = (TooManyAttempts, SignInsBusy)
_STILL: Final = "You are still signed in. "
_LOG_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ErrorPages:
    """Answers errors; `prefix` is that of the gateway's own pages."""

    def __init__(self, pages: Pages, prefix: str) -> None:
        self._pages = pages
        self._prefix = prefix

    def answer(
        self,
        error: GatewayError,
        viewer: Viewer,
        request_id: str,
        *,
        here: str | None = None,
        person: PersonName | None = None,
        words: str = "",
        brings_session: bool = False,
        within: str | None = None,
        extra: Headers = (),
    ) -> Answer:
        """Answer an error.

        `here` is the checked address that was asked for, where it may be asked for again; `person` is to whom it is
        denied, and `words` say why; `within` is the app whose browser the person uses, where that may be the cause.
        """
        advice = (_STILL if error.keeps_session and brings_session else "") + error.advice
        if isinstance(error, MethodRefused):
            extra = (*extra, (b"allow", ", ".join(error.allowed).encode()))  # RFC 9110 §15.5.6
        elif error.retry_after is not None:
            extra = (*extra, (b"retry-after", str(error.retry_after).encode()))
        log_id = error.log_id if isinstance(error, ProviderError) and _LOG_ID.fullmatch(error.log_id) else ""
        if viewer is Viewer.PROGRAM:
            members: dict[str, Any] = {"log_id": log_id} if log_id else {}
            return problem(error.status, error.code, error.title, advice, request_id, extra=extra, **members)
        view = ErrorView(
            code=error.code,
            title=error.title,
            advice=advice,
            request_id=request_id,
            log_id=log_id,
            links=self._find_links(error, here, person),
            refused=describe_scopes(error.refused) if isinstance(error, ScopeRefused) else (),
            person=person,
            words=words,
            within=within,
        )
        framed = viewer is Viewer.FRAME
        return page(error.status, self._pages.error(view, framed=framed), extra=extra, framed=framed)

    def _find_links(self, error: GatewayError, here: str | None, person: PersonName | None) -> tuple[Link, ...]:
        """Return the ways on, the likeliest first."""
        home = Link("/", "Back to the start page")
        wanted = error.return_to
        match error:
            case _ if isinstance(error, _NEEDS_A_REST):
                return (Link(self._own("sign_in", wanted), "Sign in again"),)
            case ScopeRefused() if wanted is not None:
                return Link(wanted, "Back to where you were"), home
            case SignInRefused() | ProviderError() if wanted is not None:
                return Link(self._own("start", wanted), "Try again"), home
            case _ if isinstance(error, _SIGN_IN_HELPS):
                return Link(self._own("start", here), "Sign in again"), home
            case _ if here is not None and (error.keeps_session or isinstance(error, _TIME_HELPS)):
                return Link(here, "Try again"), home
            case _ if person is not None:
                return home, Link(self._own("start", here, "switch=1"), "Use another account")
            case _:
                return (home,)

    def _own(self, page: str, rd: str | None, *leading: str) -> str:
        """Return the address of a page of ours that leads on to `rd`."""
        named = (f"rd={quote(rd, safe='/')}",) if rd is not None else ()
        query = "&".join((*leading, *named))
        return f"{self._prefix}/{page}?{query}" if query else f"{self._prefix}/{page}"
