"""Webhooks as TikTok sends them: JSON with JSON inside a string, signed with the client secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx


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
    headers = {"content-type": "application/json", "tiktok-signature": signature}
    return httpx.post(url, content=body + b" " if alter else body, headers=headers, timeout=10, trust_env=False)
