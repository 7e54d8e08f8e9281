"""An operator who is signed in to the admin listener's pages: what their cookie holds, sealed.

The cookie is the whole session: it opens under `secret_keys` only, so nobody makes, reads or prolongs one, and what was
planted in a browser is never taken over (session fixation). It names the key that it was made with: once that is
taken out of the settings, the cookie is worth nothing. Two limits hold: idle, since it was last written anew, and
absolute, since the sign-in.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Final

import msgspec

from gateway.core.cookies import CookieSpec
from gateway.core.keyring import Keyring
from gateway.core.record import Record, open_record, seal_record
from gateway.errors import SealBroken

COOKIE: Final = "gateway-operator"
"""Name of the cookie. It reaches every port of its host, so it is kept from apps as the gateway's other cookies are."""
IDLE: Final = timedelta(minutes=30)
ABSOLUTE: Final = timedelta(hours=8)
REWRITTEN_EVERY: Final = timedelta(minutes=1)
_LONGEST: Final = 1024
_CONTEXT: Final = "operator"


class OperatorSession(Record, frozen=True):
    """What the cookie holds."""

    purpose: ClassVar[str] = "operator"

    session_id: str
    key_digest: bytes  # of the key that was shown, see `admin.keys`
    form_token: str  # stands in every form of theirs (CSRF): only pages of ours can know it
    secure: bool  # whether the browser was there over https
    signed_in_at: datetime
    seen_at: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether neither limit has passed; a cookie from the future, by a clock that was wrong, is not."""
        return (
            self.signed_in_at <= self.seen_at <= now + REWRITTEN_EVERY
            and now < self.seen_at + IDLE
            and now < self.signed_in_at + ABSOLUTE
        )

    def is_to_be_written(self, now: datetime) -> bool:
        """Whether the cookie is to be sent anew, so that being here counts."""
        return now >= self.seen_at + REWRITTEN_EVERY

    def seen(self, now: datetime) -> OperatorSession:
        """Return the session as of `now`; the sign-in, and so the absolute limit, stays."""
        return msgspec.structs.replace(self, seen_at=now)


def begin_operator_session(key_digest: bytes, now: datetime, *, secure: bool) -> OperatorSession:
    """Make a session for who has shown a key."""
    return OperatorSession(
        session_id=secrets.token_hex(16),
        key_digest=key_digest,
        form_token=secrets.token_urlsafe(24),
        secure=secure,
        signed_in_at=now,
        seen_at=now,
    )


def build_cookie(*, secure: bool) -> CookieSpec:
    """Return how the cookie is set: sent with no other site's requests, seen by no script."""
    return CookieSpec(name=COOKIE, secure=secure, same_site="Strict")


def seal_operator_session(keyring: Keyring, session: OperatorSession) -> str:
    """Return the value of the cookie."""
    return base64.urlsafe_b64encode(seal_record(keyring, _CONTEXT, session)).rstrip(b"=").decode()


def open_operator_session(keyring: Keyring, value: bytes) -> OperatorSession | None:
    """Return what a cookie holds; None when it is none that this gateway has made."""
    if len(value) > _LONGEST:
        return None
    try:
        return open_record(
            keyring, _CONTEXT, base64.urlsafe_b64decode(value + b"=" * (-len(value) % 4)), OperatorSession
        )
    except (SealBroken, binascii.Error, ValueError):
        return None
