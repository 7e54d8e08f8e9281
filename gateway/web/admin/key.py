"""The key that a program shows, whatever it asks of the admin listener."""

from __future__ import annotations

from starlette.requests import Request

from gateway.errors import CrossSite


def read_key(request: Request) -> str:
    """Return the bearer key of a request (RFC 6750 §2.1), "" without one. Raises `CrossSite` for a browser's (CSRF)."""
    fields = {name.lower(): value for name, value in reversed(request.headers.raw)}  # of several, the first
    if b"origin" in fields or b"sec-fetch-site" in fields:
        raise CrossSite("a browser must not use the admin listener")
    scheme, _, key = fields.get(b"authorization", b"").decode("latin-1").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
