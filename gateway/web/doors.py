"""What lies behind the gate: upstreams to forward to, an app to call, or nothing.

Every door takes the same `Allow` and removes and sets the same headers, so an app moves between them unedited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from gateway.core.decision import Allow
from gateway.core.headers import in_process_headers
from gateway.core.policy import Route
from gateway.core.request import RequestHead
from gateway.core.response import client_headers
from gateway.errors import NothingHere
from gateway.flows.gate import Passage
from gateway.web.body_limit import check_length, limit_body
from gateway.web.exchange import Receive, Send
from gateway.web.scope import Scope
from gateway.web.user import build_auth, build_user


class Door(Protocol):
    """Lets an allowed request through to what lies behind."""

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the request; the caller has checked that it may pass."""


class Doors:
    """The doors by the name of the upstream behind them. Where there is no `default`, nothing lies behind it."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors
        self._closed = ClosedDoor()

    def find(self, route: Route) -> Door:
        """Return the door that a route leads to."""
        return self._doors.get(route.upstream, self._closed)

    async def open(
        self, head: RequestHead, passage: Passage, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request that may pass. Raises `ContentTooLarge` for a body beyond the route's limit."""
        route = passage.match.route
        check_length(head, route.body_limit)
        if head.path.merged:
            head = msgspec.structs.replace(head, path=route.form_of(head.path))
        await self.find(route).open(head, passage.allow, request_id, scope, limit_body(receive, route.body_limit), send)


class InProcessDoor:
    """Calls an ASGI app in this process.

    Besides the headers, the app finds Starlette's `scope["user"]` and `scope["auth"]`, and the path as it was judged.
    """

    def __init__(self, app: Any, *, own_cookies: frozenset[bytes]) -> None:
        self._app = app
        self._own_cookies = own_cookies

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Call the app with a scope of its own."""
        inner = dict(scope)
        inner["headers"] = in_process_headers(
            head,
            set_headers=allow.set_headers,
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=request_id,
        )
        inner["root_path"], inner["path"], inner["raw_path"] = head.mount, head.path.decoded, head.path.raw
        inner["user"], inner["auth"] = build_user(allow.identity), build_auth(allow.identity)

        async def send_edited(message: Any) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                message = message | {"headers": self._edit(message.get("headers", []), allow)}
            await send(message)

        await self._app(inner, receive, send_edited)

    def _edit(self, headers: Any, allow: Allow) -> list[tuple[bytes, bytes]]:
        return client_headers(
            [(bytes(name), bytes(value)) for name, value in headers],
            own_cookies=self._own_cookies,
            remove_headers=allow.remove_headers,
            identity_bearing=allow.identity is not None,
            varies=allow.varies,
        )


class ClosedDoor:
    """Nothing lies behind: `upstream: none`."""

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Say so."""
        raise NothingHere("a request reached a gateway that only answers forward-auth")
