"""Parts that are installed only by whoever needs them (optional dependencies): which of them the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from gateway.settings import Problem, Settings, place


def find_missing_extras(settings: Settings) -> tuple[Problem, ...]:
    """Return a problem for each extra that the settings need and that is not installed."""
    return tuple(
        place(settings, key, f"needs what is not installed: pip install 'tiktok-gateway[{extra}]'")
        for key, extra, modules in _find_needed(settings)
        if any(find_spec(module) is None for module in modules)
    )


def _find_needed(settings: Settings) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield a key, the extra that it needs, and what that brings."""
    if settings.forward_auth.grpc is not None:
        yield "forward_auth.grpc", "grpc", ("grpc", "envoy")
    if settings.qr_sign_in:
        yield "qr_sign_in", "qr", ("segno",)
    if settings.redis.embedded:
        yield "redis", "demo", ("fakeredis", "lupa")
