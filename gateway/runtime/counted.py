"""TikTok, with what comes of each refresh counted: how many are renewed, and how many grants turn out to be dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.core.sign_in import VerifiedCode
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import ProviderError
from gateway.flows.ports import Provider


class CountedRefreshes:
    """A provider; `count` is told `renewed`, or the code of the error."""

    def __init__(self, provider: Provider, count: Callable[[str], None]) -> None:
        self._provider = provider
        self._count = count

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        """Renew the access token."""
        try:
            renewed = await self._provider.refresh(tokens)
        except ProviderError as error:
            self._count(error.code)
            raise
        self._count("renewed")
        return renewed

    async def redeem(self, code: VerifiedCode) -> TokenSet:
        """Exchange a verified code for tokens."""
        return await self._provider.redeem(code)

    async def revoke(self, access_token: str) -> None:
        """End the grant at TikTok."""
        await self._provider.revoke(access_token)

    async def tell_time(self) -> datetime | None:
        """Return what time it is at TikTok, if it says."""
        return await self._provider.tell_time()

    async def user_info(self, access_token: str, scopes: Sequence[str], *, open_id: str = "") -> Profile:
        """Read the person's profile."""
        return await self._provider.user_info(access_token, scopes, open_id=open_id)
