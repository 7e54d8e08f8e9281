"""What an operator does to sessions and grants, in their name (audit), by page or by program."""

from __future__ import annotations

from gateway.core.audit import Who
from gateway.flows.audit import identify
from gateway.flows.oversight import Erased, Oversight


class Acts:
    """The acts. `who` is the name of the key that was shown."""

    def __init__(self, oversight: Oversight) -> None:
        self._oversight = oversight

    async def end_session(self, who: str, session_id: str, subject: str | None = None) -> bool:
        """End one session; returns whether there was one."""
        identify(Who.OPERATOR, who)
        return await self._oversight.end_session(session_id, subject)

    async def end_sessions(self, who: str, subject: str) -> int:
        """End all sessions of a person; returns how many there were."""
        identify(Who.OPERATOR, who)
        return await self._oversight.end_sessions(subject)

    async def end_grant(self, who: str, subject: str) -> bool:
        """End a person's grant, here and at TikTok, and every session; returns whether there was one."""
        identify(Who.OPERATOR, who)
        return await self._oversight.revoke_grant(subject)

    async def erase(self, who: str, subject: str) -> Erased:
        """Erase everything that is known of a person."""
        identify(Who.OPERATOR, who)
        return await self._oversight.erase(subject)
