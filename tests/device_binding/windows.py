"""A window of a real browser, with cookies of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from playwright.sync_api import Browser, BrowserContext


@contextlib.contextmanager
def open_window(chromium: Browser, *, patience: float = 20) -> Generator[BrowserContext]:
    """Yield one whose pages wait for at most `patience` seconds each; it is closed before what it has visited is."""
    context = chromium.new_context(ignore_https_errors=True)
    context.set_default_timeout(patience * 1000)
    yield context
    context.close()
