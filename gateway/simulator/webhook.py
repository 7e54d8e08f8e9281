"""Webhooks as TikTok sends them: JSON with JSON inside a string, signed with the client secret."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

LONGEST: Final = 72 * 3600.0
"""Seconds for which TikTok tries again ("Webhooks")."""


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """Return the value of `TikTok-Signature` ("Webhook verification")."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},s={digest}"


def send_webhook(
    url: str,
    event: str,
    open_id: str | None,
    *,
    client_key: str,
    secret: str,
    content: Mapping[str, Any] | None = None,
    create_time: int | None = None,
    timestamp: int | None = None,
    alter: bool = False,
) -> httpx.Response:
    """Send one event.

    Send it again for a duplicate, with an old `timestamp` for a stale one, with another `secret` for a forged one, and
    with `alter` for a body that was changed on the way.
    """
    body, headers = _build(event, open_id, client_key, secret, content, create_time, timestamp)
    return httpx.post(url, content=body + b" " if alter else body, headers=headers, timeout=10, trust_env=False)


async def deliver(
    url: str, event: str, open_id: str | None, *, client_key: str, secret: str, pause: float, longest: float = LONGEST
) -> bool:
    """Send one event, and again after `pause` seconds, then twice that and so on, until the answer is 200.

    False when that has not come in `longest` seconds of pauses.
    """
    create_time, waited = int(time.time()), 0.0
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        while True:
            body, headers = _build(event, open_id, client_key, secret, None, create_time, None)
            with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
                if (await client.post(url, content=body, headers=headers)).status_code == 200:
                    return True
            if waited + pause > longest:
                return False
            await asyncio.sleep(pause)
            waited, pause = waited + pause, max(pause * 2, 0.001)


def _build(
    event: str,
    open_id: str | None,
    client_key: str,
    secret: str,
    content: Mapping[str, Any] | None,
    create_time: int | None,
    timestamp: int | None,
) -> tuple[bytes, dict[str, str]]:
    """Return a body and its header fields."""
    envelope: dict[str, Any] = {
        "client_key": client_key,
        "event": event,
        "create_time": create_time if create_time is not None else int(time.time()),
        "content": json.dumps(content or {"reason": 1}),
    }
    if open_id is not None:
        envelope["user_openid"] = open_id
    body = json.dumps(envelope).encode()
    signature = sign(secret, body, timestamp if timestamp is not None else int(time.time()))
    return body, {"content-type": "application/json", "tiktok-signature": signature}
