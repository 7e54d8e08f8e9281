"""TikTok's webhooks: whether one is TikTok's, and what it says ("Webhooks", "Webhook verification").

The signature is over the raw bytes: `s = hex(HMAC-SHA256(client_secret, t + "." + body))`. Whether `t` is signed anew
when TikTok tries again is not documented, so an event is known by its body alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from gateway.core.tiktok import MAX_ID
from gateway.errors import WebhookRefused

REMOVED: Final = "authorization.removed"
"""The person, or TikTok, has ended the grant: its tokens are dead already."""
AHEAD: Final = timedelta(minutes=5)
"""How far a signature may lie in the future: clocks differ."""
MAX_EVENT: Final = 128
"""Longest name of an event, in characters."""

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999, beyond which Python has no dates
_SIGNATURE: Final = re.compile(r"t=(\d{1,12}),s=([0-9a-f]{64})")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class WebhookEvent(msgspec.Struct, frozen=True):
    """A verified event. `content` stays as TikTok wrote it: JSON within a string, maybe with numbers beyond 2^53."""

    name: str
    created_at: datetime
    subject: str | None  # open_id; some events have none
    content: str
    event_id: str  # the same for each delivery of the event


def verify_signature(header: str, body: bytes, *, secret: str, now: datetime, tolerance: timedelta) -> None:
    """Check that a body was signed with the client secret (compared in constant time), and not too long ago.

    Raises `WebhookRefused`.
    """
    found = _SIGNATURE.fullmatch(header)
    if found is None:
        raise WebhookRefused("TikTok-Signature is missing or malformed")
    timestamp, signature = found.groups()
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise WebhookRefused("TikTok-Signature is not by `tiktok.client_secret`")
    age = now.timestamp() - int(timestamp)
    if age > tolerance.total_seconds():
        raise WebhookRefused(f"TikTok-Signature is {age:.0f} s old: see `tiktok.webhook.tolerance`")
    if age < -AHEAD.total_seconds():
        raise WebhookRefused(f"TikTok-Signature is from the future by {-age:.0f} s: is this machine's clock right?")


def read_event(body: bytes, *, client_key: str) -> WebhookEvent:
    """Read a verified body. Raises `WebhookRefused` for what is no event of this app."""
    try:
        envelope = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WebhookRefused("the body is no JSON object") from None
    if envelope.get("client_key") != client_key:
        raise WebhookRefused("the event is for another app than `tiktok.client_key`")
    name, created = envelope.get("event"), envelope.get("create_time")
    if not isinstance(name, str) or len(name) > MAX_EVENT or not _NAME.fullmatch(name):
        raise WebhookRefused("the event has no name")
    if not isinstance(created, int) or isinstance(created, bool) or not 0 <= created <= _LAST_SECOND:
        raise WebhookRefused("the event has no `create_time`")
    subject, content = envelope.get("user_openid"), envelope.get("content", "")
    if subject is not None and not (isinstance(subject, str) and 0 < len(subject) <= MAX_ID):
        raise WebhookRefused("the event's `user_openid` is none")
    return WebhookEvent(
        name=name,
        created_at=datetime.fromtimestamp(created, UTC),
        subject=subject,
        content=content if isinstance(content, str) else msgspec.json.encode(content).decode(),
        event_id=hashlib.sha256(body).hexdigest()[:32],
    )
