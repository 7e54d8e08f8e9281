"""Request bodies that are too large: refused by their announced length, or as soon as they have grown beyond it."""

from __future__ import annotations

from gateway.core.headers import first
from gateway.core.request import RequestHead
from gateway.errors import ContentTooLarge
from gateway.web.exchange import Message, Receive


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
