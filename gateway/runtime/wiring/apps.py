"""What is behind the gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from gateway.runtime.life import Life
from gateway.runtime.upstreams import build_translation, build_upstream, find_own_host
from gateway.runtime.values import Cookies, build_site
from gateway.runtime.wiring.records import RecordKeeping
from gateway.settings import Settings, UpstreamSettings
from gateway.upstream import ReverseProxy
from gateway.web.behind.apps import App, InProcessApp, NoApp
from gateway.web.behind.proxied_app import ProxiedApp


@dataclasses.dataclass(frozen=True, slots=True)
class Behind:
    """What requests are let through to, by the name of the upstream."""

    proxies: Mapping[str, ReverseProxy]
    proxied: Mapping[str, ProxiedApp]
    all: Mapping[str, App]
    """The proxied ones, but that `default` is the app in this process, where there is one."""
    in_process: bool
    """Whether there is one."""

    @property
    def default(self) -> App:
        """Where requests go unless a route says otherwise; maybe nowhere."""
        return self.all.get("default", NoApp())


def build_apps(
    settings: Settings, cookies: Cookies, records: RecordKeeping, life: Life, *, app: Any | None, workers: int
) -> Behind:
    """Make the ways to the upstreams, and to `app`, if there is one.

    `workers` share an upstream's connections. Raises `SettingsError` when its certificates cannot be used.
    """
    proxies = {
        name: life.closing(ReverseProxy(build_upstream(name, each, workers=workers)))
        for name, each in settings.apps.items()
    }
    proxied = {name: _build_proxied(settings, each, proxies[name], cookies) for name, each in settings.apps.items()}
    own = {} if app is None else {"default": _build_in_process(settings, cookies, records, app)}
    return Behind(proxies=proxies, proxied=proxied, all={**proxied, **own}, in_process=app is not None)


def _build_in_process(settings: Settings, cookies: Cookies, records: RecordKeeping, app: Any) -> App:
    return InProcessApp(
        app, own_cookies=cookies.own, site=build_site(settings), ask_for_token=records.person_tokens.issue
    )


def _build_proxied(settings: Settings, upstream: UpstreamSettings, proxy: ReverseProxy, cookies: Cookies) -> ProxiedApp:
    return ProxiedApp(
        proxy,
        own_host=find_own_host(upstream),
        pass_host=upstream.pass_host,
        strip_prefix=upstream.strip_prefix,
        websockets=upstream.websockets,
        own_cookies=cookies.own,
        translation=build_translation(upstream, pages=settings.prefix),
    )
