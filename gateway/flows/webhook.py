"""Webhooks: TikTok tells that a person has ended the grant, and whatever else the app wants to know.

Rules
1. Nothing is read before the signature is verified; what is not TikTok's is refused (4xx), and changes nothing.
2. TikTok delivers at least once, in any order, for up to 72 hours. An event that was taken is known by its body and is
   not acted on again (replay), for as long as its signature can be valid. An event that could not be taken is not
   marked as known, and TikTok is told to try again (503).
3. `authorization.removed` ends every session of the person and drops the grant. The tokens are dead already: nothing is
   revoked or refreshed. An event older than the grant is about an earlier one and ends nothing. Both times are whole
   seconds; the same second counts as after, since ending a session too many is mended by signing in.
4. Any event, known or not, is passed on to the app if the operator asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from gateway.core.audit import AuditEvent, What, Who
from gateway.core.grant import build_grant_key
from gateway.core.webhook import AHEAD, REMOVED, WebhookEvent, read_event, verify_signature
from gateway.errors import WebhookRefused
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.ports import Records
from gateway.flows.sessions import Sessions
from gateway.flows.webhook_log import WebhookLog
from gateway.telemetry.logs import log


class PassOn(Protocol):
    """Keeps an event until the app has got it."""

    async def __call__(self, event: WebhookEvent, body: bytes) -> None:
        """Take the event. Raises `StoreUnavailable`."""


class Webhook:
    """Takes webhooks. `pass_on` is None when the app does not want them; `instance` tells this gateway from others."""

    def __init__(
        self,
        store: Records,
        sessions: Sessions,
        *,
        client_key: str,
        client_secret: str,
        tolerance: timedelta,
        instance: str,
        pass_on: PassOn | None,
        noted: WebhookLog,
        clock: Callable[[], datetime],
        announce: Announce = keep_silent,
    ) -> None:
        self._announce = announce
        self._store = store
        self._sessions = sessions
        self._client_key = client_key
        self._client_secret = client_secret
        self._tolerance = tolerance
        self._instance = instance
        self._pass_on = pass_on
        self._noted = noted
        self._clock = clock

    async def take(self, signature: str, body: bytes) -> None:
        """Take one delivery. Raises `WebhookRefused`, or `StoreUnavailable` when it must be delivered again."""
        now = self._clock()
        event = self._read(signature, body, now)
        key, older = f"webhook:{self._instance}:{event.event_id}", f"webhook:{event.event_id}"
        if await self._store.read_many((key, older)) != [None, None]:
            log.info("webhook_repeated", event_name=event.name, event_id=event.event_id)
            await self._noted.note(event, "repeated")
            return
        outcome = await self._act(event, body, now)
        # last: a mark that was set before, by a call whose answer was lost, would swallow the event
        await self._store.write(key, b"taken", int((self._tolerance + AHEAD).total_seconds()) + 1)
        log.info("webhook_taken", event_name=event.name, event_id=event.event_id)
        await self._noted.note(event, outcome)
        self._announce(
            AuditEvent(what=What.WEBHOOK_TAKEN, subject=event.subject or "", who=Who.TIKTOK, kind=event.name)
        )

    def _read(self, signature: str, body: bytes, now: datetime) -> WebhookEvent:
        try:
            verify_signature(signature, body, secret=self._client_secret, now=now, tolerance=self._tolerance)
            return read_event(body, client_key=self._client_key)
        except WebhookRefused as error:
            self._announce(AuditEvent(what=What.WEBHOOK_REFUSED, who=Who.UNKNOWN, cause=error.code))
            raise

    async def _act(self, event: WebhookEvent, body: bytes, now: datetime) -> str:
        """Do what is to be done, and return what came of it."""
        if self._pass_on is not None:
            await self._pass_on(event, body)
        if event.name == REMOVED and event.subject is not None:
            return await self._remove(event, event.subject, now)
        return "taken"

    async def _remove(self, event: WebhookEvent, subject: str, now: datetime) -> str:
        stored = await self._sessions.read_grant(build_grant_key(self._client_key, subject))
        granted_at = stored.grant.granted_at if stored is not None else None
        if granted_at is not None and event.created_at < granted_at.replace(microsecond=0):
            log.info("webhook_late", event_id=event.event_id, advice="the person has signed in again since")
            return "late"
        ended = await self._sessions.end_all(subject, now)
        log.info("grant_removed", event_id=event.event_id, sessions=len(ended))
        self._announce(
            AuditEvent(what=What.GRANT_REVOKED, subject=subject, who=Who.TIKTOK, kind=event.name, ended=len(ended))
        )
        return "ended"
