"""From settings to a whole gateway, ready to run: the only place where the layers meet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from gateway.core.cookies import OwnCookies
from gateway.core.session import SessionLimits
from gateway.errors import SettingsError
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.authentication import Authentication
from gateway.flows.disconnect import Disconnect
from gateway.flows.gate import Gate
from gateway.flows.kept_posts import KeptPosts
from gateway.flows.live import Live, Watch
from gateway.flows.memory import Memory
from gateway.flows.outbox import Outbox
from gateway.flows.oversight import Oversight
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.flows.sign_in import SignIn
from gateway.flows.token_desk import TokenDesk
from gateway.runtime.allow_file import AllowFileWatch
from gateway.runtime.boards import Boards
from gateway.runtime.generation import Generation, Readiness
from gateway.runtime.routes import compile_routes
from gateway.runtime.services import (
    Clock,
    build_desk,
    build_keyring,
    build_performers,
    build_provider,
    build_store,
    build_webhook,
)
from gateway.runtime.store_watch import StoreWatch
from gateway.runtime.upstreams import build_translation, build_upstream, find_own_host
from gateway.runtime.values import build_allowed_hosts, build_assertions, build_cookies, build_plan, build_reader
from gateway.server.short.entry import ShortWay
from gateway.server.short.lane import Lane, Means
from gateway.settings import Settings
from gateway.telemetry.logs import request_lines
from gateway.telemetry.metrics import Metrics
from gateway.upstream import ReverseProxy
from gateway.web.admin.api import AdminApi
from gateway.web.answers.answers import Answers
from gateway.web.answers.pages import Pages
from gateway.web.apps import App, Apps, InProcessApp
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.forward_auth.listener import CheckListener
from gateway.web.middleware import GatewayMiddleware
from gateway.web.own.account import AccountPages
from gateway.web.own.endpoints import Endpoints
from gateway.web.own.for_programs import ForPrograms
from gateway.web.own.kept_post import KeptPostPages
from gateway.web.own.sign_in import SignInPages
from gateway.web.own.webhook import WebhookPage
from gateway.web.pipeline import Pipeline
from gateway.web.proxied_app import ProxiedApp


def _now() -> datetime:
    return datetime.now(UTC)


def build(
    settings: Settings, *, app: Any | None = None, clock: Clock = _now, boards: Boards | None = None, worker: int = 0
) -> Generation:
    """Wire a gateway before `app`, or before the upstream in the settings when there is no app.

    `worker` is this process's row on the boards. Opens no connection. Raises `SettingsError` when something that the
    settings name cannot be used.
    """
    boards = boards or Boards(1)
    store = build_store(settings)
    provider = build_provider(settings, clock)
    keyring = build_keyring(settings)
    limits = SessionLimits(idle=settings.session.idle_timeout, absolute=settings.session.absolute_timeout)
    session_cookie, binding_cookie = build_cookies(settings)
    own_cookies = OwnCookies(session=session_cookie, binding=binding_cookie)
    metrics, live, readiness = Metrics(boards.metrics, worker), Live(), Readiness(store)

    sessions = Sessions(
        store, keyring, limits, client_key=settings.tiktok.client_key, keep_grants=settings.tokens.keep_grants
    )
    refresh = Refresh(store, sessions, provider, clock=clock)
    authentication = Authentication(sessions, refresh, cookie_name=session_cookie.name, clock=clock)
    compiled, assertions = compile_routes(settings, in_process=app is not None), build_assertions(settings)
    gate = Gate(
        compiled.policy,
        compiled.headers,
        authentication,
        sessions,
        Memory(store, settings.session.cache_for),
        clock=clock,
        headers_of_routes=compiled.headers_of_routes,
        assertions=assertions,
        own_prefix=settings.prefix,
    )
    watch = Watch(live, gate, clock=clock)
    allow_files = AllowFileWatch(compiled.allow_files, lambda: _judge_anew(gate, watch))
    store.follow(watch.note)
    store.follow(lambda key: metrics.set_change_feed(store.following) if key is None else None)
    metrics.set_change_feed(store.following)  # the embedded store needs no feed
    store.follow(lambda _: allow_files.start())
    store.follow(lambda _: outbox.start())  # with the first read: there may be jobs of before a restart
    attempt_limit = AttemptLimit(
        store,
        of_network=settings.limits.sign_in_attempts,
        of_all=settings.limits.sign_in_attempts_of_all,
        clock=clock,
    )
    find_door = lambda: everything["default"]  # noqa: E731 -- the doors are made below
    outbox = Outbox(store, keyring, build_performers(settings, provider, find_door, gate, clock), clock=clock)
    disconnect = Disconnect(store, sessions, outbox, clock=clock)
    plan = build_plan(settings, compiled.scopes)
    sign_in = SignIn(store, sessions, provider, keyring, plan, attempt_limit, disconnect, refresh, clock=clock)
    kept_posts = KeptPosts(store, keyring, attempt_limit.count)

    oversight = Oversight(store, sessions, disconnect, limits, client_key=settings.tiktok.client_key, clock=clock)

    reader = build_reader(settings)
    answers = Answers(
        public_url=settings.public_url,
        prefix=settings.prefix,
        allowed_hosts=build_allowed_hosts(settings),
        session_cookie=session_cookie,
        binding_cookie=binding_cookie,
        sign_in=sign_in,
        kept_posts=kept_posts,
        pages=Pages(prefix=settings.prefix, site=urlsplit(settings.public_url).netloc),
        ask_first=settings.sign_in == "page",
        cors_origins=frozenset(settings.cors.allowed_origins),
    )
    pipeline = Pipeline(gate, answers)
    secret = settings.forward_auth.secret
    forward_auth = ForwardAuth(
        gate=gate,
        pipeline=pipeline,
        authentication=authentication,
        trusted=reader.trusted,
        encoded_slashes=reader.encoded_slashes,
        answers=answers,
        own_cookies=own_cookies,
        secret=secret.get_secret_value() if secret is not None else None,
    )
    own_pages = Endpoints(
        (
            SignInPages(
                answers=answers,
                authentication=authentication,
                sign_in=sign_in,
                forward_auth=forward_auth,
                session_limits=limits,
                metrics=metrics,
                usual_scopes=tuple(settings.tiktok.scopes),
                scopes=compiled.scopes,
            ),
            AccountPages(
                answers=answers,
                authentication=authentication,
                sessions=sessions,
                refresh=refresh,
                disconnect=disconnect,
                session_limits=limits,
                clock=clock,
            ),
            KeptPostPages(answers=answers, authentication=authentication, kept_posts=kept_posts),
            WebhookPage(build_webhook(settings, store, sessions, outbox, keyring, clock)),
            ForPrograms(
                pages=answers.pages,
                keys=assertions.keys.public_set() if assertions is not None else None,
                readiness=readiness,
            ),
        ),
        forward_auth=forward_auth,
        answers=answers,
    )
    proxies = {
        name: ReverseProxy(build_upstream(name, each, workers=boards.workers)) for name, each in settings.apps.items()
    }
    doors = _build_doors(settings, proxies, own_cookies)
    everything: dict[str, App] = {**doors}
    if app is not None:
        everything["default"] = InProcessApp(app, own_cookies=own_cookies)
    if settings.tiktok.webhook.forward_to is not None and "default" not in everything:
        raise SettingsError("tiktok.webhook.forward_to: there is no app to pass events on to: set `upstream`")
    middleware = GatewayMiddleware(
        Apps(everything),
        pipeline=pipeline,
        reader=reader,
        own_pages=own_pages,
        live=live,
        metrics=metrics,
        answer_ids=settings.log.answer_request_id,
    )
    means = Means(
        pipeline=pipeline,
        lanes={name: Lane(door, proxies[name].pool) for name, door in doors.items()},
        metrics=metrics,
        lines=request_lines(),
        live=live,
        own_cookies=own_cookies,
        websocket_idle=settings.limits.websocket_idle.total_seconds(),
        answer_ids=settings.log.answer_request_id,
    )
    return Generation(
        settings=settings,
        app=middleware,
        pipeline=pipeline,
        reader=reader,
        own_pages=own_pages,
        checks=CheckListener(
            prefix=settings.prefix,
            forward_auth=forward_auth,
            pipeline=pipeline,
            reader=reader,
            readiness=readiness,
            metrics=metrics,
        ),
        own_cookies=own_cookies,
        store=store,
        provider=provider,
        sessions=sessions,
        refresh=refresh,
        live=live,
        watch=watch,
        allow_files=allow_files,
        outbox=outbox,
        oversight=oversight,
        admin_api=_build_admin_api(settings, oversight, build_desk(settings, store, sessions, refresh, clock)),
        metrics=metrics,
        readiness=readiness,
        store_watch=StoreWatch(store),
        upstreams=proxies,
        short_way=ShortWay(reader, means) if app is None and doors else None,
    )


def _build_admin_api(settings: Settings, oversight: Oversight, desk: TokenDesk) -> AdminApi | None:
    keys = [key.get_secret_value() for key in settings.admin.keys]
    return AdminApi(oversight, desk, keys) if keys or settings.tokens.clients else None


def _judge_anew(gate: Gate, watch: Watch) -> None:
    """Judge everybody again, and what is under way: an allow-list has changed."""
    gate.judge_anew()
    watch.note(None)


def _build_doors(
    settings: Settings, proxies: Mapping[str, ReverseProxy], own_cookies: frozenset[bytes]
) -> dict[str, ProxiedApp]:
    return {
        name: ProxiedApp(
            proxies[name],
            own_host=find_own_host(each),
            pass_host=each.pass_host,
            strip_prefix=each.strip_prefix,
            websockets=each.websockets,
            own_cookies=own_cookies,
            translation=build_translation(each, pages=settings.prefix),
        )
        for name, each in settings.apps.items()
    }
