"""The pages that lead to TikTok and back (login): `sign_in`, `start`, `callback`."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from gateway.core.authorization import Wish
from gateway.core.challenge import is_navigation, is_prefetch
from gateway.core.session import SessionLimits
from gateway.core.sign_in import read_callback
from gateway.errors import MethodRefused, ScopeRefused, SignInRefused, StoreUnavailable
from gateway.flows.authentication import Authentication
from gateway.flows.sign_in import SignIn, Unchanged
from gateway.web.answers.answer import Answer, redirect
from gateway.web.answers.answers import Answers
from gateway.web.answers.views import PersonName
from gateway.web.asgi_head import head_of
from gateway.web.exchange import request_id_of
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.own.home import at_home
from gateway.web.own.reading import read_rd, read_visitor
from gateway.web.table import Table


class SignInPages:
    """Handlers of the sign-in."""

    def __init__(
        self,
        *,
        answers: Answers,
        authentication: Authentication,
        sign_in: SignIn,
        forward_auth: ForwardAuth,
        session_limits: SessionLimits,
        usual_scopes: tuple[str, ...],
        scopes: frozenset[str],
    ) -> None:
        """`usual_scopes` are asked for at every sign-in, `scopes` are all that the settings name."""
        self._usual_scopes = usual_scopes
        self._scopes = scopes
        self._answers = answers
        self._authentication = authentication
        self._sign_in = sign_in
        self._forward_auth = forward_auth
        self._limits = session_limits

    @property
    def table(self) -> Table:
        """Where they are."""
        return {
            "/sign_in": {"GET": at_home(self._answers, self.sign_in_page)},
            "/start": {"GET": self.start},
            "/callback": {"GET": self.callback},
        }

    async def sign_in_page(self, request: Request) -> Answer:
        """Show the button; to somebody who is signed in already, the way on, or to another account."""
        return_to = self._answers.site.check_return_to(self._read_rd(request))
        return self._answers.sign_in_page(200, head_of(request), return_to.url, None, await self._find_person(request))

    async def _find_person(self, request: Request) -> PersonName | None:
        try:
            live = await self._authentication.find_proven(head_of(request))
        except StoreUnavailable:
            return None  # the button works all the same, once the store does
        return PersonName.of(live[0].grant.profile) if len(live) == 1 else None

    async def start(self, request: Request) -> Answer:
        """Begin a sign-in; only for a person's own navigation."""
        head = head_of(request)
        original = self._forward_auth.find_original(request)
        if original is not None:
            return await self._forward_auth.challenge(original, request_id_of(request))
        moved = self._answers.send_home(head)
        if moved is not None:
            return moved
        if not is_navigation(head):
            return self._answers.ask_to_sign_in(head, request_id_of(request))
        live = await self._authentication.find_proven(head)
        wanted = self._read_scopes(request)
        if wanted:
            granted = live[0].grant.all_scopes if len(live) == 1 else self._usual_scopes
            extra = wanted.difference(granted)
            wish = Wish(scopes=tuple({*granted, *wanted}), extra=tuple(sorted(extra)), ask=True)
            return await self._answers.begin_with(self._read_rd(request), head, wish)
        if request.query_params.getlist("switch") == ["1"]:
            return await self._answers.begin_with(self._read_rd(request), head, Wish(ask=True))
        return await self._answers.begin(self._read_rd(request), head, signed_in=bool(live))

    def _read_rd(self, request: Request) -> str | None:
        """Return the address to come back to: the visitor's word, else a front's."""
        rd = read_rd(head_of(request))
        return self._forward_auth.find_redirect(request) if rd is None else rd

    def _read_scopes(self, request: Request) -> set[str]:
        """Return the scopes that are asked for besides; only such as the settings name anywhere."""
        values = request.query_params.getlist("scopes")
        return {scope for value in values for scope in value.split(",")} & self._scopes

    async def callback(self, request: Request) -> Answer:
        """Complete a sign-in, and return to where it began."""
        head = head_of(request)
        if head.method == "HEAD":
            raise MethodRefused("a HEAD must not use up the authorization code")
        if is_prefetch(head):
            raise SignInRefused("a prefetch must not use up the authorization code")
        callback = read_callback(head.query)
        completed = await self._sign_in.complete(
            callback, await read_visitor(head, self._answers.cookies, self._authentication)
        )
        if isinstance(completed, Unchanged):
            return redirect(302, completed.return_to)
        cookies, seconds = self._answers.cookies, int(self._limits.absolute.total_seconds())
        extra = (*cookies.keep_session(head, completed.session_id, seconds), *cookies.bind(head, completed.binding))
        if not completed.refused:
            return redirect(302, completed.location, extra=extra)
        refused = ScopeRefused("the person left out what a page has asked for", refused=completed.refused)
        refused.return_to = completed.location
        answer = self._answers.error(refused, head, request_id_of(request))
        return msgspec.structs.replace(answer, headers=(*answer.headers, *extra))
