"""The gateway for ASGI: around your own app, or as an app that stands before an upstream.

from gateway.asgi import protect
app = protect(app)                    # settings from gateway.yaml or the environment
app = protect(app, "gateway.yaml")
app = protect(app, public_url="https://app.example.com", redis="redis://127.0.0.1:6379/0", …)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from gateway.errors import SettingsError
from gateway.flows.sign_in_hook import NewSignIn, SignInHook
from gateway.runtime.build import build
from gateway.runtime.lifespan import Lifespan
from gateway.runtime.plain_end import NeverStarts, is_made_by_framework, told_plainly
from gateway.runtime.protecting import build_protecting, refuse_idle
from gateway.settings import Settings, SettingsKeywords, find, load
from gateway.web.admin.scraping import MetricsPage
from gateway.web.behind.current import current_user, find_user
from gateway.web.behind.errors import respond_to as answer_error
from gateway.web.behind.links import account_url, sign_in_url, sign_out_url
from gateway.web.behind.user import User

__all__ = [
    "NewSignIn",
    "SignInHook",
    "User",
    "account_url",
    "answer_error",
    "create_app",
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
    on_sign_in: SignInHook | None = None,
    **keywords: Unpack[SettingsKeywords],
) -> Any:
    """Put the gateway around an ASGI app; returns an ASGI app, whose attribute `app` is the one inside.

    `keywords` are settings by the names that they have in the file; they win over the file and the environment.
    `on_sign_in` is called after every sign-in, with a `NewSignIn`.

    The app gets the same headers as behind the proxy, and besides `scope["user"]` and `scope["auth"]`.
    Raises `SettingsError`, with every problem in its message; as Starlette's and FastAPI's middleware, at the start.
    """
    try:
        refuse_idle(keywords)
        chosen = read_settings(settings, needs_upstream=False, keywords=keywords)
        return Lifespan(build_protecting(chosen, app, on_sign_in), app)
    except SettingsError as error:
        if is_made_by_framework():
            return NeverStarts(error, app)
        raise told_plainly(error) from None


def create_app(settings: Settings | Path | str | None = None, **keywords: Unpack[SettingsKeywords]) -> Any:
    """Return the gateway as an ASGI app before the upstream in its settings, to run under a server of your own."""
    try:
        return Lifespan(build(read_settings(settings, needs_upstream=True, keywords=keywords)), None)
    except SettingsError as error:
        raise told_plainly(error) from None


def metrics_app(protected: Any = None, *, key: str | None) -> Any:
    """Return an ASGI app with the metrics of the gateway, to mount where a scraper comes.

    Within the app that the gateway is around, it finds the gateway by itself; elsewhere say which: `protected` is what
    `protect` has returned. `key` is asked for as `Authorization: Bearer KEY`; None shows them to whoever comes. They
    are this process's alone.
    """
    metrics = protected.generation.metrics if protected is not None else None
    return MetricsPage(metrics, key)


def read_settings(
    source: Settings | Path | str | None, *, needs_upstream: bool, keywords: SettingsKeywords
) -> Settings:
    """Return the settings given, or read them: the file named, or found; over it the environment and the keywords."""
    if isinstance(source, Settings):
        if keywords:
            raise SettingsError(f"protect: `settings` are whole already; take {', '.join(keywords)} into them")
        return source
    path = find(os.environ, Path(source) if source is not None else None)
    given: Mapping[str, Any] = {**keywords}
    return load(path, os.environ, needs_upstream=needs_upstream, keywords=given)
