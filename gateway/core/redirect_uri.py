"""What TikTok asks of a redirect URI (Login Kit for Web, "Redirect URI"; Login Kit for Desktop)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 511
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def find_faults(redirect_uri: str) -> Iterator[str]:
    """Yield each reason why TikTok would not register the address."""
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    if host in _LOOPBACK:
        yield "it is on this machine: TikTok takes that for desktop apps only, with a port"
    elif parts.scheme != "https":
        yield "it is not https"
    if parts.query or parts.fragment or "?" in redirect_uri or "#" in redirect_uri:
        yield "it has a query or a fragment"
    if len(redirect_uri) > LONGEST:
        yield f"it is longer than {LONGEST} characters"
    if not redirect_uri.isascii():
        yield "its host is not written in ASCII (xn--…)"
