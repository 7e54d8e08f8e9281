"""What a person can see and do about their own sign-in: `account`, `userinfo`, `sign_out`, `refresh`, `disconnect`.

Sign-out (logout) leaves TikTok alone. State changes are POST only, and refused when another site made the browser
send them (CSRF).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request

from gateway.core.challenge import Viewer, find_viewer, is_cross_site_post, is_navigation, shows_page
from gateway.core.request import RequestHead
from gateway.core.session import SessionLimits, public_id
from gateway.core.user_agent import read_user_agent
from gateway.errors import CrossSite, MethodRefused
from gateway.flows.authentication import Authentication
from gateway.flows.disconnect import Disconnect
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn
from gateway.flows.sign_out import SignOut
from gateway.web.answers.answer import NO_STORE, Answer, json_answer, page, redirect
from gateway.web.answers.answers import Answers
from gateway.web.answers.views import AccountView, Device, PersonName
from gateway.web.asgi_head import head_of
from gateway.web.exchange import request_id_of
from gateway.web.own.home import at_home
from gateway.web.own.reading import read_form, read_rd, rfc3339
from gateway.web.table import Table

CLEAR_CACHE: Final = (b"clear-site-data", b'"cache"')
"""After sign-out, Back must show nothing protected; `no-store` and `private` do not reach the back-forward cache."""

NOTHING_MORE: Final = Answer(204, (NO_STORE,), b"")
"""For a script: it is done."""


class AccountPages:
    """Handlers of what concerns somebody who is signed in."""

    def __init__(
        self,
        *,
        answers: Answers,
        authentication: Authentication,
        sessions: Sessions,
        refresh: Refresh,
        disconnect: Disconnect,
        sign_out: SignOut,
        session_limits: SessionLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._answers = answers
        self._authentication = authentication
        self._sessions = sessions
        self._refresh = refresh
        self._disconnect = disconnect
        self._sign_out = sign_out
        self._limits = session_limits
        self._clock = clock

    @property
    def table(self) -> Table:
        """Where they are. What changes anything is POST only."""
        return {
            "/sign_out": {"GET": at_home(self._answers, self.sign_out_page), "POST": self.sign_out},
            "/disconnect": {"GET": at_home(self._answers, self.disconnect_page), "POST": self.disconnect},
            "/userinfo": {"GET": at_home(self._answers, self.userinfo)},
            "/account": {"GET": at_home(self._answers, self.account)},
            "/refresh": {"POST": self.refresh},
        }

    async def sign_out_page(self, request: Request) -> Answer:
        """Ask, or say that nobody is signed in any more."""
        pages = self._answers.pages_for(head_of(request))
        if not await self._authentication.find_live(head_of(request)):
            return page(200, pages.signed_out(f"{self._answers.site.prefix}/sign_in"))
        return page(200, pages.sign_out_question())

    async def sign_out(self, request: Request) -> Answer:
        """End this session, with `session=` another one of the person's, or with `everywhere=1` all."""
        self._refuse_cross_site(request)
        form = await read_form(request)
        if "session" in form:
            return await self._end_another(request, form["session"])
        everywhere = form.get("everywhere") == "1"
        if everywhere:
            await self._authentication.check_device(head_of(request))
        for signed_in in await self._authentication.find_live(head_of(request)):
            await self._end(signed_in, everywhere=everywhere)
        return self._ended(request, self._answers.site.own_page("sign_out"))

    async def _end_another(self, request: Request, handle: str) -> Answer:
        """End the session of that public id, if it is the person's, and go back to the account page."""
        head = head_of(request)
        signed_in = await self._authentication.peek(head)
        if signed_in is None:
            return self._answers.ask_to_sign_in(head, request_id_of(request))
        for key, session in await self._sessions.of_subject(signed_in.session.subject, self._clock()):
            if public_id(key) == handle:
                await self._sign_out.elsewhere(key, session)
        # one that is not there has ended meanwhile, which is what was wanted
        return redirect(303, self._answers.site.own_page("account")) if shows_page(head) else NOTHING_MORE

    async def disconnect_page(self, request: Request) -> Answer:
        """Ask a person before disconnecting, or say that nobody is signed in; programs are asked nothing."""
        head = head_of(request)
        if find_viewer(head.headers) is Viewer.PROGRAM:
            raise MethodRefused("a program disconnects by POST", allowed=("POST",))
        signed_in = await self._authentication.peek(head)
        if signed_in is None:
            return self._answers.ask_to_sign_in(head, request_id_of(request))
        return page(200, self._answers.pages_for(head).disconnect_question(PersonName.of(signed_in.grant.profile)))

    async def disconnect(self, request: Request) -> Answer:
        """Revoke the grant at TikTok, and end every session of the person."""
        self._refuse_cross_site(request)
        signed_in = await self._authentication.peek(head_of(request))
        if signed_in is None:
            return self._answers.ask_to_sign_in(head_of(request), request_id_of(request))
        await self._disconnect.disconnect(signed_in.grant)
        if not shows_page(head_of(request)):
            return self._ended(request, "")
        shown = self._answers.pages_for(head_of(request)).disconnected(f"{self._answers.site.prefix}/sign_in")
        return page(200, shown, extra=(*self._answers.cookies.forget_session(head_of(request)), CLEAR_CACHE))

    async def userinfo(self, request: Request) -> Answer:
        """Tell the caller about itself; never a token."""
        signed_in = await self._authentication.read(head_of(request))
        if signed_in is None:
            return self._answers.ask_to_sign_in(head_of(request), request_id_of(request))
        tokens, profile = signed_in.grant.tokens, signed_in.grant.profile
        return json_answer(
            200,
            {
                "open_id": tokens.open_id,
                "union_id": profile.union_id,
                "username": profile.username,
                "display_name": profile.display_name,
                "avatar_url": profile.avatar_url,
                "scopes": list(tokens.scopes),
                "token_expires_at": rfc3339(tokens.access_expires_at),
                "session_id": public_id(signed_in.session_key),
                "signed_in_at": rfc3339(signed_in.session.signed_in_at),
                "session_expires_at": rfc3339(signed_in.session.expires_at(self._limits)),
            },
        )

    async def refresh(self, request: Request) -> Answer:
        """Refresh the access token now, for a script of the app; answers with the expiry of the token there is then.

        Asked again within a minute, it leaves that token as it is.
        """
        self._refuse_cross_site(request)
        signed_in = await self._authentication.peek(head_of(request))
        if signed_in is not None:
            grant = await self._refresh.renew(signed_in.session.grant_key, force=True)
            if grant is not None:
                return json_answer(200, {"token_expires_at": rfc3339(grant.tokens.access_expires_at)})
        return self._answers.ask_to_sign_in(head_of(request), request_id_of(request))

    async def account(self, request: Request) -> Answer:
        """Show who is signed in, and where."""
        head = head_of(request)
        signed_in = await self._authentication.peek(head)
        if signed_in is None:
            return await self._account_signed_out(request, head)
        view = AccountView(
            person=PersonName.of(signed_in.grant.profile),
            open_id=signed_in.grant.tokens.open_id,
            scopes=signed_in.grant.tokens.scopes,
            session_ends_at=signed_in.session.expires_at(self._limits),
            devices=[
                Device(
                    handle=public_id(key),
                    agent=read_user_agent(session.user_agent),
                    signed_in_at=session.signed_in_at,
                    last_seen_at=session.last_seen_at,
                    current=key == signed_in.session_key,
                    bound=session.device is not None,
                )
                for key, session in await self._sessions.of_subject(signed_in.session.subject, self._clock())
            ],
            return_to=self._answers.site.check_return_to(read_rd(head)).url,
        )
        return page(200, self._answers.pages_for(head).account(view))

    async def _account_signed_out(self, request: Request, head: RequestHead) -> Answer:
        if is_navigation(head):
            return await self._answers.begin(head.raw_target.decode("ascii"), head)
        return self._answers.ask_to_sign_in(head, request_id_of(request))

    async def _end(self, signed_in: SignedIn, *, everywhere: bool) -> None:
        if everywhere:
            await self._sign_out.everywhere(signed_in.session.subject)
        else:
            await self._sign_out.here(signed_in)

    def _ended(self, request: Request, location: str) -> Answer:
        head, cookies = head_of(request), self._answers.cookies
        extra = (*cookies.forget_session(head), *cookies.forget_turns(head), CLEAR_CACHE)
        if shows_page(head):
            return redirect(303, location, extra=extra)
        return Answer(204, (*NOTHING_MORE.headers, *extra), b"")

    def _refuse_cross_site(self, request: Request) -> None:
        if is_cross_site_post(head_of(request), self._answers.site.origins):
            raise CrossSite("Sec-Fetch-Site and Origin do not prove that this came from our own pages")
