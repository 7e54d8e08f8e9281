"""Webhooks passed on to the app: a POST like any other, to the same app, with an identity of its own.

The app gets TikTok's body as it was sent, and knows it as the gateway's by `X-Gateway-Event`, which nobody else can
send: the name is reserved on every request. Any 2xx is a receipt; without one it comes again, so an app should know
events by `X-Gateway-Event-Id`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.core.decision import Allow
from gateway.core.fields import Headers, build_lines
from gateway.core.identity import encode_opaque
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.core.webhook import WebhookEvent
from gateway.errors import GatewayError, UpstreamBroken
from gateway.flows.outbox import Outbox, Save
from gateway.web.asgi_head import Message
from gateway.web.behind.apps import App, AppRaised
from gateway.web.exchange import new_request_id

EVENT: Final = "event"
"""Kind of the jobs."""


class Delivery(msgspec.Struct, frozen=True):
    """An event on its way to the app."""

    name: str
    event_id: str
    subject: str | None
    body: bytes


class EventQueue:
    """Keeps events until the app has got them; `instance` tells this gateway's app from those of others."""

    def __init__(self, outbox: Outbox, instance: str) -> None:
        self._outbox = outbox
        self._instance = instance

    async def __call__(self, event: WebhookEvent, body: bytes) -> None:
        """Take an event. Raises `StoreUnavailable`."""
        delivery = Delivery(event.name, event.event_id, event.subject, body)
        job_id = f"event-{self._instance}-{event.event_id}"
        await self._outbox.add(job_id, EVENT, msgspec.msgpack.encode(delivery))
        self._outbox.perform_soon(job_id)


class EventDelivery:
    """Does the jobs, by asking `app`."""

    def __init__(self, app: App, *, path: str, host: str, scheme: str, reserved: frozenset[bytes]) -> None:
        self._app = app
        self._path = canonicalise(path.encode())
        self._host = host
        self._scheme = scheme
        self._reserved = reserved

    async def __call__(self, data: bytes, save: Save) -> None:
        """Deliver an event. Raises an `UpstreamError` when the app does not take it."""
        delivery = msgspec.msgpack.decode(data, type=Delivery)
        head = self._build_head(delivery)
        identity = _identity(delivery)
        allow = Allow(identity, self._reserved, None, build_lines(identity))
        sent: list[Message] = []

        async def receive() -> Message:
            if sent or received:
                return {"type": "http.disconnect"}
            received.append(True)
            return {"type": "http.request", "body": delivery.body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.append(message)

        received: list[bool] = []
        try:
            await self._app.answer(head, allow, new_request_id(), self._build_scope(head), receive, send)
        except GatewayError:
            raise
        except Exception as error:
            failure = type(error.error if isinstance(error, AppRaised) else error).__name__
            raise UpstreamBroken(f"the app failed at the event `{delivery.name}`: {failure}") from error
        status = sent[0]["status"] if sent else 0
        if not 200 <= status < 300:
            raise UpstreamBroken(f"the app answered {status} to the event `{delivery.name}`")

    def _build_head(self, delivery: Delivery) -> RequestHead:
        return RequestHead(
            method="POST",
            scheme=self._scheme,
            host=self._host,
            path=self._path,
            query=b"",
            raw_target=self._path.raw,
            headers=(
                (b"host", self._host.encode()),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(delivery.body)),
                (b"user-agent", b"tiktok-gateway"),
            ),
            client_address="",
        )

    def _build_scope(self, head: RequestHead) -> dict[str, Any]:
        """Return the scope for an app in this process (ASGI, "HTTP Connection Scope")."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": head.method,
            "scheme": head.scheme,
            "path": unquote_to_bytes(head.path.raw).decode(),
            "raw_path": head.path.raw,
            "query_string": b"",
            "root_path": "",
            "headers": list(head.headers),
            "client": None,
            "server": None,
        }


def _identity(delivery: Delivery) -> Headers:
    fields = [(b"x-gateway-event", delivery.name.encode()), (b"x-gateway-event-id", delivery.event_id.encode())]
    subject = encode_opaque(delivery.subject)
    if subject is not None:
        fields.append((b"x-tiktok-open-id", subject.encode()))
    return tuple(fields)
