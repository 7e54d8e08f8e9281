"""Bodies of requests: the ones that are too large (413, RFC 9110 §15.5.14), and the reading of a whole one.

Too large is refused by the announced length, or as soon as it has grown beyond it.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fields import first
from gateway.core.request import RequestHead
from gateway.errors import ContentTooLarge, MalformedRequest
from gateway.flows.kept_posts import ReadBody
from gateway.web.asgi_head import Message, Receive

MAX_OWN_BODY: Final = 64 * 1024
"""Largest body of any request to the gateway itself, in bytes: a webhook."""

MAX_FORM: Final = 4096
"""Largest form taken by the gateway's own pages, in bytes."""


def check_length(head: RequestHead, limit: int | None) -> None:
    """Raise `ContentTooLarge` when the announced length is beyond `limit` bytes; None is no limit."""
    length = first(head.headers, b"content-length")
    if limit is not None and length is not None and int(length) > limit:
        raise ContentTooLarge(f"a request body of {int(length)} bytes, where {limit} are allowed")


def limit_body(receive: Receive, limit: int | None) -> Receive:
    """Return a `receive` that raises `ContentTooLarge` once there have been more than `limit` bytes."""
    if limit is None:
        return receive
    left = limit

    async def receive_limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise ContentTooLarge(f"a request body of more than {limit} bytes, which are all that is allowed")
        return message

    return receive_limited


def read_from(receive: Receive) -> ReadBody:
    """Return what reads the whole body of an ASGI request. Raises `MalformedRequest` when it breaks off."""

    async def read_body(limit: int) -> bytes | None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise MalformedRequest("the client hung up within its request")
            body += message.get("body", b"")
            if len(body) > limit:
                return None
            more = message.get("more_body", False)
        return body

    return read_body
