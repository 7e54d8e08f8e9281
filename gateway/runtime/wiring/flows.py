"""What people, TikTok and operators set going: sign-in and its end."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlsplit

from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.attempts import Attempts
from gateway.flows.audit import Announce
from gateway.flows.disconnect import REVOCATION, Disconnect, Revocation
from gateway.flows.kept_posts import KeptPosts
from gateway.flows.listing import Listing
from gateway.flows.operator_sign_in import OperatorKey, Operators
from gateway.flows.outbox import Outbox, Perform
from gateway.flows.oversight import Oversight
from gateway.flows.qr_sign_in import QrSignIn
from gateway.flows.sign_in import SignIn
from gateway.flows.sign_in_hook import SignInHook
from gateway.flows.sign_in_report import CountSignIn, SignInReport
from gateway.flows.sign_out import SignOut
from gateway.flows.token_desk import TokenClient, TokenDesk
from gateway.flows.webhook import Webhook
from gateway.flows.webhook_log import WebhookLog
from gateway.runtime.life import Life
from gateway.runtime.values import build_plan
from gateway.runtime.wiring.apps import Behind
from gateway.runtime.wiring.gate import Judging
from gateway.runtime.wiring.records import Clock, RecordKeeping
from gateway.settings import Settings
from gateway.web.behind.event_delivery import EVENT, EventDelivery, EventQueue


@dataclasses.dataclass(frozen=True, slots=True)
class Flows:
    """Flows that pages and operators call."""

    sign_in: SignIn
    qr_sign_in: QrSignIn | None
    kept_posts: KeptPosts
    sign_out: SignOut
    disconnect: Disconnect
    webhook: Webhook | None
    webhook_log: WebhookLog
    outbox: Outbox
    oversight: Oversight
    listing: Listing
    operators: Operators
    desk: TokenDesk
    announce: Announce


def build_flows(
    settings: Settings,
    behind: Behind,
    records: RecordKeeping,
    judging: Judging,
    life: Life,
    *,
    clock: Clock,
    count: CountSignIn,
    on_sign_in: SignInHook | None,
) -> Flows:
    """Make the flows; `count` counts sign-ins."""
    store, sessions, keyring, announce = records.store, records.sessions, records.keyring, records.announce
    performers = _build_performers(settings, behind, records, judging, clock)
    outbox = life.leading(Outbox(store, keyring, performers, clock=clock))
    store.follow(lambda _: outbox.start())  # with the first read: there may be jobs of before a restart
    disconnect = life.closing(Disconnect(store, sessions, outbox, clock=clock, announce=announce))
    limits = settings.limits
    limit = AttemptLimit(store, of_network=limits.sign_in_attempts, of_all=limits.sign_in_attempts_of_all, clock=clock)
    noted = WebhookLog(store, keyring, clock=clock)
    plan = build_plan(settings, judging.routes.scopes)
    report = SignInReport(announce, count)
    attempts = Attempts(store, keyring)
    sign_in = SignIn(
        attempts,
        sessions,
        records.provider,
        plan,
        limit,
        disconnect,
        records.refresh,
        clock=clock,
        report=report,
        on_sign_in=on_sign_in,
    )
    qr_sign_in = QrSignIn(
        store, attempts, sign_in, records.provider, keyring, limit, scopes=plan.scopes, clock=clock, report=report
    )
    return Flows(
        sign_in=sign_in,
        qr_sign_in=qr_sign_in if settings.qr_sign_in else None,
        sign_out=SignOut(sessions, clock=clock, announce=announce),
        kept_posts=KeptPosts(store, keyring, limit.count),
        disconnect=disconnect,
        webhook=_build_webhook(settings, records, outbox, noted, clock) if settings.tiktok.webhook.enabled else None,
        webhook_log=noted,
        outbox=outbox,
        oversight=Oversight(
            store,
            sessions,
            disconnect,
            records.limits,
            noted,
            client_key=settings.tiktok.client_key,
            clock=clock,
            announce=announce,
        ),
        listing=Listing(store, sessions, records.limits, clock=clock),
        operators=Operators(
            store, keyring, [OperatorKey.of(key, name) for name, key in settings.admin.named_keys], clock=clock
        ),
        desk=_build_desk(settings, records, clock),
        announce=announce,
    )


def _build_performers(
    settings: Settings, behind: Behind, records: RecordKeeping, judging: Judging, clock: Clock
) -> dict[str, Perform]:
    """Return who does the jobs of the outbox, by their kind."""
    performers: dict[str, Perform] = {REVOCATION: Revocation(records.provider, clock=clock)}
    path, public = settings.tiktok.webhook.forward_to, urlsplit(settings.public_url)
    if path is not None:
        reserved = judging.gate.identity_headers.reserved
        performers[EVENT] = EventDelivery(
            behind.default, path=path, host=public.netloc, scheme=public.scheme, reserved=reserved
        )
    return performers


def _build_webhook(
    settings: Settings, records: RecordKeeping, outbox: Outbox, noted: WebhookLog, clock: Clock
) -> Webhook:
    webhook, instance = settings.tiktok.webhook, records.keyring.instance.hex()
    return Webhook(
        records.store,
        records.sessions,
        client_key=settings.tiktok.client_key,
        client_secret=settings.tiktok.client_secret.get_secret_value(),
        tolerance=webhook.tolerance,
        instance=instance,
        pass_on=EventQueue(outbox, instance) if webhook.forward_to is not None else None,
        noted=noted,
        clock=clock,
        announce=records.announce,
    )


def _build_desk(settings: Settings, records: RecordKeeping, clock: Clock) -> TokenDesk:
    clients = [
        TokenClient(each.name, each.key.get_secret_value(), frozenset(each.scopes), each.per_minute)
        for each in settings.tokens.clients
    ]
    return TokenDesk(
        records.store,
        records.sessions,
        records.refresh,
        clients,
        client_key=settings.tiktok.client_key,
        clock=clock,
        announce=records.announce,
    )
