"""TikTok, whose client is loaded when it is first needed: authlib and httpx are a fifth of a start, and 7 MiB.

They are loaded in a thread, so that others are served meanwhile. With several workers the parent loads them before it
forks (`serve`), and their memory is shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.core.qr_code import QrCode, Scan
from gateway.core.sign_in import VerifiedCode
from gateway.core.tiktok import Profile, TokenSet

if TYPE_CHECKING:
    from gateway.provider import TikTok


class LateTikTok:
    """What `provider.TikTok` is, whose methods say what they do and raise; `make` loads and makes it."""

    def __init__(self, make: Callable[[], TikTok]) -> None:
        self._make = make
        self._made: TikTok | None = None

    async def redeem(self, code: VerifiedCode) -> TokenSet:
        """Exchange an authorization code for tokens."""
        return await (await self._tiktok()).redeem(code)

    async def refresh(self, tokens: TokenSet) -> TokenSet:
        """Renew an access token."""
        return await (await self._tiktok()).refresh(tokens)

    async def revoke(self, access_token: str) -> None:
        """End the person's grant at TikTok."""
        await (await self._tiktok()).revoke(access_token)

    async def user_info(self, access_token: str, scopes: Sequence[str], *, open_id: str = "") -> Profile:
        """Read what the granted scopes let us know of the person."""
        return await (await self._tiktok()).user_info(access_token, scopes, open_id=open_id)

    async def begin_qr_code(self, scopes: Sequence[str], state: str, ticket: str) -> QrCode:
        """Have TikTok give a code to be scanned."""
        return await (await self._tiktok()).begin_qr_code(scopes, state, ticket)

    async def check_qr_code(self, token: str) -> Scan:
        """Ask how far the person is with a code."""
        return await (await self._tiktok()).check_qr_code(token)

    async def tell_time(self) -> datetime | None:
        """Return what time it is at TikTok."""
        return await (await self._tiktok()).tell_time()

    async def close(self) -> None:
        """Close the connections to TikTok."""
        if self._made is not None:
            await self._made.close()

    async def _tiktok(self) -> TikTok:
        if self._made is None:
            made = await asyncio.to_thread(self._make)
            self._made = self._made or made  # two may have needed it at once; one that is not used holds nothing
        return self._made
