"""The gateway's own paths, under its prefix: the tables of all pages as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from starlette.requests import Request

from gateway.errors import NoSuchPage
from gateway.web.answers.answer import refuse_websocket
from gateway.web.answers.answers import Answers
from gateway.web.asgi_head import HEAD_KEY, head_of
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.own.asker import in_their_name
from gateway.web.table import Handler, Table, build_router


class Pages(Protocol):
    """Some of the gateway's own pages."""

    @property
    def table(self) -> Table:
        """Where under the prefix they are, and who answers."""


class Endpoints:
    """The ASGI app under the prefix; and of `files`, which have paths of their own."""

    def __init__(
        self, pages: Iterable[Pages], *, forward_auth: ForwardAuth, answers: Answers, files: Table | None = None
    ) -> None:
        self._site = answers.site
        self._forward_auth = forward_auth
        table: dict[str, Mapping[str, Handler]] = {**(files or {})}
        table |= {f"{answers.site.prefix}{path}": handlers for path, handlers in forward_auth.table.items()}
        for each in pages:
            table |= {
                f"{answers.site.prefix}{path}": {method: in_their_name(handler) for method, handler in handlers.items()}
                for path, handlers in each.table.items()
            }
        self.paths: Final = frozenset(table)
        self._router = build_router(table, finish=lambda answer, request: answers.share(answer, head_of(request)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request under the prefix (ASGI 3). Raises `NoSuchPage` or `MethodRefused`."""
        if scope["type"] == "websocket":
            await self._answer_handshake(scope, send)
        else:
            await self._router(scope, receive, send)

    async def _answer_handshake(self, scope: Any, send: Any) -> None:
        """Answer what a foreign server took for a WebSocket: a check, by its front's copy of `Upgrade`."""
        if not self._site.is_check(scope[HEAD_KEY].path):
            raise NoSuchPage("the gateway has no WebSocket of its own")
        answer = await self._forward_auth(Request({**scope, "type": "http", "method": "GET"}))
        await refuse_websocket(answer, send, scope.get("extensions") or {})
