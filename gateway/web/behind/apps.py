"""What lies behind the gate: upstreams to forward to, an app to call, or nothing.

Each takes the same `Allow` and removes and sets the same headers, so an app moves between them unedited.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from starlette.authentication import BaseUser

from gateway.core.decision import Allow
from gateway.core.fields import Headers
from gateway.core.headers import in_process_headers
from gateway.core.identity import encode_opaque
from gateway.core.request import RequestHead
from gateway.core.response import client_headers
from gateway.core.route import Route
from gateway.errors import GatewayError, NothingHere
from gateway.flows.gate import Passage
from gateway.web.answers.site import Site
from gateway.web.asgi_head import Receive, Scope, Send
from gateway.web.behind.user import AskForToken, build_auth, build_user
from gateway.web.behind.visit import VISIT_KEY, Visit
from gateway.web.body_limit import check_length, limit_body

_REMOTE_USER: Final = b"remote-user"  # of a preset, so no client can send it


class AppRaised(Exception):
    """What an app in this process raised: its own affair, and that of whatever stands around the gateway."""

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


class App(Protocol):
    """What is behind the gate."""

    async def answer(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the request; the caller has checked that it may pass. Raises `AppRaised`, or an error of ours."""


class Apps:
    """The apps by the name of their upstream. Where there is no `default`, nothing is behind the gate."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = apps
        self._none = NoApp()

    def find(self, route: Route) -> App:
        """Return the app that a route leads to."""
        return self._apps.get(route.upstream, self._none)

    async def answer(
        self, head: RequestHead, passage: Passage, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request that may pass. Raises `ContentTooLarge` for a body beyond the route's limit."""
        route = passage.match.route
        check_length(head, route.body_limit)
        if head.path.merged:
            head = msgspec.structs.replace(head, path=route.form_of(head.path))
        receive = limit_body(receive, route.body_limit)
        await self.find(route).answer(head, passage.allow, request_id, scope, receive, send)


class InProcessApp:
    """Calls an ASGI app in this process.

    Besides the headers, the app finds Starlette's `scope["user"]` and `scope["auth"]`, and the path as it was judged.
    And `Remote-User`, unless the settings say what it is: Django reads that under ASGI, as `REMOTE_USER` under WSGI.
    """

    def __init__(self, app: Any, *, own_cookies: frozenset[bytes], site: Site, ask_for_token: AskForToken) -> None:
        self._app = app
        self._own_cookies = own_cookies
        self._site = site
        self._ask_for_token = ask_for_token

    async def answer(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Call the app with a scope of its own."""
        inner = dict(scope)
        inner["headers"] = in_process_headers(
            head,
            set_headers=_with_remote_user(allow),
            remove_headers=allow.remove_headers,
            own_cookies=self._own_cookies,
            request_id=request_id,
        )
        if VISIT_KEY not in inner:  # an event
            inner[VISIT_KEY] = Visit(head, self._site)
        inner["root_path"], inner["path"], inner["raw_path"] = head.mount, head.path.decoded, head.path.raw
        inner["user"], inner["auth"] = self._build_user(allow), build_auth(allow.identity)

        streams_events = False

        async def send_edited(message: Any) -> None:
            nonlocal streams_events
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                message = message | {"headers": self._edit(message.get("headers", []), allow)}
                streams_events = _streams_events(message["headers"])
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                streams_events = False
            await send(message)

        try:
            await self._app(inner, receive, send_edited)
        except asyncio.CancelledError:
            if streams_events:
                # no event is cut by that, and some servers (daphne) tell a client of no other end
                with contextlib.suppress(Exception):  # who has left already need not be told
                    await send({"type": "http.response.body", "body": b""})
            raise
        except GatewayError:
            raise  # out of our own `receive` or `send`
        except Exception as error:  # noqa: BLE001 -- handed on as it is
            raise AppRaised(error) from None

    def _build_user(self, allow: Allow) -> BaseUser:
        return build_user(allow.identity, allow.session_key, self._ask_for_token)

    def _edit(self, headers: Any, allow: Allow) -> list[tuple[bytes, bytes]]:
        return client_headers(
            [(bytes(name), bytes(value)) for name, value in headers],
            own_cookies=self._own_cookies,
            remove_headers=allow.remove_headers,
            identity_bearing=allow.identity is not None,
            varies=allow.varies,
        )


def _with_remote_user(allow: Allow) -> Headers:
    who = encode_opaque(allow.identity.open_id) if allow.identity is not None else None
    if not who or any(name == _REMOTE_USER for name, _ in allow.set_headers):
        return allow.set_headers
    return (*allow.set_headers, (_REMOTE_USER, who.encode()))


def _streams_events(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether an answer is an event stream, which ends wherever it does; one with a length ends where that says."""
    fields = dict(headers)
    is_stream = fields.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"text/event-stream"
    return is_stream and b"content-length" not in fields


class NoApp:
    """Nothing is behind the gate: `upstream: none`."""

    async def answer(
        self, head: RequestHead, allow: Allow, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Say so."""
        raise NothingHere("a request reached a gateway that only answers forward-auth")
