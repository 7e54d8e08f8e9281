"""What lies behind the gate: an upstream to forward to, an app to call, or nothing.

Every door takes the same `Allow` and removes and sets the same headers, so an app moves between them unedited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gateway.core.decision import Allow
from gateway.core.headers import Fields, client_headers, in_process_headers, passing_headers, upstream_headers
from gateway.core.request import RequestHead
from gateway.errors import NothingHere
from gateway.web.exchange import Receive, Send
from gateway.web.scope import Scope
from gateway.web.user import build_auth, build_user

EditResponse = Callable[[Fields], Fields]


class Forwarder(Protocol):
    """A reverse proxy; `upstream` obeys."""

    async def forward(
        self,
        head: RequestHead,
        headers: Fields,
        receive: Receive,
        send: Send,
        edit_response: EditResponse,
    ) -> None:
        """Send the request on and stream the answer back."""

    async def relay(
        self,
        head: RequestHead,
        headers: Fields,
        receive: Receive,
        send: Send,
        edit_response: EditResponse,
    ) -> None:
        """Open a WebSocket to the upstream and join both."""


class Door(Protocol):
    """Lets an allowed request through to what lies behind."""

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the request; the caller has checked that it may pass."""


class ReverseProxyDoor:
    """Forwards to the upstream."""

    def __init__(
        self, forwarder: Forwarder, *, upstream_host: bytes, pass_host: bool, own_cookies: frozenset[bytes]
    ) -> None:
        self._forwarder = forwarder
        self._upstream_host = upstream_host
        self._pass_host = pass_host
        self._own_cookies = own_cookies

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Forward, with the answer's headers made fit for the client."""
        headers = self.request_fields(head, allow, request_id)

        def edit(response: Fields) -> Fields:
            return self.response_fields(response, allow)

        act = self._forwarder.relay if head.websocket else self._forwarder.forward
        await act(head, headers, receive, send, edit)

    def request_fields(self, head: RequestHead, allow: Allow, request_id: str) -> Fields:
        """Return the headers that the upstream is sent."""
        return upstream_headers(
            head,
            set_headers=allow.set_headers,
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=request_id,
            pass_host=self._pass_host,
            upstream_host=self._upstream_host,
        )

    def host(self, head: RequestHead) -> bytes:
        """Return the Host that the upstream is sent."""
        return head.host.encode() if self._pass_host else self._upstream_host

    def passing_fields(self, head: RequestHead, allow: Allow) -> Fields:
        """Return the part of `request_fields` that depends on the client alone."""
        return passing_headers(head, remove_headers=allow.remove_headers, own_cookies=self._own_cookies)

    def response_fields(self, response: Fields, allow: Allow) -> Fields:
        """Return the headers of the upstream's answer as the client may see them."""
        return client_headers(
            response,
            own_cookies=self._own_cookies,
            remove_headers=allow.remove_headers,
            identity_bearing=allow.identity is not None,
            keep_date=False,  # our server dates every answer, as nginx does; two dates would be one too many
        )


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
        inner["path"], inner["raw_path"] = head.path.text, head.path.raw
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
        )


class ClosedDoor:
    """Nothing lies behind: `upstream: none`."""

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Say so."""
        raise NothingHere("a request reached a gateway that only answers forward-auth")
