"""The gateway around your own WSGI app.

from gateway.wsgi import protect
application = protect(application)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.asgi import read_settings
from gateway.runtime.build import build
from gateway.settings import Settings
from gateway.web.wsgi import WsgiGateway

__all__ = ["protect"]


def protect(app: Any, settings: Settings | Path | str | None = None) -> Any:
    """Put the gateway around a WSGI app (Flask, Django, Bottle…); returns a WSGI app.

    The app gets the same headers as behind the proxy, and besides `REMOTE_USER` (the open_id) and
    `environ["gateway.identity"]`. Raises `SettingsError`, with every problem in its message.
    """
    generation = build(read_settings(settings, needs_upstream=False), app=app)
    return WsgiGateway(
        app,
        pipeline=generation.pipeline,
        reader=generation.reader,
        own_pages=generation.own_pages,
        own_cookies=generation.own_cookies,
        metrics=generation.metrics,
        close=generation.close,
    )
