"""One gateway built from one set of settings, and its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from gateway.core.cookies import OwnCookies
from gateway.errors import StoreUnavailable
from gateway.flows.live import Live, Watch
from gateway.flows.outbox import Outbox
from gateway.flows.oversight import Oversight
from gateway.flows.ports import Store
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.provider import TikTok
from gateway.runtime.allow_file import AllowFileWatch
from gateway.runtime.store_watch import StoreWatch
from gateway.server.short.entry import ShortWay
from gateway.settings import Settings
from gateway.store.redis import RedisStore
from gateway.telemetry.metrics import Metrics
from gateway.upstream import ReverseProxy
from gateway.web.admin.api import AdminApi
from gateway.web.asgi_head import HeadReader
from gateway.web.forward_auth.listener import CheckListener
from gateway.web.middleware import GatewayMiddleware
from gateway.web.own.endpoints import Endpoints
from gateway.web.pipeline import Pipeline


@dataclasses.dataclass(frozen=True, slots=True)
class Generation:
    """One gateway built from one set of settings: its ASGI app, and what must be closed at its end."""

    settings: Settings
    app: GatewayMiddleware
    pipeline: Pipeline
    reader: HeadReader
    own_pages: Endpoints
    checks: CheckListener
    own_cookies: OwnCookies
    store: RedisStore
    provider: TikTok
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
    store_watch: StoreWatch
    upstreams: Mapping[str, ReverseProxy]
    short_way: ShortWay | None

    def start(self) -> None:
        """Begin what runs beside requests, within the event loop; without it, most begins with the first of them."""
        self.allow_files.start()
        self.outbox.start()
        self.store_watch.start()

    async def close(self) -> None:
        """Finish the refreshes under way, then close every connection."""
        await self.store_watch.close()
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

    def notes(self) -> dict[str, str]:
        """Return what does not make it unready, and is worth a word all the same."""
        followed = "followed" if self._store.following else "not followed: every request asks Redis (see the log)"
        return {"changes in redis": followed}
