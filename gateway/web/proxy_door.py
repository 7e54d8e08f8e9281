"""The door to an upstream: what it is sent, and what of its answer goes to the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from gateway.core.decision import Allow
from gateway.core.headers import Fields, address_headers, passing_headers, upstream_headers
from gateway.core.path import CanonicalPath
from gateway.core.request import RequestHead
from gateway.core.response import Field, client_fields
from gateway.errors import Forbidden
from gateway.web.exchange import Receive, Send
from gateway.web.scope import Scope

EditResponse = Callable[[list[Field]], list[Field]]


class Forwarder(Protocol):
    """A reverse proxy; `upstream` obeys."""

    async def forward(
        self, head: RequestHead, headers: Fields, receive: Receive, send: Send, edit_response: EditResponse
    ) -> None:
        """Send the request on and stream the answer back."""

    async def relay(
        self, head: RequestHead, headers: Fields, receive: Receive, send: Send, edit_response: EditResponse
    ) -> None:
        """Open a WebSocket to the upstream and join both."""


class ReverseProxyDoor:
    """Forwards to one upstream.

    `own_host` is sent where the browser's Host is not (`pass_host` false); `strip_prefix` ("" for none) is taken off
    the front of paths.
    """

    def __init__(
        self,
        forwarder: Forwarder,
        *,
        own_host: bytes,
        pass_host: bool,
        strip_prefix: str,
        websockets: bool,
        own_cookies: frozenset[bytes],
    ) -> None:
        self._forwarder = forwarder
        self._own_host = own_host
        self._pass_host = pass_host
        self._strip_prefix = strip_prefix
        self._own_cookies = own_cookies
        self.takes_websockets = websockets

    async def open(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Forward, with the answer's headers made fit for the client."""
        self.check_websocket(head)
        headers = upstream_headers(
            head,
            host=self._host(head.host),
            stripped_prefix=self._stripped(head.path),
            set_headers=allow.set_headers,
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=request_id,
        )
        aimed = msgspec.structs.replace(head, path=self.aim(head.path)) if self._strip_prefix else head
        act = self._forwarder.relay if head.websocket else self._forwarder.forward
        await act(aimed, headers, receive, send, lambda fields: self.response_fields(fields, allow))

    def check_websocket(self, head: RequestHead) -> None:
        """Raise `Forbidden` for a WebSocket where the app takes none."""
        if head.websocket and not self.takes_websockets:
            raise Forbidden("the upstream takes no WebSockets: see `websockets` in its settings")

    def aim(self, path: CanonicalPath) -> CanonicalPath:
        """Return the path that the upstream is asked for."""
        return path.without(self._strip_prefix) if self._strip_prefix else path

    def address_fields(self, host: str, path: CanonicalPath) -> Fields:
        """Return the part of the request fields that depends on where the request goes alone."""
        return address_headers(self._host(host), self._stripped(path))

    def passing_fields(self, head: RequestHead, allow: Allow) -> Fields:
        """Return the part of the request fields that depends on the client alone."""
        return passing_headers(head, remove_headers=allow.remove_headers, own_cookies=self._own_cookies)

    def response_fields(self, fields: list[Field], allow: Allow) -> list[Field]:
        """Return the fields of the upstream's answer as the client may see them."""
        return client_fields(
            fields,
            own_cookies=self._own_cookies,
            remove_headers=allow.remove_headers,
            identity_bearing=allow.identity is not None,
            varies=allow.varies,
            keep_date=False,  # our server dates every answer, as nginx does; two dates would be one too many
        )

    def _host(self, host: str) -> bytes:
        return host.encode() if self._pass_host else self._own_host

    def _stripped(self, path: CanonicalPath) -> bytes:
        return self._strip_prefix.encode() if self._strip_prefix and path.is_under(self._strip_prefix) else b""
