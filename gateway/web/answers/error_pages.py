"""Errors, as a page for a person or a problem for a program: what is said besides the fixed texts, and the ways on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from gateway.core.challenge import Viewer
from gateway.core.fields import Headers
from gateway.core.scopes import FACTS_IN_WORDS
from gateway.errors import (
    AttemptWithoutCookie,
    DeviceProofMissing,
    FactRefused,
    GatewayError,
    MethodRefused,
    NothingHere,
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
from gateway.web.answers.languages import Texts
from gateway.web.answers.pages import Pages
from gateway.web.answers.site import Site
from gateway.web.answers.views import ErrorView, Link, PersonName

_NEEDS_A_REST: Final = (AttemptWithoutCookie, SignInLoop)
"""Where going back at once would only begin the same again."""
_SIGN_IN_HELPS: Final = (SessionsDiffer, SessionEnded)
_TIME_HELPS: Final = (TooManyAttempts, SignInsBusy)
_STILL: Final = "You are still signed in. "
_LOG_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ErrorPages:
    """Answers errors; `site` is where the gateway is."""

    def __init__(self, pages: Pages, site: Site) -> None:
        self._pages = pages
        self._site = site

    def answer(
        self,
        error: GatewayError,
        viewer: Viewer,
        request_id: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        here: str | None = None,
        person: PersonName | None = None,
        words: str = "",
        brings_session: bool = False,
        within: str | None = None,
        extra: Headers = (),
    ) -> Answer:
        """Answer an error, in the language that `headers` ask for; a problem is in English.

        `here` is the checked address that was asked for, where it may be asked for again; `person` is to whom it is
        denied, and `words` say why; `within` is the app whose browser the person uses, where that may be the cause.
        """
        still = error.keeps_session and brings_session
        extra = (*extra, *_build_fields(error))
        log_id = error.log_id if isinstance(error, ProviderError) and _LOG_ID.fullmatch(error.log_id) else ""
        if viewer is Viewer.PROGRAM:
            members: dict[str, Any] = {"log_id": log_id} if log_id else {}
            advice = (_STILL if still else "") + error.advice
            return problem(error.status, error.code, error.title, advice, request_id, extra=extra, **members)
        pages = self._pages.for_reader(headers)
        reloads = here is not None and error.keeps_session and error.retry_after is not None
        view = ErrorView(
            code=error.code,
            title=pages.texts.say(error.title),
            advice=pages.texts.say(error.advice),
            request_id=request_id,
            log_id=log_id,
            links=self._find_links(error, here, person, pages.texts),
            refused=pages.describe_scopes(error.refused) if isinstance(error, ScopeRefused) else (),
            person=person,
            words=words,
            fact=_describe_fact(error, pages.texts),
            within=within,
            still=still,
            reloads=reloads,
        )
        framed = viewer is Viewer.FRAME
        reload = ((b"refresh", str(error.retry_after).encode()),) if reloads else ()
        return page(error.status, pages.error(view, framed=framed), extra=(*extra, *reload), framed=framed)

    def _find_links(
        self, error: GatewayError, here: str | None, person: PersonName | None, texts: Texts
    ) -> tuple[Link, ...]:
        """Return the ways on, the likeliest first; none leads to where the person is already."""
        at_home = here is not None and here in {self._site.public_url, self._site.public_url + "/"}
        home = () if at_home else (Link("/", texts.say("Back to the start page")),)
        wanted = error.return_to
        match error:
            case NothingHere():
                return ()
            case _ if isinstance(error, _NEEDS_A_REST):
                return (Link(self._own("sign_in", wanted), texts.say("Sign in again")),)
            case ScopeRefused() if wanted is not None:
                return Link(wanted, texts.say("Back to where you were")), *home
            case SignInRefused():
                return Link(self._own("start", wanted), texts.say("Try again")), *home
            case ProviderError() if wanted is not None:
                return Link(self._own("start", wanted), texts.say("Try again")), *home
            case DeviceProofMissing() if here is not None:
                return Link(here, texts.say("Try again")), Link(self._own("start", here), texts.say("Sign in again"))
            case _ if isinstance(error, _SIGN_IN_HELPS):
                return Link(self._own("start", here), texts.say("Sign in again")), *home
            case _ if here is not None and (error.keeps_session or isinstance(error, _TIME_HELPS)):
                return Link(here, texts.say("Try again")), *home
            case _ if person is not None:
                return *home, Link(self._own("start", here, "switch=1"), texts.say("Use another account"))
            case _:
                return home

    def _own(self, page: str, rd: str | None, *leading: str) -> str:
        """Return the address of a page of ours that leads on to `rd`."""
        named = (f"rd={quote(rd, safe='/')}",) if rd is not None else ()
        query = "&".join((*leading, *named))
        address = f"{self._site.prefix}/{page}"
        return f"{address}?{query}" if query else address


def _build_fields(error: GatewayError) -> Headers:
    """Return the fields that belong to an error, whoever sees it."""
    if isinstance(error, MethodRefused):
        return ((b"allow", ", ".join(error.allowed).encode()),)  # RFC 9110 §15.5.6
    if error.retry_after is not None:
        return ((b"retry-after", str(error.retry_after).encode()),)
    return ()


def _describe_fact(error: GatewayError, texts: Texts) -> str:
    words = FACTS_IN_WORDS.get(error.fact) if isinstance(error, FactRefused) else None
    return texts.say(words) if words is not None else ""
