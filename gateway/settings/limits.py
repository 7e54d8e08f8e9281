"""The section `limits`: what is too much (rate limits, timeouts, sizes)."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from gateway.settings.scalars import Duration, OptionalSize, Size, Span
from gateway.settings.section import Section


class LimitsSettings(Section):
    """What is too much."""

    header_bytes: Size = 32 * 1024
    """Largest header block of a request."""
    header_count: int = Field(default=100, ge=8, le=1000)
    """Most header fields of a request."""
    target_bytes: Size = 8 * 1024
    """Longest path and query of a request."""
    body: OptionalSize = None
    """Largest request body; none for no limit. A route may have its own."""
    head_timeout: Duration = timedelta(seconds=10)
    """Longest time in which the request headers must be complete, from the first byte or from connecting."""
    body_timeout: Duration = timedelta(seconds=30)
    """Longest pause within a request body."""
    body_rate: OptionalSize = 512
    """Least bytes a second of a request body that takes longer than body_timeout; none for no limit."""
    send_timeout: Duration = timedelta(seconds=60)
    """Longest time in which a client may take nothing of an answer that is waiting for it."""
    keep_alive: Duration = timedelta(seconds=75)
    """How long a connection without a request is kept."""
    websocket_idle: Span = timedelta(0)
    """Longest time in which neither end of a WebSocket says anything; 0s for no limit."""
    connections_per_address: int = Field(default=1000, ge=0)
    """Most connections of one client address (IPv6: one /64) at once, trusted proxies aside; 0 for no limit."""
    waiting_per_address: OptionalSize = 24 * 1024 * 1024
    """Most bytes that wait in one worker for a client address and from it, trusted proxies aside; none for no limit."""
    sign_in_attempts: int = Field(default=30, ge=0)
    """Most sign-ins begun from one address (IPv6: one /64) in a minute; 0 for no limit."""
    sign_in_attempts_of_all: int = Field(default=6000, ge=0)
    """Most sign-ins begun by all together in a minute; 0 for no limit. It bounds what strangers can fill Redis with."""
