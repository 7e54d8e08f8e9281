"""The table of the gateway's own paths, under its prefix. Every answer is `no-store`, but for the static files."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.routing import Route, Router

from gateway.errors import MethodRefused, NoSuchPage
from gateway.web.answers.answer import Answer, refuse_websocket, send_answer, text_answer
from gateway.web.answers.answers import Answers
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.own.account import AccountPages
from gateway.web.own.kept_post import KeptPostPages
from gateway.web.own.reading import head_of
from gateway.web.own.sign_in import SignInPages
from gateway.web.own.webhook import WebhookPage

Handler = Callable[[Request], Awaitable[Answer]]


class Endpoints:
    """The router (an ASGI app) that leads to the handlers."""

    def __init__(
        self,
        *,
        prefix: str,
        sign_in: SignInPages,
        account: AccountPages,
        kept_posts: KeptPostPages,
        forward_auth: ForwardAuth,
        webhook: WebhookPage,
        keys: Mapping[str, object] | None,
        answers: Answers,
        readiness: Callable[[], Awaitable[str | None]],
    ) -> None:
        self._keys = keys
        self._auth = f"{prefix}/auth"
        self._forward_auth = forward_auth
        self._answers = answers
        self._pages = answers.pages
        self._readiness = readiness
        table: dict[str, dict[str, Handler]] = {
            "sign_in": {"GET": self._at_home(sign_in.sign_in_page)},
            "start": {"GET": sign_in.start},
            "callback": {"GET": sign_in.callback},
            "sign_out": {"GET": self._at_home(account.sign_out_page), "POST": account.sign_out},
            "disconnect": {"POST": account.disconnect},
            "userinfo": {"GET": self._at_home(account.userinfo)},
            "account": {"GET": self._at_home(account.account)},
            "kept_post": {"GET": self._at_home(kept_posts.show)},
            "refresh": {"POST": account.refresh},
            "auth": {"GET": forward_auth},
            "webhook": {"POST": webhook},
            "jwks.json": {"GET": self.jwks},
            "livez": {"GET": self.livez},
            "readyz": {"GET": self.readyz},
            "static/{name}": {"GET": self.static},
        }
        self._router = Router(
            [Route(f"{prefix}/{path}", _Methods(handlers, answers)) for path, handlers in table.items()],
            redirect_slashes=False,
            default=_no_such_page,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request under the prefix (ASGI 3)."""
        if scope["type"] == "websocket":
            await self._answer_handshake(scope, send)
        else:
            await self._router(scope, receive, send)

    async def _answer_handshake(self, scope: Any, send: Any) -> None:
        """Answer what a foreign server took for a WebSocket: a check, by its front's copy of `Upgrade`."""
        if scope["path"] != self._auth:
            raise NoSuchPage("the gateway has no WebSocket of its own")
        answer = await self._forward_auth(Request({**scope, "type": "http", "method": "GET"}))
        await refuse_websocket(answer, send, scope.get("extensions") or {})

    def _at_home(self, handler: Handler) -> Handler:
        """Have a page shown at the public address only; `start` sees to that itself."""

        async def show(request: Request) -> Answer:
            return self._answers.send_home(head_of(request)) or await handler(request)

        return show

    async def livez(self, request: Request) -> Answer:
        """Say that the process serves."""
        return text_answer(200, "ok\n")

    async def readyz(self, request: Request) -> Answer:
        """Say whether requests can be answered now; the reason stays in the log and on the admin listener."""
        return text_answer(200, "ok\n") if await self._readiness() is None else text_answer(503, "not ready\n")

    async def jwks(self, request: Request) -> Answer:
        """Publish the keys that assertions are checked with (RFC 7517)."""
        if self._keys is None:
            raise NoSuchPage("there are no assertions: see `identity.assertion`")
        headers = (
            (b"content-type", b"application/jwk-set+json"),
            (b"cache-control", b"public, max-age=300"),
            (b"x-content-type-options", b"nosniff"),
        )
        return Answer(200, headers, json.dumps(self._keys).encode())

    async def static(self, request: Request) -> Answer:
        """Serve the stylesheet and the script."""
        found = self._pages.static_file(request.path_params["name"])
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


class _Methods:
    """An ASGI app that picks the handler by method."""

    def __init__(self, handlers: dict[str, Handler], answers: Answers) -> None:
        self._handlers = handlers
        self._answers = answers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head_only = scope["method"] == "HEAD"
        handler = self._handlers.get("GET" if head_only else scope["method"])
        if handler is None:
            raise MethodRefused(f"{scope['method']} is not for this address", allowed=tuple(self._handlers))
        request = Request(scope, receive)
        answer = self._answers.share(await handler(request), head_of(request))
        await send_answer(answer, send, head_only=head_only)


async def _no_such_page(scope: Any, receive: Any, send: Any) -> None:
    raise NoSuchPage("the prefix has no such page")
