"""The gateway's own answers: challenges, refusals and errors, as a page for a person or a problem for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never
from urllib.parse import quote

import msgspec

from gateway.core.authorization import USUAL, Wish
from gateway.core.binding import find_cause
from gateway.core.challenge import Viewer, find_viewer
from gateway.core.cookies import CookieSpec
from gateway.core.cors import permit_reading, permit_request, read_preflight
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.fields import Headers, first
from gateway.core.htmx import is_htmx, read_current_url
from gateway.core.in_app import find_app
from gateway.core.kept_post import may_be_kept
from gateway.core.request import RequestHead
from gateway.errors import (
    CrossSite,
    FactRefused,
    Forbidden,
    GatewayError,
    InsufficientScope,
    NotSignedIn,
    SessionsDiffer,
    SignInRefused,
)
from gateway.flows.kept_posts import KeptPosts, ReadBody
from gateway.flows.sign_in import SignIn
from gateway.telemetry.logs import log
from gateway.web.answers.address_bar import forget_query
from gateway.web.answers.answer import NO_STORE, Answer, page, problem, redirect
from gateway.web.answers.browser_cookies import BrowserCookies
from gateway.web.answers.error_pages import ErrorPages
from gateway.web.answers.pages import Pages
from gateway.web.answers.site import Site
from gateway.web.answers.views import PersonName


class Answers:
    """Builds answers; knows the site and the gateway's cookies."""

    def __init__(
        self,
        *,
        site: Site,
        session_cookie: CookieSpec,
        binding_cookie: CookieSpec,
        device_cookie: CookieSpec,
        offer_binding: Callable[[str], Headers],
        sign_in: SignIn,
        kept_posts: KeptPosts,
        pages: Pages,
        ask_first: bool,
        cors_origins: frozenset[str],
        scopes: frozenset[str],
    ) -> None:
        """`offer_binding` returns the fields that offer to bind a new session to its device, given its id.

        `scopes` are all that the settings name: no sign-in asks for another.
        """
        self.site = site
        self.cookies = BrowserCookies(
            session=session_cookie, binding=binding_cookie, device=device_cookie, host=site.host, offer=offer_binding
        )
        self.pages = pages
        self._errors = ErrorPages(pages, site)
        self._sign_in = sign_in
        self._kept_posts = kept_posts
        self._ask_first = ask_first
        self._cors_origins = cors_origins
        self._scopes = scopes

    def pages_for(self, head: RequestHead) -> Pages:
        """Return the pages in the language of whoever asks."""
        return self.pages.for_reader(head.headers)

    async def challenge(self, challenge: Challenge, head: RequestHead, request_id: str) -> Answer:
        """Answer somebody who is not signed in."""
        here = head.raw_target.decode("ascii", "replace")
        match challenge.kind:
            case ChallengeKind.REDIRECT if self.site.is_abroad(head) and not self._ask_first:
                return redirect(302, self.site.start_url(self.site.address_of(head, here)))
            case ChallengeKind.REDIRECT if self._ask_first:
                rd = quote(self.site.address_of(head, here), safe="/")
                return redirect(302, f"{self.site.own_page('sign_in')}?rd={rd}")
            case ChallengeKind.REDIRECT:
                return await self.begin(here, head)
            case ChallengeKind.PAGE:
                return self.sign_in_page(401, head, here, "session_ended")
            case ChallengeKind.FRAME:
                return self.sign_in_page(401, head, here if head.method == "GET" else "/", "frame")
            case ChallengeKind.PROGRAM:
                return self.unauthenticated(head, request_id, here if head.method in {"GET", "HEAD"} else "/")
            case _ as never:
                assert_never(never)

    async def keep_post(self, head: RequestHead, read_body: ReadBody) -> Answer | None:
        """Keep the form that somebody sent who is not signed in, and show the button; None where there is no form.

        Raises `TooManyAttempts` or `StoreUnavailable`.
        """
        if not may_be_kept(head, self.site.origins) or self.site.is_abroad(head):
            return None
        binding = self.cookies.choose_binding(head)
        post_id = await self._kept_posts.keep(head, read_body, binding)
        if post_id is None:
            return self.sign_in_page(401, head, head.raw_target.decode("ascii", "replace"), "not_kept")
        answer = self.sign_in_page(401, head, f"{self.site.prefix}/kept_post?id={post_id}", "kept")
        return msgspec.structs.replace(answer, headers=(*answer.headers, *self.cookies.bind(head, binding)))

    def sign_in_page(
        self, status: int, head: RequestHead, return_to: str, reason: str | None, person: PersonName | None = None
    ) -> Answer:
        """Show the button that begins a sign-in for `return_to`; to a `person`, the way on, or to another account."""
        start_url = self.site.start_url(return_to, switch=person is not None)
        shown = self.pages_for(head).sign_in(start_url, reason, person, return_to)
        return page(status, shown, framed=reason == "frame")

    async def begin_with(self, rd: str | None, head: RequestHead, wish: Wish) -> Answer:
        """Send somebody to TikTok who has pressed a button for more than a sign-in: that is never a turn of a loop."""
        binding = self.cookies.choose_binding(head).forget()
        begun = await self._sign_in.begin(
            self.site.check_return_to(rd), binding=binding, client_address=head.client_address, wish=wish
        )
        return redirect(302, begun.location, extra=self.cookies.bind(head, begun.binding))

    async def begin(self, rd: str | None, head: RequestHead, *, signed_in: bool = False) -> Answer:
        """Begin a sign-in and send the visitor to TikTok; `signed_in` tells of the session that is there already.

        Raises a `SignInLoop` when one was completed a moment ago, several times in a row.
        """
        return_to = self.site.check_return_to(rd)
        binding = self._sign_in.next_turn(self.cookies.read_bindings(head))
        if binding.loops:
            cause = find_cause(
                signed_in=signed_in,
                has_cookie=self.cookies.brings_session(head),
                other_host=not self.site.keeps_session_at(return_to),
            )
            cause.return_to = return_to.url
            raise cause
        begun = await self._sign_in.begin(return_to, binding=binding, client_address=head.client_address, wish=USUAL)
        return redirect(302, begun.location, extra=self.cookies.bind(head, begun.binding))

    def send_home(self, head: RequestHead) -> Answer | None:
        """Send a person who opens a page of ours elsewhere to the public address; at most once."""
        home = self.site.find_home(head)
        return redirect(302, home) if home is not None else None

    def unauthenticated(self, head: RequestHead, request_id: str, return_to: str = "/") -> Answer:
        """401 for a program (RFC 9110 §11.6.1, RFC 9457)."""
        return problem(
            401,
            "unauthenticated",
            "Sign in first",
            "There is no live session with this request.",
            request_id,
            extra=self._lead_htmx(head, ""),
            sign_in_url=self.site.start_url(return_to),
        )

    def ask_to_sign_in(self, head: RequestHead, request_id: str, return_to: str = "/") -> Answer:
        """Answer somebody who is not signed in, where no sign-in is begun for them."""
        match find_viewer(head.headers, websocket=head.websocket):
            case Viewer.PROGRAM:
                return self.unauthenticated(head, request_id, return_to)
            case Viewer.FRAME:
                return self.sign_in_page(401, head, return_to, "frame")
            case Viewer.WINDOW:
                sent = head.method not in {"GET", "HEAD"}  # the button of a page that was left open
                return self.sign_in_page(401, head, return_to, "session_ended" if sent else None)
            case _ as never:
                assert_never(never)

    def _lead_htmx(self, head: RequestHead, more: str) -> Headers:
        """Have htmx open the sign-in in the whole window; it does so for any status."""
        if not is_htmx(head):
            return ()
        checked = self.site.check(read_current_url(head) or "/")
        here = checked.url if checked is not None and self.site.is_at_home(checked) else ""
        path = here.removeprefix(self.site.public_url)
        return ((b"hx-redirect", f"{self.site.prefix}/start?rd={quote(path or '/', safe='/')}{more}".encode()),)

    def share(self, answer: Answer, head: RequestHead | None) -> Answer:
        """Let scripts of allowed origins read an answer for programs; pages and redirects are not for them."""
        if head is None or not any(name == b"content-type" and b"json" in value for name, value in answer.headers):
            return answer
        return msgspec.structs.replace(answer, headers=(*answer.headers, *permit_reading(head, self._cors_origins)))

    def answer_preflight(self, head: RequestHead) -> Answer | None:
        """Say yes to a preflight of an allowed origin; None where there is nothing to say yes to."""
        preflight = read_preflight(head)
        fields = permit_request(preflight, self._cors_origins) if preflight is not None else None
        return Answer(204, (NO_STORE, *fields), b"") if fields is not None else None

    def ask_for_scopes(self, consent: Consent, head: RequestHead, request_id: str) -> Answer:
        """Say which scopes are missing: to a person on a page with a button, to a program in a problem (RFC 6750 §3.1).

        It is never a redirect: who has refused would be sent round and round.
        """
        here = self._find_here(head)
        more = f"&scopes={','.join(consent.missing)}"
        start_url = self.site.start_url(here) + more
        viewer = find_viewer(head.headers, websocket=head.websocket)
        if viewer is not Viewer.PROGRAM:
            framed = viewer is Viewer.FRAME
            shown = self.pages_for(head).consent(start_url, consent.missing, consent.reason, framed=framed)
            return page(403, shown, framed=framed)
        bearer = f'Bearer error="insufficient_scope", scope="{" ".join(consent.missing)}"'
        return problem(
            403,
            InsufficientScope.code,
            InsufficientScope.title,
            InsufficientScope.advice,
            request_id,
            extra=((b"www-authenticate", bearer.encode()), *self._lead_htmx(head, more)),
            missing_scopes=consent.missing,
            sign_in_url=start_url,
        )

    def deny(self, deny: Deny, head: RequestHead, request_id: str) -> Answer:
        """Answer what is denied; the reason stays in the log."""
        if deny.cross_site:
            return self.error(CrossSite(deny.reason), head, request_id)
        person = PersonName.of(deny.who) if deny.who is not None else None
        error = FactRefused(deny.reason, fact=deny.fact) if deny.fact else Forbidden(deny.reason)
        return self._answer_error(error, head, request_id, person=person, words=deny.words)

    def error(
        self,
        error: GatewayError,
        head: RequestHead | None,
        request_id: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Answer:
        """Answer an error with a page or a problem.

        Of a request that could not be read there is no head, but perhaps `headers`, which are then only asked who sees
        the answer. What a person can put right at once is answered as a route that asks for it does.
        """
        match error:
            case InsufficientScope(missing=missing) if head is not None and missing and self._may_ask_for(missing):
                return self.ask_for_scopes(Consent(missing, ""), head, request_id)
            case NotSignedIn() if head is not None:
                return self.ask_to_sign_in(head, request_id, self._find_here(head))
            case _:
                return self._answer_error(error, head, request_id, headers)

    def _may_ask_for(self, missing: tuple[str, ...]) -> bool:
        """Whether a sign-in would ask for these scopes; if not, the operator is told why nobody can grant them."""
        unknown = sorted(set(missing) - self._scopes)
        if unknown:
            log.error(
                "scope_not_in_settings",
                scopes=" ".join(unknown),
                advice="no sign-in asks for it: name it in the `scopes` of a route, or in `tiktok.scopes`",
            )
        return not unknown

    def _find_here(self, head: RequestHead) -> str:
        return head.raw_target.decode("ascii", "replace") if head.method in {"GET", "HEAD"} else "/"

    def _answer_error(
        self,
        error: GatewayError,
        head: RequestHead | None,
        request_id: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        person: PersonName | None = None,
        words: str = "",
    ) -> Answer:
        if head is None:
            return self._errors.answer(error, find_viewer(headers), request_id, headers=headers)
        answer = self._errors.answer(
            error,
            find_viewer(head.headers, websocket=head.websocket),
            request_id,
            headers=head.headers,
            here=self.site.find_here(head),
            person=person,
            words=words,
            brings_session=self.cookies.brings_session(head),
            within=_find_app(head) if isinstance(error, SignInRefused) else None,
            extra=self.cookies.forget_others(head) if isinstance(error, SessionsDiffer) else (),
        )
        return forget_query(answer, self.site.host, self.site.prefix) if self.site.is_callback(head.path) else answer


def _find_app(head: RequestHead) -> str | None:
    return find_app((first(head.headers, b"user-agent") or b"").decode("latin-1"))
