"""Sign-out (logout): one browser, another one of the same person, or all of them. TikTok is left alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gateway.core.audit import AuditEvent, Reach, What
from gateway.core.session import Session, public_id
from gateway.flows.audit import Announce
from gateway.flows.sessions import Sessions, SignedIn


class SignOut:
    """Ends sessions for the person whose they are. Raises `StoreUnavailable` where it could not."""

    def __init__(self, sessions: Sessions, *, clock: Callable[[], datetime], announce: Announce) -> None:
        self._sessions = sessions
        self._clock = clock
        self._announce = announce

    async def here(self, signed_in: SignedIn) -> None:
        """End the session of the browser that asks."""
        await self._end(signed_in.session_key, signed_in.session, Reach.THIS_DEVICE)

    async def elsewhere(self, key: str, session: Session) -> None:
        """End the session under a store key, which is the person's in another browser."""
        await self._end(key, session, Reach.OTHER_DEVICE)

    async def everywhere(self, subject: str) -> None:
        """End all of a person's sessions."""
        ended = await self._sessions.sign_out_all(subject, self._clock())
        self._announce(AuditEvent(what=What.SIGNED_OUT, subject=subject, reach=Reach.EVERYWHERE, ended=len(ended)))

    async def _end(self, key: str, session: Session, reach: Reach) -> None:
        await self._sessions.end_session(key, session)
        self._announce(AuditEvent(what=What.SIGNED_OUT, subject=session.subject, session=public_id(key), reach=reach))
