"""Sessions are bound to devices, and devices prove that they still hold their keys (DBSC).

A browser asks without a cookie if another site's page has set it off, so that all it needs to say is in what it signs
and in the name of the binding. What it is answered decides whether it goes on: see `web/own/device.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from gateway.core.audit import AuditEvent, What
from gateway.core.device_binding import (
    Offer,
    build_challenge,
    build_offer,
    build_proof,
    find_session_key,
    is_challenge,
    open_offer,
)
from gateway.core.keyring import Keyring
from gateway.core.session import build_session_key, public_id
from gateway.errors import DeviceProofRefused
from gateway.flows.audit import Announce
from gateway.flows.sessions import Sessions


class Outcome(StrEnum):
    """What has come of an offer, or of a browser's asking; counted."""

    OFFERED = "offered"
    REGISTERED = "registered"
    REGISTRATION_REFUSED = "registration_refused"
    CONFIRMED = "confirmed"
    CHALLENGED = "challenged"
    REFUSED = "refused"  # the proof was none
    ENDED = "ended"


class Confirmed(msgspec.Struct, frozen=True):
    """The device has proved itself: the value of its proof cookie, and what it is to sign next."""

    session_key: str
    proof: str
    challenge: str


class Challenged(msgspec.Struct, frozen=True):
    """It has not yet, or not with what is asked for now."""

    session_key: str
    challenge: str


class DeviceBinding:
    """Offers, registers, confirms. `lasts`: how long a proof holds; `count` is told each outcome."""

    def __init__(
        self,
        sessions: Sessions,
        keyring: Keyring,
        *,
        lasts: timedelta,
        clock: Callable[[], datetime],
        announce: Announce,
        count: Callable[[str], None],
    ) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._lasts = lasts
        self._clock = clock
        self._announce = announce
        self._count = count

    @property
    def seconds(self) -> int:
        """How long a browser keeps a proof."""
        return int(self._lasts.total_seconds())

    def offer(self, session_id: str) -> Offer:
        """Offer a browser that has just signed in to bind its session."""
        key = build_session_key(session_id.encode())
        assert key is not None  # noqa: S101 -- we made it
        self._count(Outcome.OFFERED)
        return build_offer(self._keyring, key, self._clock())

    async def register(self, token: bytes) -> Confirmed | None:
        """Bind the session that was offered; None where it is nobody's any more, or bound to another device already.

        Who comes first stays: whoever steals the cookie later cannot bind the session to a key of theirs. Raises
        `DeviceProofRefused` or `StoreUnavailable`.
        """
        from gateway.core.device_proof import read_offered, read_registration

        now = self._clock()
        try:
            key = open_offer(self._keyring, Offer(*read_offered(token)), now)
            shown = read_registration(token, now)  # what takes time is done for those alone who were offered it
        except DeviceProofRefused:
            self._count(Outcome.REGISTRATION_REFUSED)
            raise
        bound = await self._sessions.bind(key, shown.key, now)
        if bound is None or bound.device is None or bound.device.key != shown.key.key:
            self._count(Outcome.ENDED)
            return None
        if bound.device is shown.key:  # else its answer was lost, and it asks again
            self._announce(AuditEvent(what=What.SESSION_BOUND, subject=bound.subject, session=public_id(key)))
        self._count(Outcome.REGISTERED)
        return self._confirm(key, now)

    async def refresh(
        self, binding: bytes, token: bytes | None, *, named: Sequence[str] = ()
    ) -> Confirmed | Challenged | None:
        """Give a fresh proof to the device of a binding, if it signs what is asked for; None: the binding has ended.

        `named` are the sessions that the browser's cookie names, if it has sent any: several sign-ins at once leave it
        with one session and the bindings of all, which would use up what it may sign. Raises `StoreUnavailable`.
        """
        key, now = find_session_key(binding), self._clock()
        is_left = bool(named) and key not in named
        signed_in = await self._sessions.read(key, now) if key is not None and not is_left else None
        if key is None or signed_in is None or signed_in.session.device is None:
            self._count(Outcome.ENDED)
            return None
        if token is not None:
            from gateway.core.device_proof import check_proof, read_challenge

            try:
                if is_challenge(self._keyring, read_challenge(token), key, now, self._lasts):
                    check_proof(token, signed_in.session.device)
                    self._count(Outcome.CONFIRMED)
                    return self._confirm(key, now)
            except DeviceProofRefused:
                self._count(Outcome.REFUSED)
                return Challenged(key, build_challenge(self._keyring, key, now))
        self._count(Outcome.CHALLENGED)
        return Challenged(key, build_challenge(self._keyring, key, now))

    def _confirm(self, key: str, now: datetime) -> Confirmed:
        proof = build_proof(self._keyring, key, now + self._lasts)
        return Confirmed(key, proof, build_challenge(self._keyring, key, now))
