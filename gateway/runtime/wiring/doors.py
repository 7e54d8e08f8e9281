"""The ways in: for browsers, for fronts, for operators."""

from __future__ import annotations

import dataclasses

from gateway.core.cookies import OwnCookies
from gateway.errors import SettingsError
from gateway.runtime.life import Closable, Life
from gateway.runtime.readiness import Readiness
from gateway.runtime.values import Cookies
from gateway.runtime.wiring.apps import Behind
from gateway.runtime.wiring.flows import Flows
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.pages import OwnPages
from gateway.server.short.entry import ShortWay
from gateway.server.short.lane import Lane, Means
from gateway.settings import Settings
from gateway.telemetry.logs import request_lines
from gateway.telemetry.metrics import Metrics
from gateway.web.admin.api import AdminApi
from gateway.web.admin.listener import Admin
from gateway.web.behind.apps import Apps
from gateway.web.forward_auth.listener import CheckListener
from gateway.web.middleware import GatewayMiddleware


@dataclasses.dataclass(frozen=True, slots=True)
class Doors:
    """An ASGI app for each listener; and the short way, where there are only upstreams behind."""

    app: GatewayMiddleware
    short_way: ShortWay | None
    checks: CheckListener
    admin: Admin
    own_cookies: OwnCookies
    grpc_checks: Closable | None


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
    workers: int,
) -> Doors:
    """Make the ways in. Raises `SettingsError` for one that needs a package which is not there."""
    return Doors(
        app=GatewayMiddleware(
            Apps(behind.all),
            pipeline=pages.pipeline,
            reader=judging.reader,
            own_pages=pages.endpoints,
            live=judging.live,
            metrics=metrics,
            answer_ids=settings.log.answer_request_id,
        ),
        short_way=_build_short_way(settings, cookies, behind, judging, pages, metrics),
        checks=CheckListener(
            prefix=settings.prefix,
            forward_auth=pages.forward_auth,
            pipeline=pages.pipeline,
            reader=judging.reader,
            readiness=readiness,
            metrics=metrics,
        ),
        admin=Admin(metrics, readiness, _build_admin_api(settings, flows), settings.admin.all_hosts),
        own_cookies=cookies.own,
        grpc_checks=_build_grpc_checks(settings, judging, pages, metrics, life, shared=workers > 1),
    )


def _build_grpc_checks(
    settings: Settings, judging: Judging, pages: OwnPages, metrics: Metrics, life: Life, *, shared: bool
) -> Closable | None:
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


def _build_short_way(
    settings: Settings, cookies: Cookies, behind: Behind, judging: Judging, pages: OwnPages, metrics: Metrics
) -> ShortWay | None:
    """Return the short way; None where it would lead past an app in this process, or nowhere."""
    if behind.in_process or not behind.proxied:
        return None
    shared = Means(
        pipeline=pages.pipeline,
        lanes={name: Lane(app, behind.proxies[name].pool) for name, app in behind.proxied.items()},
        metrics=metrics,
        lines=request_lines(),
        live=judging.live,
        own_cookies=cookies.own,
        websocket_idle=settings.limits.websocket_idle.total_seconds(),
        answer_ids=settings.log.answer_request_id,
    )
    return ShortWay(judging.reader, shared)


def _build_admin_api(settings: Settings, flows: Flows) -> AdminApi | None:
    """Return the operator's API; None while nobody has a key."""
    keys = [key.get_secret_value() for key in settings.admin.keys]
    return AdminApi(flows.oversight, flows.desk, keys) if keys or settings.tokens.clients else None
