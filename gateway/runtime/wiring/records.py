"""Where it is kept who is signed in, and TikTok, who says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gateway.core.keyring import Keyring, name_instance, read_secret_key
from gateway.core.session import SessionLimits
from gateway.flows.audit import Announce, Audit
from gateway.flows.authentication import Authentication
from gateway.flows.device_binding import DeviceBinding
from gateway.flows.device_proofs import DeviceProofs, MissingProofs
from gateway.flows.person_tokens import PersonTokens
from gateway.flows.ports import Store
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.runtime.counted import CountedRefreshes
from gateway.runtime.late_provider import LateTikTok
from gateway.runtime.life import Life
from gateway.runtime.store_watch import StoreWatch
from gateway.runtime.values import Cookies
from gateway.settings import Settings
from gateway.store import open_store
from gateway.telemetry.audit import open_audit
from gateway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from gateway.provider import TikTok

Clock = Callable[[], datetime]


@dataclasses.dataclass(frozen=True, slots=True)
class RecordKeeping:
    """The store and TikTok, and the flows that nearly all others lean on."""

    store: Store
    provider: LateTikTok
    keyring: Keyring
    limits: SessionLimits
    sessions: Sessions
    refresh: Refresh
    authentication: Authentication
    devices: DeviceProofs | None
    device_binding: DeviceBinding
    person_tokens: PersonTokens
    announce: Announce


def build_records(
    settings: Settings, cookies: Cookies, life: Life, metrics: Metrics, *, clock: Clock, before: Store | None = None
) -> RecordKeeping:
    """Open the store that the settings name (it connects when it is used), and TikTok.

    `before` is the store of the generation that is succeeded.

    Raises `SettingsError` when the embedded store is asked for but not installed.
    """
    store = life.closing(open_store(settings.redis, gateway=settings.public_url, before=before))
    life.running(StoreWatch(store))
    provider = life.closing(LateTikTok(lambda: _build_provider(settings, clock)))
    keys = [read_secret_key(key.get_secret_value()) for key in settings.secret_keys]
    keyring = Keyring(keys, name_instance(settings.tiktok.client_key, settings.instance_name))
    limits = SessionLimits(idle=settings.session.idle_timeout, absolute=settings.session.absolute_timeout)
    sessions = life.closing(
        Sessions(
            store,
            keyring,
            limits,
            client_key=settings.tiktok.client_key,
            keep_grants=settings.tokens.keep_grants,
            compact_after=settings.redis.upgrade_window if not settings.redis.embedded else timedelta(),
        )
    )
    name_subject = str if settings.audit.subject == "open_id" else keyring.name
    announce = Audit(open_audit(settings.audit.to), name_subject, metrics.count_event)
    devices = _build_devices(cookies, keyring, announce, metrics, clock) if settings.binds_devices else None
    refresh = life.closing(
        Refresh(store, sessions, CountedRefreshes(provider, metrics.count_refresh), clock=clock, announce=announce)
    )
    return RecordKeeping(
        store=store,
        provider=provider,
        keyring=keyring,
        limits=limits,
        sessions=sessions,
        refresh=refresh,
        authentication=Authentication(
            sessions, refresh, cookie_name=cookies.session.name, clock=clock, devices=devices
        ),
        devices=devices,
        device_binding=DeviceBinding(
            sessions,
            keyring,
            lasts=settings.session.device_proof_lifetime,
            clock=clock,
            announce=announce,
            count=metrics.count_device,
        ),
        person_tokens=PersonTokens(sessions, refresh, clock=clock),
        announce=announce,
    )


def _build_devices(
    cookies: Cookies, keyring: Keyring, announce: Announce, metrics: Metrics, clock: Clock
) -> DeviceProofs:
    """Return what asks bound sessions for proofs."""
    missing = MissingProofs(announce, metrics.count_device, clock=clock)
    return DeviceProofs(keyring, cookies.device.name, clock=clock, missed=missing.note)


def _build_provider(settings: Settings, clock: Clock) -> TikTok:
    from gateway.provider import TikTok, TikTokAddresses  # see `LateTikTok`

    tiktok = settings.tiktok
    return TikTok(
        TikTokAddresses(
            client_key=tiktok.client_key,
            client_secret=tiktok.client_secret.get_secret_value(),
            redirect_uri=settings.redirect_uri,
            token_url=tiktok.token_url,
            revoke_url=tiktok.revoke_url,
            user_info_url=tiktok.user_info_url,
            get_qrcode_url=tiktok.get_qrcode_url,
            check_qrcode_url=tiktok.check_qrcode_url,
        ),
        clock=clock,
    )
