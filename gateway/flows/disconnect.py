"""Disconnect: end the app's grant at TikTok, and every session that leans on it.

Not the same as sign-out, which ends one session and leaves TikTok alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gateway.flows.ports import Provider
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn


class Disconnect:
    """Ends grants at TikTok."""

    def __init__(
        self, sessions: Sessions, refresh: Refresh, provider: Provider, *, clock: Callable[[], datetime]
    ) -> None:
        self._sessions = sessions
        self._refresh = refresh
        self._provider = provider
        self._clock = clock

    async def disconnect(self, signed_in: SignedIn) -> tuple[str, ...]:
        """Revoke at TikTok first, then end all of the person's sessions; returns their keys.

        Revoking needs a live access token, so an expired one is refreshed before. Raises `ProviderError` when TikTok
        does not answer: then nothing has changed, and the person can try again.
        """
        grant = await self._refresh.fresh(signed_in.session.grant_key, signed_in.grant)
        if grant is not None:
            await self._provider.revoke(grant.tokens.access_token)
        return await self._sessions.end_all(signed_in.session.subject, self._clock())
