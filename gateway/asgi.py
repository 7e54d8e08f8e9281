"""The gateway for ASGI: around your own app, or as an app that stands before an upstream.

from gateway.asgi import protect
app = protect(app)                    # settings from gateway.yaml or the environment
app = protect(app, "gateway.yaml")
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gateway.errors import SettingsError
from gateway.runtime.build import build
from gateway.runtime.lifespan import Lifespan
from gateway.runtime.plain_end import told_plainly
from gateway.settings import Settings, find, load

__all__ = ["create_app", "protect"]


def protect(app: Any, settings: Settings | Path | str | None = None) -> Any:
    """Put the gateway around an ASGI app; returns an ASGI app.

    The app gets the same headers as behind the proxy, and besides `scope["user"]` and `scope["auth"]`.
    Raises `SettingsError`, with every problem in its message.
    """
    try:
        return Lifespan(build(read_settings(settings, needs_upstream=False), app=app), app)
    except SettingsError as error:
        raise told_plainly(error) from None


def create_app(settings: Settings | Path | str | None = None) -> Any:
    """Return the gateway as an ASGI app before the upstream in its settings, to run under a server of your own."""
    try:
        return Lifespan(build(read_settings(settings, needs_upstream=True)), None)
    except SettingsError as error:
        raise told_plainly(error) from None


def read_settings(source: Settings | Path | str | None, *, needs_upstream: bool) -> Settings:
    """Return the settings given, or read them from the file named, found, or from the environment."""
    if isinstance(source, Settings):
        return source
    path = find(os.environ, Path(source) if source is not None else None)
    return load(path, os.environ, needs_upstream=needs_upstream)
