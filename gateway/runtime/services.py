"""From settings to what the flows lean on, and to flows that not every gateway has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from gateway.core.keyring import Keyring, name_instance, read_secret_key
from gateway.flows.disconnect import REVOCATION, Revocation
from gateway.flows.gate import Gate
from gateway.flows.outbox import Outbox, Perform
from gateway.flows.ports import Provider, Store
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions
from gateway.flows.token_desk import TokenClient, TokenDesk
from gateway.flows.webhook import Webhook
from gateway.provider import TikTok, TikTokAddresses
from gateway.settings import Settings
from gateway.store import open_store
from gateway.store.redis import RedisStore
from gateway.web.apps import App
from gateway.web.event_delivery import EVENT, EventDelivery, EventQueue

Clock = Callable[[], datetime]


def build_keyring(settings: Settings) -> Keyring:
    """Return the keys, as this gateway's own."""
    keys = [read_secret_key(key.get_secret_value()) for key in settings.secret_keys]
    return Keyring(keys, name_instance(settings.tiktok.client_key, settings.instance_name))


def build_store(settings: Settings) -> RedisStore:
    """Return the store. Raises `SettingsError` when the embedded store is asked for but not installed."""
    return open_store(settings.redis, gateway=settings.public_url)


def build_provider(settings: Settings, clock: Clock) -> TikTok:
    """Return TikTok, as the settings name it."""
    tiktok = settings.tiktok
    return TikTok(
        TikTokAddresses(
            client_key=tiktok.client_key,
            client_secret=tiktok.client_secret.get_secret_value(),
            redirect_uri=settings.redirect_uri,
            token_url=tiktok.token_url,
            revoke_url=tiktok.revoke_url,
            user_info_url=tiktok.user_info_url,
        ),
        clock=clock,
    )


def build_performers(
    settings: Settings, provider: Provider, find_door: Callable[[], App], gate: Gate, clock: Clock
) -> dict[str, Perform]:
    """Return who does the jobs of the outbox, by their kind."""
    performers: dict[str, Perform] = {REVOCATION: Revocation(provider, clock=clock)}
    path, public = settings.tiktok.webhook.forward_to, urlsplit(settings.public_url)
    if path is not None:
        reserved = gate.identity_headers.reserved
        performers[EVENT] = EventDelivery(
            find_door, path=path, host=public.netloc, scheme=public.scheme, reserved=reserved
        )
    return performers


def build_webhook(
    settings: Settings, store: Store, sessions: Sessions, outbox: Outbox, keyring: Keyring, clock: Clock
) -> Webhook | None:
    """Return the flow that takes webhooks, if they are on."""
    webhook = settings.tiktok.webhook
    if not webhook.enabled:
        return None
    return Webhook(
        store,
        sessions,
        client_key=settings.tiktok.client_key,
        client_secret=settings.tiktok.client_secret.get_secret_value(),
        tolerance=webhook.tolerance,
        instance=keyring.instance.hex(),
        pass_on=EventQueue(outbox, keyring.instance.hex()) if webhook.forward_to is not None else None,
        clock=clock,
    )


def build_desk(settings: Settings, store: Store, sessions: Sessions, refresh: Refresh, clock: Clock) -> TokenDesk:
    """Return the flow that gives out tokens, and to whom."""
    clients = [
        TokenClient(each.name, each.key.get_secret_value(), frozenset(each.scopes), each.per_minute)
        for each in settings.tokens.clients
    ]
    return TokenDesk(store, sessions, refresh, clients, client_key=settings.tiktok.client_key, clock=clock)
