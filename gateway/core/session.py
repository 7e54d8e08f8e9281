"""One browser that is signed in.

The cookie holds a random session id and nothing else. The store knows only the id's SHA-256, so that a dump of the
store gives nobody a cookie (session hijacking). A session leans on a grant, which it shares with the person's other
sessions.

Two limits hold, whatever the traffic: the idle timeout since it was last seen, and the absolute timeout since the
sign-in. Being seen is written down at most every `touch_interval`, so that reading stays cheap.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from gateway.core.deflated import deflate_text, inflate_text
from gateway.core.device_key import DeviceKey
from gateway.core.grant import GRANT_KEY
from gateway.core.record import CompactForm, Record

SESSION_KEY: Final = "session:"
"""What every store key of a session begins with."""

_ID: Final = re.compile(rb"[A-Za-z0-9_-]{43}")
# Many people share a browser's name, and to deflate one takes longer than all else that writing a session down takes.
_deflate_agent: Final = lru_cache(maxsize=1024)(deflate_text)
_inflate_agent: Final = lru_cache(maxsize=1024)(inflate_text)
_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")


class SessionLimits(msgspec.Struct, frozen=True):
    """How long a session may last."""

    idle: timedelta
    absolute: timedelta

    @property
    def touch_interval(self) -> timedelta:
        """Longest time between two writes of `last_seen_at`: a twentieth of the idle timeout, at most a minute."""
        return min(self.idle / 20, timedelta(minutes=1))


class CompactSession(CompactForm, frozen=True):
    """A session in few bytes: the digest of the grant's key is kept as such."""

    instance: bytes
    subject: str
    grant: bytes
    signed_in_at: datetime
    last_seen_at: datetime
    user_agent: bytes
    device: DeviceKey | None = None

    def restore(self) -> Session:
        """See `CompactForm`."""
        return Session(
            instance=self.instance,
            subject=self.subject,
            grant_key=GRANT_KEY + self.grant.hex(),
            signed_in_at=self.signed_in_at,
            last_seen_at=self.last_seen_at,
            user_agent=_inflate_agent(self.user_agent),
            device=self.device,
        )


class Session(Record, frozen=True, omit_defaults=True):
    """A signed-in browser, as kept in the store."""

    purpose: ClassVar[str] = "session"
    compact_form: ClassVar[type[CompactForm]] = CompactSession

    subject: str
    grant_key: str
    signed_in_at: datetime
    last_seen_at: datetime
    user_agent: str
    device: DeviceKey | None = None  # whose key has to prove that it is still there; None: not bound to any

    def compact(self) -> CompactSession | None:
        """See `Record`."""
        grant = self.grant_key.removeprefix(GRANT_KEY)
        if len(grant) != 64:  # of a form that no version has made
            return None
        agent = _deflate_agent(self.user_agent)
        return CompactSession(
            self.instance, self.subject, bytes.fromhex(grant), self.signed_in_at, self.last_seen_at, agent, self.device
        )

    def expires_at(self, limits: SessionLimits) -> datetime:
        """When this session ends if it is not used again."""
        return min(self.last_seen_at + limits.idle, self.signed_in_at + limits.absolute)

    def bound(self, device: DeviceKey) -> Session:
        """Return the session as bound to a device."""
        return msgspec.structs.replace(self, device=device)

    def touched(self, now: datetime) -> Session:
        """Return the session as seen at `now`; the sign-in, and so the absolute limit, stays."""
        return msgspec.structs.replace(self, last_seen_at=now)


def new_session_id() -> str:
    """Make a fresh session id: 256 random bits as 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def build_session_key(cookie_value: bytes) -> str | None:
    """Return the store key of the session that a cookie names; None when it cannot be one of ours."""
    if not _ID.fullmatch(cookie_value):
        return None
    return SESSION_KEY + hashlib.sha256(cookie_value).hexdigest()


def build_session_key_of(digest: bytes) -> str | None:
    """Return the store key that ends in this digest, in hexadecimal; None when it is no digest."""
    return SESSION_KEY + digest.decode() if _DIGEST.fullmatch(digest) else None


def public_id(session_key: str) -> str:
    """Return a name for the session that may be shown to the app and to the person; it opens nothing."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:20]
