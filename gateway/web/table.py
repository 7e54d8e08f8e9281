"""Tables of addresses: path → method → handler, as our own pages and the admin listener have them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route, Router

from gateway.errors import MethodRefused, NoSuchPage
from gateway.web.answers.answer import Answer, send_answer

Handler = Callable[[Request], Awaitable[Answer]]
Table = Mapping[str, Mapping[str, Handler]]
"""Path, with `{name}` for a part that is read → method → handler. Who has a GET has a HEAD; `ANY` stands for all."""
ANY: Final = "*"
Finish = Callable[[Answer, Request], Answer]


def build_router(table: Table, prefix: str = "", *, finish: Finish = lambda answer, request: answer) -> Router:
    """Return the ASGI app that leads to the handlers, and sends what they answer once it has been through `finish`.

    It raises `NoSuchPage` and `MethodRefused`.
    """
    return Router(
        [Route(prefix + path, _Methods(handlers, finish)) for path, handlers in table.items()],
        redirect_slashes=False,
        default=_no_such_page,
    )


class _Methods:
    """An ASGI app that picks the handler by method."""

    def __init__(self, handlers: Mapping[str, Handler], finish: Finish) -> None:
        self._handlers = handlers
        self._finish = finish

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head_only = scope["method"] == "HEAD"
        handler = self._handlers.get("GET" if head_only else scope["method"]) or self._handlers.get(ANY)
        if handler is None:
            raise MethodRefused(f"{scope['method']} is not for this address", allowed=tuple(self._handlers))
        request = Request(scope, receive)
        await send_answer(self._finish(await handler(request), request), send, head_only=head_only)


async def _no_such_page(scope: Any, receive: Any, send: Any) -> None:
    raise NoSuchPage("there is no such address")
