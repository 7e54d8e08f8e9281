"""The ways in: for browsers, for fronts, for operators."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway import __version__
from gateway.core.cookies import OwnCookies
from gateway.errors import SettingsError
from gateway.runtime.life import Life, Service
from gateway.runtime.readiness import Readiness
from gateway.runtime.values import Cookies
from gateway.runtime.wiring.apps import Behind
from gateway.runtime.wiring.flows import Flows
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.pages import OwnPages
from gateway.runtime.wiring.records import Clock
from gateway.server.short.checks import Checks
from gateway.server.short.entry import ShortWay
from gateway.server.short.lane import Lane, Means
from gateway.server.short.sockets_only import SocketsOnly
from gateway.settings import Settings, describe
from gateway.telemetry.logs import request_lines
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.api import AdminApi
from gateway.web.admin.door import Door
from gateway.web.admin.listener import Admin
from gateway.web.admin.pages import AdminPages
from gateway.web.admin.reload import ReloadApi, Reloads
from gateway.web.admin.state import Workings
from gateway.web.admin.views import Views
from gateway.web.asgi_head import AsgiApp
from gateway.web.behind.apps import Apps
from gateway.web.forward_auth.listener import CheckListener
from gateway.web.middleware import GatewayMiddleware


class GrpcDoor(Service, Protocol):
    """Answers checks by gRPC."""

    @property
    def in_use(self) -> bool:
        """Whether checks are under way."""

    def take_over(self, before: Any) -> None:
        """Answer where another of its kind did before."""


@dataclasses.dataclass(frozen=True, slots=True)
class Doors:
    """An ASGI app for each listener; and the short way, where there are only upstreams behind."""

    app: AsgiApp
    short_way: ShortWay | None
    checks: AsgiApp
    answered_checks: Checks | None
    """Those that are answered without ASGI on their own listener."""
    proven_checks: Checks | None
    """The same on the public listener, where a secret proves them."""
    admin: Admin
    own_cookies: OwnCookies
    grpc_checks: GrpcDoor | None


def build_doors(
    settings: Settings,
    cookies: Cookies,
    behind: Behind,
    judging: Judging,
    flows: Flows,
    pages: OwnPages,
    readiness: Readiness,
    metrics: Metrics,
    life: Life,
    *,
    clock: Clock,
    workers: int,
    started_at: datetime,
    reloads: Reloads | None = None,
) -> Doors:
    """Make the ways in. Raises `SettingsError` for one that needs a package which is not there."""
    means = _build_means(settings, cookies, behind, judging, pages, metrics)
    return Doors(
        app=GatewayMiddleware(
            Apps(behind.all),
            pipeline=pages.pipeline,
            reader=judging.reader,
            own_pages=pages.endpoints,
            live=judging.live,
            metrics=metrics,
            answer_ids=settings.log.answer_request_id,
            in_process=behind.in_process,
        ),
        short_way=_build_short_way(settings, behind, judging, means),
        answered_checks=_build_checks(settings, judging, pages, means, by_proof=False),
        proven_checks=_build_checks(settings, judging, pages, means, by_proof=True),
        checks=CheckListener(
            prefix=settings.prefix,
            forward_auth=pages.forward_auth,
            pipeline=pages.pipeline,
            reader=judging.reader,
            readiness=readiness,
            metrics=metrics,
        ),
        admin=Admin(
            metrics,
            readiness,
            _build_admin_api(settings, flows),
            settings.admin.all_hosts,
            reload=_build_reload_api(settings, flows, reloads),
            pages=_build_admin_pages(
                settings, judging, flows, readiness, metrics, clock=clock, workers=workers, started_at=started_at
            ),
        ),
        own_cookies=cookies.own,
        grpc_checks=_build_grpc_checks(settings, judging, pages, metrics, life, shared=workers > 1),
    )


def _build_grpc_checks(
    settings: Settings, judging: Judging, pages: OwnPages, metrics: Metrics, life: Life, *, shared: bool
) -> GrpcDoor | None:
    """Return what answers Envoy by gRPC, where the settings ask for it: gRPC is large, and not for everybody."""
    if settings.forward_auth.grpc is None:
        return None
    try:
        from gateway.web.forward_auth.grpc_checks import GrpcChecks
    except ImportError:
        raise SettingsError(
            "forward_auth.grpc needs the extra `grpc`: install it too (in a clone: pip install '.[grpc]'), "
            "or build the image with --build-arg EXTRA=grpc"
        ) from None
    return life.running(
        GrpcChecks(
            str(settings.forward_auth.grpc),
            prefix=settings.prefix,
            forward_auth=pages.forward_auth,
            pipeline=pages.pipeline,
            reader=judging.reader,
            metrics=metrics,
            shared=shared,
        )
    )


def _build_means(
    settings: Settings, cookies: Cookies, behind: Behind, judging: Judging, pages: OwnPages, metrics: Metrics
) -> Means:
    return Means(
        pipeline=pages.pipeline,
        lanes={name: Lane(app, behind.proxies[name].pool) for name, app in behind.proxied.items()},
        metrics=metrics,
        lines=request_lines(settings.log.format, settings.log.level),
        live=judging.live,
        own_cookies=cookies.own,
        websocket_idle=settings.limits.websocket_idle.total_seconds(),
        answer_ids=settings.log.answer_request_id,
    )


def _build_short_way(settings: Settings, behind: Behind, judging: Judging, means: Means) -> ShortWay | None:
    """Return the short way; None where it would lead past an app in this process.

    Where nothing is behind, it leaves all to the long way, until settings come that have an upstream.
    """
    if behind.in_process:
        return None
    kind = ShortWay if settings.tracing == "off" else SocketsOnly
    return kind(judging.reader, means)


def _build_checks(
    settings: Settings, judging: Judging, pages: OwnPages, means: Means, *, by_proof: bool
) -> Checks | None:
    """Return what answers checks without ASGI; None where they are traced, or cannot be proven."""
    if settings.tracing != "off" or (by_proof and settings.forward_auth.secret is None):
        return None
    return Checks(judging.reader, means, pages.forward_auth, prefix=settings.prefix, by_proof=by_proof)


def _build_admin_api(settings: Settings, flows: Flows) -> AdminApi | None:
    """Return the operator's API; None while nobody has a key."""
    if not settings.admin.keys and not settings.tokens.clients:
        return None
    return AdminApi(flows.oversight, flows.listing, flows.operators, flows.desk, flows.announce)


def _build_reload_api(settings: Settings, flows: Flows, reloads: Reloads | None) -> ReloadApi:
    listen = settings.admin.listen
    over_unix_socket = listen is not None and bool(listen.unix_path)
    return ReloadApi(reloads, flows.operators.keys, announce=flows.announce, over_unix_socket=over_unix_socket)


def _build_admin_pages(
    settings: Settings,
    judging: Judging,
    flows: Flows,
    readiness: Readiness,
    metrics: Metrics,
    *,
    clock: Clock,
    workers: int,
    started_at: datetime,
) -> AdminPages:
    """Return the operator's pages; while nobody has a key, they say how to set one."""
    workings = Workings(
        started_at=started_at,
        in_force_since=clock(),
        workers=workers,
        readiness=readiness,
        metrics=metrics,
        live=judging.live,
        outbox=flows.outbox,
        webhooks=flows.webhook_log,
        settings=describe(settings) if settings.admin.keys else (),
        webhooks_taken=flows.webhook is not None,
    )
    views = Views(urlsplit(settings.public_url).netloc, __version__, clock)
    return AdminPages(Door(flows.operators, flows.announce), views, flows.oversight, flows.listing, workings)
