"""The gateway's own answers: challenges, refusals and errors, as a page for a person or a problem for a program."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, assert_never
from urllib.parse import quote

import msgspec

from gateway.core import cookies
from gateway.core.binding import BINDING_LASTS, Binding, find_cause, new_binding, read_binding
from gateway.core.challenge import shows_page
from gateway.core.cookies import CookieSpec
from gateway.core.cors import permit_reading, permit_request, read_preflight
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.headers import first
from gateway.core.in_app import find_app
from gateway.core.kept_post import may_be_kept
from gateway.core.path import CanonicalPath
from gateway.core.request import Headers, RequestHead
from gateway.core.urls import ReturnTo, check_return_to
from gateway.errors import (
    AttemptWithoutCookie,
    CrossSite,
    Forbidden,
    GatewayError,
    InsufficientScope,
    SignInLoop,
    SignInRefused,
)
from gateway.flows.kept_posts import KeptPosts, ReadBody
from gateway.flows.sign_in import SignIn
from gateway.web.address_bar import forget_query
from gateway.web.pages import Link, Pages
from gateway.web.responses import NO_STORE, Answer, error_answer, page, problem, redirect

_NEEDS_A_REST: Final = (AttemptWithoutCookie, SignInLoop)
"""Where going back to the start page would only begin the same again."""


class Answers:
    """Builds answers; knows the public address, the prefix and the gateway's cookies."""

    def __init__(
        self,
        *,
        public_url: str,
        prefix: str,
        allowed_hosts: frozenset[str],
        session_cookie: CookieSpec,
        binding_cookie: CookieSpec,
        sign_in: SignIn,
        kept_posts: KeptPosts,
        pages: Pages,
        ask_first: bool,
        cors_origins: frozenset[str],
    ) -> None:
        self.public_url = public_url
        self.prefix = prefix
        self._host = public_url.partition("://")[2]
        self.public_origins = frozenset({public_url})
        self.session_cookie = session_cookie
        self.binding_cookie = binding_cookie
        self.pages = pages
        self._allowed_hosts = allowed_hosts
        self._sign_in = sign_in
        self._kept_posts = kept_posts
        self._ask_first = ask_first
        self._cors_origins = cors_origins

    def is_own_path(self, path: CanonicalPath) -> bool:
        """Whether the path is one of the gateway's own; nothing outside the prefix ever is."""
        return path.is_under(self.prefix)

    def check_return_to(self, rd: str | None) -> ReturnTo:
        """Return the checked address, or the site's front page when it is missing or leads elsewhere."""
        checked = self._check(rd) if rd else None
        home = checked or self._check("/")
        assert home is not None  # noqa: S101 -- "/" is always ours
        return home

    def start_url(self, return_to: str) -> str:
        """Return the absolute address that begins a sign-in for `return_to`."""
        return f"{self.public_url}{self.prefix}/start?rd={quote(return_to, safe='/')}"

    async def challenge(self, challenge: Challenge, head: RequestHead, request_id: str) -> Answer:
        """Answer somebody who is not signed in."""
        here = head.raw_target.decode("ascii", "replace")
        match challenge.kind:
            case ChallengeKind.REDIRECT if self._is_abroad(head) and not self._ask_first:
                return redirect(302, self.start_url(self._address_of(head, here)))
            case ChallengeKind.REDIRECT if self._ask_first:
                rd = quote(self._address_of(head, here), safe="/")
                return redirect(302, f"{self.public_url}{self.prefix}/sign_in?rd={rd}")
            case ChallengeKind.REDIRECT:
                return await self.begin(here, head)
            case ChallengeKind.PAGE:
                return self.sign_in_page(401, here, "session_ended")
            case ChallengeKind.UNAUTHORIZED:
                return self.unauthenticated(request_id, here if head.method in {"GET", "HEAD"} else "/")
            case _ as never:
                assert_never(never)

    async def keep_post(self, head: RequestHead, read_body: ReadBody) -> Answer | None:
        """Keep the form that somebody sent who is not signed in, and show the button; None where there is no form.

        Raises `TooManyAttempts` or `StoreUnavailable`.
        """
        if not may_be_kept(head, self.public_origins) or self._is_abroad(head):
            return None
        binding = self.read_binding(head) or new_binding()
        post_id = await self._kept_posts.keep(head, read_body, binding)
        if post_id is None:
            return self.sign_in_page(401, head.raw_target.decode("ascii", "replace"), "not_kept")
        answer = self.sign_in_page(401, f"{self.prefix}/kept_post?id={post_id}", "kept")
        return msgspec.structs.replace(answer, headers=(*answer.headers, self.binding_header(binding)))

    def sign_in_page(self, status: int, return_to: str, reason: str | None) -> Answer:
        """Show the button that begins a sign-in for `return_to`."""
        html = self.pages.sign_in(self.start_url(return_to), reason)
        return page(status, html, script=self.pages.script_source)

    async def begin_consent(self, rd: str | None, head: RequestHead, scopes: Collection[str]) -> Answer:
        """Send somebody to TikTok who has pressed the button to grant scopes: that is never a turn of a loop."""
        binding = (self.read_binding(head) or new_binding()).forget()
        begun = await self._sign_in.begin(
            self.check_return_to(rd), binding=binding, client_address=head.client_address, scopes=scopes
        )
        return redirect(302, begun.location, extra=(self.binding_header(begun.binding),))

    async def begin(self, rd: str | None, head: RequestHead, *, signed_in: bool = False) -> Answer:
        """Begin a sign-in and send the visitor to TikTok; `signed_in` tells of the session that is there already.

        Raises a `SignInLoop` when one was completed a moment ago, several times in a row.
        """
        return_to = self.check_return_to(rd)
        binding = self._sign_in.next_turn(self.read_binding(head))
        if binding.loops:
            raise find_cause(
                signed_in=signed_in,
                has_cookie=bool(cookies.read(head.headers, self.session_cookie.name.encode())),
                other_host=not self._is_ours(return_to),
            )
        begun = await self._sign_in.begin(return_to, binding=binding, client_address=head.client_address)
        return redirect(302, begun.location, extra=(self.binding_header(begun.binding),))

    def unauthenticated(self, request_id: str, return_to: str = "/") -> Answer:
        """401 for a program (RFC 9110 §11.6.1, RFC 9457)."""
        return problem(
            401,
            "unauthenticated",
            "Sign in first",
            "There is no live session with this request.",
            request_id,
            sign_in_url=self.start_url(return_to),
        )

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
        here = head.raw_target.decode("ascii", "replace") if head.method in {"GET", "HEAD"} else "/"
        start_url = f"{self.start_url(here)}&scopes={','.join(consent.missing)}"
        if shows_page(head):
            return page(403, self.pages.consent(start_url, consent.missing, consent.reason))
        bearer = f'Bearer error="insufficient_scope", scope="{" ".join(consent.missing)}"'
        return problem(
            403,
            InsufficientScope.code,
            InsufficientScope.title,
            InsufficientScope.advice,
            request_id,
            extra=((b"www-authenticate", bearer.encode()),),
            missing_scopes=consent.missing,
            sign_in_url=start_url,
        )

    def deny(self, deny: Deny, head: RequestHead, request_id: str) -> Answer:
        """Answer what is denied; the reason stays in the log."""
        error = CrossSite(deny.reason) if deny.cross_site else Forbidden(deny.reason)
        return self.error(error, head, request_id)

    def error(self, error: GatewayError, head: RequestHead | None, request_id: str) -> Answer:
        """Answer an error with a page or a problem; a request that could not be read gets the latter."""
        refused = isinstance(error, SignInRefused)
        again = Link(f"{self.prefix}/sign_in", "Sign in again") if isinstance(error, _NEEDS_A_REST) else None
        answer = error_answer(
            error,
            navigation=head is not None and shows_page(head),
            pages=self.pages,
            request_id=request_id,
            action=again,
            within=_find_app(head) if head is not None and refused else None,
        )
        at_callback = head is not None and head.path.raw == f"{self.prefix}/callback".encode()
        return forget_query(answer, self._host, self.prefix) if at_callback else answer

    def read_binding(self, head: RequestHead) -> Binding | None:
        """Return the binding cookie; one that comes twice is as good as none."""
        values = cookies.read(head.headers, self.binding_cookie.name.encode())
        return read_binding(values[0].decode("latin-1")) if len(values) == 1 else None

    def binding_header(self, binding: Binding) -> tuple[bytes, bytes]:
        """Return the field that sets the binding cookie."""
        return (b"set-cookie", self.binding_cookie.set(str(binding), int(BINDING_LASTS.total_seconds())))

    def forget_turns(self, head: RequestHead) -> Headers:
        """Return the field after which a sign-in that begins at once is no turn of a loop."""
        binding = self.read_binding(head)
        if binding is None or binding.completed_at is None:
            return ()
        return (self.binding_header(binding.forget()),)

    def _is_abroad(self, head: RequestHead) -> bool:
        """Whether the browser is at another host than the callback: a cookie set there would not be seen again.

        With another scheme, a front stands between that is not in `trusted_proxies`, and nothing is known.
        """
        return self.public_url.startswith(f"{head.scheme}:") and head.host.lower() != self._host

    def _address_of(self, head: RequestHead, target: str) -> str:
        """Return where a sign-in from here leads back: to the host it came from, if the session will hold there."""
        if self.session_cookie.domain is None or head.host.lower() not in self._allowed_hosts:
            return target
        return f"{self.public_url.partition(':')[0]}://{head.host}{target}"

    def _is_ours(self, return_to: ReturnTo) -> bool:
        """Whether the session cookie is for the address: it is on our own host, or the cookie is shared."""
        own = return_to.url.lower().partition("?")[0]
        return self.session_cookie.domain is not None or own == self.public_url or own.startswith(self.public_url + "/")

    def _check(self, rd: str) -> ReturnTo | None:
        return check_return_to(rd, public_url=self.public_url, allowed_hosts=self._allowed_hosts, prefix=self.prefix)


def _find_app(head: RequestHead) -> str | None:
    return find_app((first(head.headers, b"user-agent") or b"").decode("latin-1"))
