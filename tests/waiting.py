"""Waiting for what others do: in short steps, and long enough for a busy machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import httpx

PATIENCE = 60.0
"""Seconds for what takes one on a machine that has nothing else to do: who waits this long has found a fault."""


def wait_for(said: Callable[[], object], what: str, *, within: float = PATIENCE) -> None:
    """Wait until something is so; a connection that fails says that it is not so yet."""
    end = time.monotonic() + within
    while True:
        with contextlib.suppress(OSError, httpx.TransportError):
            if said():
                return
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(0.02)
