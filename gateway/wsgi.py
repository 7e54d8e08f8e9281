"""The gateway around your own WSGI app.

from gateway.wsgi import protect
application = protect(application)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from gateway.asgi import read_settings
from gateway.errors import SettingsError
from gateway.flows.sign_in_hook import NewSignIn, SignInHook
from gateway.runtime.plain_end import told_plainly
from gateway.runtime.protecting import build_protecting, refuse_idle
from gateway.settings import Settings, SettingsKeywords
from gateway.web.admin.scraping import MetricsPage
from gateway.web.behind.errors import reply_to as answer_error
from gateway.web.behind.links import account_url, sign_in_url, sign_out_url
from gateway.web.wsgi.current import current_user, find_user
from gateway.web.wsgi.environ import EnvironReader
from gateway.web.wsgi.middleware import WsgiGateway
from gateway.web.wsgi.user import User

__all__ = [
    "NewSignIn",
    "SignInHook",
    "User",
    "account_url",
    "answer_error",
    "current_user",
    "find_user",
    "metrics_app",
    "protect",
    "sign_in_url",
    "sign_out_url",
]


def protect(
    app: Any,
    settings: Settings | Path | str | None = None,
    *,
    underscores_dropped: bool = False,
    on_sign_in: SignInHook | None = None,
    **keywords: Unpack[SettingsKeywords],
) -> Any:
    """Put the gateway around a WSGI app (Flask, Django, Bottle…); returns a WSGI app, `app` of which is the one inside.

    `keywords` are settings by the names that they have in the file; they win over the file and the environment.
    `on_sign_in` is called after every sign-in, with a `NewSignIn`.

    `underscores_dropped` says that the front lets no header name with `_` pass, as nginx does by default. Without that,
    `trusted_proxies` count only under servers that drop such names: gunicorn, waitress, mod_wsgi, gevent, Werkzeug.

    The app gets the same headers as behind the proxy, and besides `REMOTE_USER` (the open_id) and
    `environ["gateway.user"]`. Raises `SettingsError`, with every problem in its message.
    """
    try:
        refuse_idle(keywords)
        chosen = read_settings(settings, needs_upstream=False, keywords=keywords)
        return _build(app, chosen, underscores_dropped=underscores_dropped, on_sign_in=on_sign_in)
    except SettingsError as error:
        raise told_plainly(error) from None


def metrics_app(protected: Any = None, *, key: str | None) -> Any:
    """Return a WSGI app with the metrics of the gateway, to mount where a scraper comes.

    Within the app that the gateway is around, it finds the gateway by itself; elsewhere say which: `protected` is what
    `protect` has returned. `key` is asked for as `Authorization: Bearer KEY`; None shows them to whoever comes. They
    are this process's alone.
    """
    metrics = protected.metrics if protected is not None else None
    return MetricsPage(metrics, key).answer_wsgi


def _build(app: Any, settings: Settings, *, underscores_dropped: bool, on_sign_in: SignInHook | None) -> WsgiGateway:
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
    generation = build_protecting(settings, app, on_sign_in)
    judging, own_cookies = generation.judging, generation.doors.own_cookies
    return WsgiGateway(
        app,
        pipeline=generation.pages.pipeline,
        reader=EnvironReader(judging.reader, own_cookies, underscores_dropped=underscores_dropped),
        own_pages=generation.pages.endpoints,
        own_cookies=own_cookies,
        live=judging.live,
        metrics=generation.metrics,
        ask_for_token=generation.records.person_tokens.issue,
        start=judging.allow_files.start,
        close=generation.close,
        answer_ids=settings.log.answer_request_id,
    )
