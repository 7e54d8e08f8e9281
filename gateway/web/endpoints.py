"""The gateway's own pages and calls, under its prefix.

State changes are POST only, and refused when another site made the browser send them. Every answer is `no-store`.
The middleware has put the judged request head and the exchange into the scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router

from gateway.core.challenge import is_cross_site_post, is_navigation, is_prefetch, shows_page
from gateway.core.request import RequestHead
from gateway.core.session import SessionLimits, public_id
from gateway.core.sign_in import Callback, read_callback
from gateway.errors import (
    AttemptUnknown,
    GatewayError,
    MalformedRequest,
    MethodRefused,
    SignInRefused,
)
from gateway.flows.authentication import Authentication
from gateway.flows.disconnect import Disconnect
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn
from gateway.flows.sign_in import SignIn
from gateway.telemetry.metrics import Metrics
from gateway.web.answers import Answers, CrossSite
from gateway.web.exchange import Exchange
from gateway.web.forward_auth import ForwardAuth
from gateway.web.live import LiveSockets
from gateway.web.pages import AccountView, Device, describe_user_agent
from gateway.web.responses import Answer, json_answer, page, redirect, send_answer, text_answer

MAX_FORM: Final = 4096
"""Largest form taken by the gateway's own pages, in bytes."""
HEAD_KEY: Final = "gateway.head"
EXCHANGE_KEY: Final = "gateway.exchange"
"""Scope keys under which a door leaves the judged head and the exchange."""
CLEAR_CACHE: Final = (b"clear-site-data", b'"cache"')
"""After sign-out, Back must show nothing protected; `no-store` and `private` do not reach the back-forward cache."""


class NoSuchPage(GatewayError):
    """The prefix has no such page."""

    code = "not_found"
    status = 404
    title = "There is no such page"
    advice = "Check the address."


class Endpoints:
    """The handlers, and the router that leads to them (an ASGI app)."""

    def __init__(
        self,
        *,
        answers: Answers,
        authentication: Authentication,
        sessions: Sessions,
        refresh: Refresh,
        sign_in: SignIn,
        disconnect: Disconnect,
        session_limits: SessionLimits,
        live: LiveSockets,
        metrics: Metrics,
        clock: Callable[[], datetime],
        readiness: Callable[[], Awaitable[str | None]],
        forward_auth: ForwardAuth,
    ) -> None:
        self._answers = answers
        self._authentication = authentication
        self._sessions = sessions
        self._refresh = refresh
        self._sign_in = sign_in
        self._disconnect = disconnect
        self._limits = session_limits
        self._live = live
        self._metrics = metrics
        self._clock = clock
        self._readiness = readiness
        self._forward_auth = forward_auth
        prefix = answers.prefix
        table: list[tuple[str, str, Callable[[Request], Awaitable[Answer]]]] = [
            ("GET", "sign_in", self.sign_in_page),
            ("GET", "start", self.start),
            ("GET", "callback", self.callback),
            ("GET", "sign_out", self.sign_out_page),
            ("POST", "sign_out", self.sign_out),
            ("POST", "disconnect", self.disconnect),
            ("GET", "userinfo", self.userinfo),
            ("GET", "account", self.account),
            ("POST", "refresh", self.refresh),
            ("GET", "livez", self.livez),
            ("GET", "readyz", self.readyz),
            ("GET", "static/{name}", self.static),
            ("GET", "auth", forward_auth),
        ]
        paths = dict.fromkeys(path for _, path, _ in table)
        self._router = Router(
            [
                Route(
                    f"{prefix}/{path}",
                    _Methods({method: act for method, at, act in table if at == path}),
                )
                for path in paths
            ],
            redirect_slashes=False,
            default=_Methods({}),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request under the prefix (ASGI 3)."""
        if scope["type"] == "websocket":
            raise NoSuchPage("the gateway has no WebSocket of its own")
        await self._router(scope, receive, send)

    async def sign_in_page(self, request: Request) -> Answer:
        """Show the button. Somebody who is signed in already sees it too, and may switch."""
        return_to = self._answers.check_return_to(_read_rd(request))
        return page(200, self._answers.pages.sign_in(self._answers.start_url(return_to.url), None))

    async def start(self, request: Request) -> Answer:
        """Begin a sign-in; only for a person's own navigation."""
        head = _head(request)
        original = self._forward_auth.read_original(request)
        if original is not None:
            return await self._forward_auth.challenge(original, _request_id(request))
        if not is_navigation(head):
            return self._answers.unauthenticated(_request_id(request))
        self._metrics.sign_ins.labels("begun").inc()
        return await self._answers.begin(_read_rd(request), head)

    async def callback(self, request: Request) -> Answer:
        """Complete a sign-in, and return to where it began."""
        head = _head(request)
        if head.method == "HEAD":
            raise MethodRefused("a HEAD must not use up the authorization code")
        if is_prefetch(head):
            raise SignInRefused("a prefetch must not use up the authorization code")
        callback = read_callback(head.query)
        binding = self._answers.read_binding(head)
        presented = await self._authentication.peek(head)
        try:
            completed = await self._sign_in.complete(
                callback,
                binding=binding,
                presented=presented,
                user_agent=request.headers.get("user-agent", ""),
            )
        except AttemptUnknown:
            return await self._reloaded(callback, binding, presented)
        except GatewayError as error:
            self._metrics.sign_ins.labels(error.code).inc()
            raise
        self._metrics.sign_ins.labels("completed").inc()
        if presented is not None:
            self._live.close_session(presented.session_key)
        cookie = self._answers.session_cookie.set(completed.session_id, int(self._limits.absolute.total_seconds()))
        return redirect(302, completed.return_to, extra=((b"set-cookie", cookie),))

    async def _reloaded(self, callback: Callback, binding: str | None, presented: SignedIn | None) -> Answer:
        """Lead a callback that is opened again to where the sign-in ended; without a session it has expired."""
        return_to = await self._sign_in.read_finished(callback, binding=binding) if presented else None
        if return_to is None:
            self._metrics.sign_ins.labels(AttemptUnknown.code).inc()
            raise AttemptUnknown("no sign-in attempt has this state: it expired or was used")
        return redirect(302, return_to)

    async def sign_out_page(self, request: Request) -> Answer:
        """Ask, or say that nobody is signed in any more."""
        pages = self._answers.pages
        if await self._authentication.peek(_head(request)) is None:
            return page(200, pages.signed_out(f"{self._answers.prefix}/sign_in"))
        return page(200, pages.sign_out_question())

    async def sign_out(self, request: Request) -> Answer:
        """End this session, or with `everywhere=1` all of the person's."""
        self._refuse_cross_site(request)
        form = await _read_form(request)
        signed_in = await self._authentication.peek(_head(request))
        if signed_in is not None:
            await self._end(signed_in, everywhere=form.get("everywhere") == "1")
        return self._ended(request, f"{self._answers.public_url}{self._answers.prefix}/sign_out")

    async def disconnect(self, request: Request) -> Answer:
        """Revoke the grant at TikTok, and end every session of the person."""
        self._refuse_cross_site(request)
        signed_in = await self._authentication.peek(_head(request))
        if signed_in is None:
            return self._answers.unauthenticated(_request_id(request))
        for session_key in await self._disconnect.disconnect(signed_in):
            self._live.close_session(session_key)
        if not shows_page(_head(request)):
            return self._ended(request, "")
        html = self._answers.pages.disconnected(f"{self._answers.prefix}/sign_in")
        return page(200, html, extra=(*self._forget_cookie(), CLEAR_CACHE))

    async def userinfo(self, request: Request) -> Answer:
        """Tell the caller about itself; never a token."""
        signed_in = await self._authentication.read(_head(request))
        if signed_in is None:
            return self._answers.unauthenticated(_request_id(request))
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
                "token_expires_at": _rfc3339(tokens.access_expires_at),
                "session_id": public_id(signed_in.session_key),
                "signed_in_at": _rfc3339(signed_in.session.signed_in_at),
                "session_expires_at": _rfc3339(signed_in.session.expires_at(self._limits)),
            },
        )

    async def refresh(self, request: Request) -> Answer:
        """Refresh the access token now, for a script of the app; answers with its new expiry."""
        self._refuse_cross_site(request)
        signed_in = await self._authentication.peek(_head(request))
        if signed_in is not None:
            grant = await self._refresh.renew(signed_in.session.grant_key, force=True)
            if grant is not None:
                return json_answer(200, {"token_expires_at": _rfc3339(grant.tokens.access_expires_at)})
        return self._answers.unauthenticated(_request_id(request))

    async def account(self, request: Request) -> Answer:
        """Show who is signed in, and where."""
        head = _head(request)
        signed_in = await self._authentication.peek(head)
        if signed_in is None:
            return await self._account_signed_out(request, head)
        tokens, profile = signed_in.grant.tokens, signed_in.grant.profile
        devices = [
            Device(
                name=describe_user_agent(session.user_agent),
                signed_in_at=session.signed_in_at,
                last_seen_at=session.last_seen_at,
                current=key == signed_in.session_key,
            )
            for key, session in await self._sessions.of_subject(signed_in.session.subject, self._clock())
        ]
        view = AccountView(
            display_name=profile.display_name,
            username=profile.username,
            open_id=tokens.open_id,
            scopes=tokens.scopes,
            session_ends_at=signed_in.session.expires_at(self._limits),
            devices=tuple(devices),
        )
        return page(200, self._answers.pages.account(view))

    async def livez(self, request: Request) -> Answer:
        """Say that the process serves."""
        return text_answer(200, "ok\n")

    async def readyz(self, request: Request) -> Answer:
        """Say whether requests can be answered now; the reason stays in the log and on the admin listener."""
        return text_answer(200, "ok\n") if await self._readiness() is None else text_answer(503, "not ready\n")

    async def static(self, request: Request) -> Answer:
        """Serve the stylesheet."""
        found = self._answers.pages.static_file(request.path_params["name"])
        if found is None:
            raise NoSuchPage("no such static file")
        body, content_type, etag = found
        headers = (
            (b"content-type", content_type.encode()),
            (b"etag", etag.encode()),
            (b"cache-control", b"public, max-age=86400"),
            (b"x-content-type-options", b"nosniff"),
        )
        if request.headers.get("if-none-match") == etag:
            return Answer(304, headers, b"")
        return Answer(200, headers, body)

    async def _account_signed_out(self, request: Request, head: RequestHead) -> Answer:
        if is_navigation(head):
            return await self._answers.begin(head.raw_target.decode("ascii"), head)
        return self._answers.unauthenticated(_request_id(request))

    async def _end(self, signed_in: SignedIn, *, everywhere: bool) -> None:
        if everywhere:
            keys = await self._sessions.end_all(signed_in.session.subject, self._clock())
        else:
            await self._sessions.end(signed_in)
            keys = (signed_in.session_key,)
        for key in keys:
            self._live.close_session(key)

    def _ended(self, request: Request, location: str) -> Answer:
        extra = (*self._forget_cookie(), CLEAR_CACHE)
        if shows_page(_head(request)):
            return redirect(303, location, extra=extra)
        return Answer(204, (*extra, (b"cache-control", b"no-store")), b"")

    def _forget_cookie(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((b"set-cookie", self._answers.session_cookie.delete()),)

    def _refuse_cross_site(self, request: Request) -> None:
        if is_cross_site_post(_head(request), self._answers.public_origins):
            raise CrossSite("Sec-Fetch-Site and Origin do not prove that this came from our own pages")


class _Methods:
    """An ASGI app that picks the handler by method, and answers 404 or 405 itself."""

    def __init__(self, handlers: dict[str, Callable[[Request], Awaitable[Answer]]]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head_only = scope["method"] == "HEAD"
        method = "GET" if head_only else scope["method"]
        if not self._handlers:
            raise NoSuchPage("the prefix has no such page")
        if method not in self._handlers:
            raise MethodRefused(f"this address takes {', '.join(self._handlers)}")
        request = Request(scope, receive)
        await send_answer(await self._handlers[method](request), send, head_only=head_only)


async def _read_form(request: Request) -> dict[str, str]:
    """Read a small form; raises `MalformedRequest` beyond `MAX_FORM`."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                raise MalformedRequest(f"the form is larger than {MAX_FORM} bytes")
    except ClientDisconnect:
        raise MalformedRequest("the client hung up within the form") from None
    fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=16)
    return {name: values[0] for name, values in fields.items()}


def _read_rd(request: Request) -> str | None:
    """Return the address to come back to; one that is given twice is ambiguous and counts as none."""
    values = request.query_params.getlist("rd")
    return values[0] if len(values) == 1 else None


def _head(request: Request) -> RequestHead:
    head: RequestHead = request.scope[HEAD_KEY]
    return head


def _request_id(request: Request) -> str:
    exchange: Exchange = request.scope[EXCHANGE_KEY]
    return exchange.request_id


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
