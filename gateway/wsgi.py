"""The gateway around your own WSGI app.

from gateway.wsgi import protect
application = protect(application)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.asgi import read_settings
from gateway.errors import SettingsError
from gateway.runtime.build import build
from gateway.runtime.plain_end import told_plainly
from gateway.settings import Settings
from gateway.web.wsgi.environ import EnvironReader
from gateway.web.wsgi.middleware import WsgiGateway

__all__ = ["protect"]


def protect(app: Any, settings: Settings | Path | str | None = None, *, underscores_dropped: bool = False) -> Any:
    """Put the gateway around a WSGI app (Flask, Django, Bottle…); returns a WSGI app.

    `underscores_dropped` says that the front lets no header name with `_` pass, as nginx does by default. Without that,
    `trusted_proxies` count only under servers that drop such names: gunicorn, waitress, mod_wsgi, gevent, Werkzeug.

    The app gets the same headers as behind the proxy, and besides `REMOTE_USER` (the open_id) and
    `environ["gateway.identity"]`. Raises `SettingsError`, with every problem in its message.
    """
    try:
        return _build(app, read_settings(settings, needs_upstream=False), underscores_dropped=underscores_dropped)
    except SettingsError as error:
        raise told_plainly(error) from None


def _build(app: Any, settings: Settings, *, underscores_dropped: bool) -> WsgiGateway:
    for index, route in enumerate(settings.routes):
        if route.upstream != "default":
            raise SettingsError(
                f"routes[{index}].upstream: WSGI middleware leads to its app only: take `{route.upstream}` away, or "
                "run the gateway as a proxy or as ASGI middleware"
            )
    if settings.tiktok.webhook.forward_to is not None:
        raise SettingsError(
            "tiktok.webhook.forward_to: WSGI middleware cannot pass events on: take it away, or run the gateway as a "
            "proxy"
        )
    if settings.tracing != "off":
        raise SettingsError(
            "tracing: WSGI middleware makes no spans: take it away, or put opentelemetry-instrumentation-wsgi around"
        )
    generation = build(settings, app=app)
    judging, own_cookies = generation.judging, generation.doors.own_cookies
    return WsgiGateway(
        app,
        pipeline=generation.pages.pipeline,
        reader=EnvironReader(judging.reader, own_cookies, underscores_dropped=underscores_dropped),
        own_pages=generation.pages.endpoints,
        own_cookies=own_cookies,
        live=judging.live,
        metrics=generation.metrics,
        start=judging.allow_files.start,
        close=generation.close,
        answer_ids=settings.log.answer_request_id,
    )
