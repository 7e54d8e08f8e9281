"""The app behind the gate as an upstream of a reverse proxy: what it is sent, and what of its answer goes out."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.core.addresses import Translation
from gateway.core.decision import Allow
from gateway.core.fields import Fields
from gateway.core.headers import address_headers, passing_headers, upstream_headers
from gateway.core.path import CanonicalPath
from gateway.core.request import RequestHead
from gateway.core.response import AnswerField, EditResponse, client_fields
from gateway.core.webdav import read_destination
from gateway.errors import Forbidden
from gateway.web.asgi_head import Receive, Scope, Send


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


class Asked(Protocol):
    """What a browser asked for."""

    @property
    def scheme(self) -> str:
        """`http` or `https`."""

    @property
    def host(self) -> str:
        """The authority."""


class ProxiedApp:
    """Forwards to one upstream.

    `own_host` is sent where the browser's Host is not (`pass_host` false); `strip_prefix` ("" for none) is taken off
    the front of paths; `translation` is for an app that does not know of either.
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
        translation: Translation | None = None,
    ) -> None:
        self._forwarder = forwarder
        self._translation = translation
        self._own_host = own_host
        self._pass_host = pass_host
        self._strip_prefix = strip_prefix
        self._own_cookies = own_cookies
        self.takes_websockets = websockets

    async def answer(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Forward, with the answer's headers made fit for the client."""
        self.check_websocket(head)
        headers = upstream_headers(
            head,
            host=self._host(head.host),
            stripped_prefix=self._stripped(head.path, head.front.prefix),
            set_headers=allow.set_headers,
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=request_id,
        )
        if head.destination is not None and self._translation is not None:
            headers = [self._translate_destination(field, head) for field in headers]
        aimed = msgspec.structs.replace(head, path=self.aim(head.path)) if self._strip_prefix else head
        act = self._forwarder.relay if head.websocket else self._forwarder.forward
        await act(
            aimed, headers, receive, send, lambda fields: self.translate(self.response_fields(fields, allow), head)
        )

    def check_websocket(self, head: RequestHead) -> None:
        """Raise `Forbidden` for a WebSocket where the app takes none."""
        if head.websocket and not self.takes_websockets:
            raise Forbidden("the upstream takes no WebSockets: see `websockets` in its settings")

    def aim(self, path: CanonicalPath) -> CanonicalPath:
        """Return the path that the upstream is asked for."""
        return path.without(self._strip_prefix) if self._strip_prefix else path

    def address_fields(self, host: str, path: CanonicalPath, front_prefix: str = "") -> Fields:
        """Return the part of the request fields that depends on where the request goes alone.

        `front_prefix`: what a front has taken off the path before.
        """
        return address_headers(self._host(host), self._stripped(path, front_prefix))

    def passing_fields(self, head: RequestHead, allow: Allow) -> Fields:
        """Return the part of the request fields that depends on the client alone."""
        return passing_headers(head, remove_headers=allow.remove_headers, own_cookies=self._own_cookies)

    def response_fields(self, fields: list[AnswerField], allow: Allow) -> list[AnswerField]:
        """Return the fields of the upstream's answer as the client may see them."""
        return client_fields(
            fields,
            own_cookies=self._own_cookies,
            remove_headers=allow.remove_headers,
            identity_bearing=allow.identity is not None,
            varies=allow.varies,
            keep_date=False,  # our server dates every answer, as nginx does; two dates would be one too many
        )

    @property
    def translates(self) -> bool:
        """Whether answers depend on what the browser asked for."""
        return self._translation is not None

    def translate(self, fields: list[AnswerField], asked: Asked) -> list[AnswerField]:
        """Return the fields of an answer with the app's addresses as the browser knows them."""
        return self._translation.translate_answer(fields, asked.scheme, asked.host) if self._translation else fields

    def _translate_destination(self, field: tuple[bytes, bytes], head: RequestHead) -> tuple[bytes, bytes]:
        if field[0] != b"destination" or self._translation is None:
            return field
        path = self.aim(read_destination(field[1], head.host).path.keep_slashes())
        return field[0], self._translation.translate_destination(field[1], head.host, path)

    def _host(self, host: str) -> bytes:
        return host.encode() if self._pass_host else self._own_host

    def _stripped(self, path: CanonicalPath, front_prefix: str) -> bytes:
        own = self._strip_prefix if self._strip_prefix and path.is_under(self._strip_prefix) else ""
        return (front_prefix + own).encode()
