"""From settings to a whole gateway, ready to run: the only place where the layers meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from gateway.core.assertion import AssertionKeys, Assertions
from gateway.core.cookies import CookieSpec
from gateway.core.forwarded import TrustedProxies
from gateway.core.keyring import Keyring, read_secret_key
from gateway.core.request import Limits
from gateway.core.session import SessionLimits
from gateway.errors import SettingsError, StoreUnavailable
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.authentication import Authentication
from gateway.flows.disconnect import REVOCATION, Disconnect, Revocation
from gateway.flows.gate import Gate
from gateway.flows.kept_posts import KeptPosts
from gateway.flows.live import Live, Watch
from gateway.flows.memory import Memory
from gateway.flows.outbox import Outbox, Perform
from gateway.flows.oversight import Oversight
from gateway.flows.ports import Provider, Store
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.flows.sign_in import AuthorizationPlan, SignIn
from gateway.flows.token_desk import TokenClient, TokenDesk
from gateway.flows.webhook import Webhook
from gateway.provider import Endpoints as TikTokEndpoints
from gateway.provider import TikTok
from gateway.runtime.allow_file import AllowFileWatch
from gateway.runtime.boards import Boards
from gateway.runtime.routes import compile_routes
from gateway.runtime.upstreams import build_upstream, find_own_host
from gateway.server.fast_path import FastPath
from gateway.server.lane import Lane, Shared
from gateway.settings import Settings
from gateway.store import open_store
from gateway.telemetry.logs import request_lines
from gateway.telemetry.metrics import Metrics
from gateway.upstream import ReverseProxy
from gateway.web.account_pages import AccountPages
from gateway.web.admin_api import AdminApi
from gateway.web.answers import Answers
from gateway.web.doors import Door, Doors, InProcessDoor
from gateway.web.endpoints import Endpoints
from gateway.web.event_delivery import EVENT, EventDelivery, EventQueue
from gateway.web.forward_auth import ForwardAuth
from gateway.web.kept_post_pages import KeptPostPages
from gateway.web.middleware import GatewayMiddleware
from gateway.web.pages import Pages
from gateway.web.pipeline import Pipeline
from gateway.web.proxy_door import ReverseProxyDoor
from gateway.web.scope import HeadReader
from gateway.web.sign_in_pages import SignInPages
from gateway.web.webhook_page import WebhookPage

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """One gateway built from one set of settings: its ASGI app, and what must be closed at its end."""

    settings: Settings
    app: GatewayMiddleware
    pipeline: Pipeline
    reader: HeadReader
    own_pages: Endpoints
    own_cookies: frozenset[bytes]
    store: Store
    provider: Provider
    sessions: Sessions
    refresh: Refresh
    live: Live
    watch: Watch
    allow_files: AllowFileWatch
    outbox: Outbox
    oversight: Oversight
    admin_api: AdminApi | None
    metrics: Metrics
    readiness: Readiness
    upstreams: Mapping[str, ReverseProxy]
    fast_path: FastPath | None

    async def close(self) -> None:
        """Finish the refreshes under way, then close every connection."""
        await self.allow_files.close()
        await self.watch.close()
        await self.outbox.close()
        await self.refresh.close()
        await self.provider.close()
        await self.store.close()
        for upstream in self.upstreams.values():
            await upstream.close()


class Readiness:
    """Whether requests can be answered now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.draining = False

    async def __call__(self) -> str | None:
        """Return why not, or None when ready."""
        if self.draining:
            return "the gateway is shutting down"
        try:
            await self._store.ping()
        except StoreUnavailable as error:
            return str(error)
        return None


def build_reader(settings: Settings) -> HeadReader:
    """Make what reads request heads, by the operator's limits and trusted proxies."""
    limits = settings.limits
    return HeadReader(
        TrustedProxies(settings.trusted_proxies),
        Limits(
            header_bytes=limits.header_bytes,
            header_count=limits.header_count,
            target_bytes=limits.target_bytes,
        ),
    )


def build_cookies(settings: Settings) -> tuple[CookieSpec, CookieSpec]:
    """Return the session cookie, and the cookie that binds sign-in attempts to a browser."""
    name, secure = settings.cookie_name, settings.secure
    bare = name.removeprefix("__Host-").removeprefix("__Secure-")
    session = CookieSpec(name=name, secure=secure, domain=settings.session.cookie_domain)
    # never shared between hosts, whatever the session cookie is: only this host completes sign-ins
    binding = CookieSpec(name=f"{'__Host-' if secure else ''}{bare}-sign-in", secure=secure, domain=None)
    return session, binding


def build_store(settings: Settings) -> Store:
    """Return the store. Raises `SettingsError` when the embedded store is asked for but not installed."""
    return open_store(settings.redis)


def build(
    settings: Settings, *, app: Any | None = None, clock: Clock = _now, boards: Boards | None = None, worker: int = 0
) -> Generation:
    """Wire a gateway before `app`, or before the upstream in the settings when there is no app.

    `worker` is this process's row on the boards. Opens no connection. Raises `SettingsError` when something that the
    settings name cannot be used.
    """
    boards = boards or Boards(1)
    store = build_store(settings)
    provider = _build_provider(settings, clock)
    keyring = Keyring([read_secret_key(key.get_secret_value()) for key in settings.secret_keys])
    limits = SessionLimits(idle=settings.session.idle_timeout, absolute=settings.session.absolute_timeout)
    session_cookie, binding_cookie = build_cookies(settings)
    own_cookies = frozenset({session_cookie.name.encode(), binding_cookie.name.encode()})
    metrics, live, readiness = Metrics(boards.metrics, worker), Live(), Readiness(store)

    sessions = Sessions(
        store, keyring, limits, client_key=settings.tiktok.client_key, keep_grants=settings.tokens.keep_grants
    )
    refresh = Refresh(store, sessions, provider, clock=clock)
    authentication = Authentication(sessions, refresh, cookie_name=session_cookie.name, clock=clock)
    compiled, assertions = compile_routes(settings), build_assertions(settings)
    gate = Gate(
        compiled.policy,
        compiled.headers,
        authentication,
        sessions,
        Memory(store, settings.session.cache_for),
        clock=clock,
        headers_of_routes=compiled.headers_of_routes,
        assertions=assertions,
    )
    watch = Watch(live, gate, clock=clock)
    allow_files = AllowFileWatch(compiled.allow_files, lambda: _judge_anew(gate, watch))
    store.follow(watch.note)
    store.follow(lambda _: allow_files.start())
    store.follow(lambda _: outbox.start())  # with the first read: there may be jobs of before a restart
    attempt_limit = AttemptLimit(
        store,
        of_network=settings.limits.sign_in_attempts,
        of_all=settings.limits.sign_in_attempts_of_all,
        clock=clock,
    )
    find_door = lambda: everything["default"]  # noqa: E731 -- the doors are made below
    outbox = Outbox(store, keyring, _build_performers(settings, provider, find_door, gate, clock), clock=clock)
    disconnect = Disconnect(sessions, outbox, clock=clock)
    sign_in = SignIn(store, sessions, provider, keyring, _build_plan(settings), attempt_limit, disconnect, clock=clock)
    kept_posts = KeptPosts(store, keyring, attempt_limit.count)

    oversight = Oversight(store, sessions, disconnect, limits, client_key=settings.tiktok.client_key, clock=clock)

    reader = build_reader(settings)
    answers = Answers(
        public_url=settings.public_url,
        prefix=settings.prefix,
        allowed_hosts=frozenset(settings.return_to.allowed_hosts),
        session_cookie=session_cookie,
        binding_cookie=binding_cookie,
        sign_in=sign_in,
        kept_posts=kept_posts,
        pages=Pages(prefix=settings.prefix, site=urlsplit(settings.public_url).netloc),
        ask_first=settings.sign_in == "page",
        cors_origins=frozenset(settings.cors.allowed_origins),
    )
    forward_auth = ForwardAuth(gate=gate, authentication=authentication, reader=reader, answers=answers)
    own_pages = Endpoints(
        prefix=settings.prefix,
        sign_in=SignInPages(
            answers=answers,
            authentication=authentication,
            sign_in=sign_in,
            forward_auth=forward_auth,
            session_limits=limits,
            metrics=metrics,
            usual_scopes=tuple(settings.tiktok.scopes),
            scopes=compiled.scopes,
        ),
        account=AccountPages(
            answers=answers,
            authentication=authentication,
            sessions=sessions,
            refresh=refresh,
            disconnect=disconnect,
            session_limits=limits,
            clock=clock,
        ),
        kept_posts=KeptPostPages(answers=answers, authentication=authentication, kept_posts=kept_posts),
        forward_auth=forward_auth,
        keys=assertions.keys.public_set() if assertions is not None else None,
        webhook=WebhookPage(_build_webhook(settings, store, sessions, outbox, clock)),
        answers=answers,
        readiness=readiness,
    )
    proxies = {
        name: ReverseProxy(build_upstream(name, each, workers=boards.workers)) for name, each in settings.apps.items()
    }
    doors = _build_doors(settings, proxies, own_cookies)
    pipeline = Pipeline(gate, answers)
    everything: dict[str, Door] = {**doors}
    if app is not None:
        everything["default"] = InProcessDoor(app, own_cookies=own_cookies)
    if settings.tiktok.webhook.forward_to is not None and "default" not in everything:
        raise SettingsError("tiktok.webhook.forward_to: there is no app to pass events on to: set `upstream`")
    middleware = GatewayMiddleware(
        Doors(everything), pipeline=pipeline, reader=reader, own_pages=own_pages, live=live, metrics=metrics
    )
    shared = Shared(
        pipeline=pipeline,
        lanes={name: Lane(door, proxies[name].pool) for name, door in doors.items()},
        metrics=metrics,
        lines=request_lines(),
        live=live,
        own_cookies=own_cookies,
        websocket_idle=settings.limits.websocket_idle.total_seconds(),
    )
    return Generation(
        settings=settings,
        app=middleware,
        pipeline=pipeline,
        reader=reader,
        own_pages=own_pages,
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
        admin_api=_build_admin_api(settings, oversight, _build_desk(settings, store, sessions, refresh, clock)),
        metrics=metrics,
        readiness=readiness,
        upstreams=proxies,
        fast_path=FastPath(reader, shared) if app is None and doors else None,
    )


def _build_performers(
    settings: Settings, provider: Provider, find_door: Callable[[], Door], gate: Gate, clock: Clock
) -> dict[str, Perform]:
    performers: dict[str, Perform] = {REVOCATION: Revocation(provider, clock=clock)}
    path, public = settings.tiktok.webhook.forward_to, urlsplit(settings.public_url)
    if path is not None:
        reserved = gate.identity_headers.reserved
        performers[EVENT] = EventDelivery(
            find_door, path=path, host=public.netloc, scheme=public.scheme, reserved=reserved
        )
    return performers


def _build_webhook(
    settings: Settings, store: Store, sessions: Sessions, outbox: Outbox, clock: Clock
) -> Webhook | None:
    webhook = settings.tiktok.webhook
    if not webhook.enabled:
        return None
    return Webhook(
        store,
        sessions,
        client_key=settings.tiktok.client_key,
        client_secret=settings.tiktok.client_secret.get_secret_value(),
        tolerance=webhook.tolerance,
        pass_on=EventQueue(outbox) if webhook.forward_to is not None else None,
        clock=clock,
    )


def _build_desk(settings: Settings, store: Store, sessions: Sessions, refresh: Refresh, clock: Clock) -> TokenDesk:
    clients = [
        TokenClient(each.name, each.key.get_secret_value(), frozenset(each.scopes), each.per_minute)
        for each in settings.tokens.clients
    ]
    return TokenDesk(store, sessions, refresh, clients, client_key=settings.tiktok.client_key, clock=clock)


def _build_admin_api(settings: Settings, oversight: Oversight, desk: TokenDesk) -> AdminApi | None:
    keys = [key.get_secret_value() for key in settings.admin.keys]
    return AdminApi(oversight, desk, keys) if keys or settings.tokens.clients else None


def build_assertions(settings: Settings) -> Assertions | None:
    """Return what makes assertions, if the app is to have them."""
    chosen = settings.identity.assertion
    if chosen is None:
        return None
    named = {name: each.audience or name for name, each in settings.upstreams.items()}
    default = settings.upstream.audience if settings.upstream is not None else None
    return Assertions(
        AssertionKeys([read_secret_key(key.get_secret_value()) for key in settings.secret_keys]),
        header=chosen.header,
        issuer=settings.public_url,
        lifetime=chosen.lifetime,
        audiences={"default": default or chosen.audience or settings.public_url, **named},
    )


def _judge_anew(gate: Gate, watch: Watch) -> None:
    """Judge everybody again, and what is under way: an allow-list has changed."""
    gate.judge_anew()
    watch.note(None)


def _build_doors(
    settings: Settings, proxies: Mapping[str, ReverseProxy], own_cookies: frozenset[bytes]
) -> dict[str, ReverseProxyDoor]:
    return {
        name: ReverseProxyDoor(
            proxies[name],
            own_host=find_own_host(each),
            pass_host=each.pass_host,
            strip_prefix=each.strip_prefix,
            websockets=each.websockets,
            own_cookies=own_cookies,
        )
        for name, each in settings.apps.items()
    }


def _build_provider(settings: Settings, clock: Clock) -> Provider:
    tiktok = settings.tiktok
    return TikTok(
        TikTokEndpoints(
            client_key=tiktok.client_key,
            client_secret=tiktok.client_secret.get_secret_value(),
            redirect_uri=settings.redirect_uri,
            token_url=tiktok.token_url,
            revoke_url=tiktok.revoke_url,
            user_info_url=tiktok.user_info_url,
        ),
        clock=clock,
    )


def _build_plan(settings: Settings) -> AuthorizationPlan:
    tiktok = settings.tiktok
    return AuthorizationPlan(
        authorize_url=tiktok.authorize_url,
        client_key=tiktok.client_key,
        redirect_uri=settings.redirect_uri,
        scopes=tuple(tiktok.scopes),
        pkce=tiktok.pkce,
        always_ask=tiktok.always_ask,
    )
