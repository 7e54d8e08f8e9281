"""What an operator does to sessions and grants, with a line in the log for each (audit), by page or by program."""

from __future__ import annotations

from gateway.flows.oversight import Erased, Oversight
from gateway.telemetry.logs import log


class Acts:
    """The acts. `who` is the name of the key that was shown."""

    def __init__(self, oversight: Oversight) -> None:
        self._oversight = oversight

    async def end_session(self, who: str, session_id: str, subject: str | None = None) -> bool:
        """End one session; returns whether there was one."""
        ended = await self._oversight.end_session(session_id, subject)
        if ended:
            _note(who, "end_session", session=session_id)
        return ended

    async def end_sessions(self, who: str, subject: str) -> int:
        """End all sessions of a person; returns how many there were."""
        ended = await self._oversight.end_sessions(subject)
        _note(who, "end_sessions", open_id=subject, ended=ended)
        return ended

    async def end_grant(self, who: str, subject: str) -> bool:
        """End a person's grant, here and at TikTok, and every session; returns whether there was one."""
        _note(who, "end_grant", open_id=subject)
        return await self._oversight.revoke_grant(subject)

    async def erase(self, who: str, subject: str) -> Erased:
        """Erase everything that is known of a person."""
        _note(who, "erase", open_id=subject)
        return await self._oversight.erase(subject)


def _note(who: str, what: str, **about: object) -> None:
    """Write the line, before or after the act: one that fails half way must stand there, too."""
    log.info("audit", who=who, what=what, **about)
