"""A look (diagnostics) at everything that a gateway leans on, as far as that can be done without changing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.core.finding import Finding
from gateway.core.redirect_uri import find_faults
from gateway.core.tiktok import TokenSet
from gateway.errors import (
    AccessTokenDead,
    GatewayError,
    GrantDead,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    StoreUnavailable,
)
from gateway.flows.ports import Health, Provider

SKEW: Final = timedelta(minutes=1)
"""How far clocks may differ before it is worth a word."""
_NOBODY: Final = "gateway-doctor"
"""A token that TikTok has never given."""


class Inspection:
    """The checks. `upstreams` try to connect, by name. `simulated`: people are sent elsewhere than to TikTok."""

    def __init__(
        self,
        store: Health,
        provider: Provider,
        upstreams: Mapping[str, Callable[[], Awaitable[None]]],
        *,
        redirect_uri: str,
        simulated: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._provider = provider
        self._upstreams = upstreams
        self._redirect_uri = redirect_uri
        self._simulated = simulated
        self._clock = clock

    async def run(self) -> AsyncIterator[Finding]:
        """Yield what is found, one after the other."""
        for finding in await self._look_at_store():
            yield finding
        for name, reach in self._upstreams.items():
            yield await _look_at_upstream(name, reach)
        yield await self._look_at_credentials()
        yield await self._look_at_user_info()
        yield await self._look_at_clock()
        yield self._look_at_redirect_uri()

    async def _look_at_store(self) -> list[Finding]:
        try:
            return await self._store.inspect()
        except StoreUnavailable as error:
            return [Finding(False, "Redis", str(error), "start it, or correct `redis`")]

    async def _look_at_credentials(self) -> Finding:
        """A refresh with a token that is none: TikTok looks at the app's key and secret first."""
        name, now = "client key and secret", self._clock()
        try:
            await self._provider.refresh(TokenSet(_NOBODY, _NOBODY, _NOBODY, (), now, now, now))
        except GrantDead:
            return Finding(True, name, "TikTok knows them")
        except ProviderMisconfigured as error:
            return Finding(False, name, str(error), "compare them with the app's page at developers.tiktok.com")
        except ProviderUnavailable as error:
            return Finding(False, name, str(error), "is `tiktok.token_url` reachable from here?")
        except ProviderError as error:
            return Finding(False, name, str(error), "ask TikTok's support")
        return Finding(False, name, "TikTok renewed a token that is none", "is `tiktok.token_url` TikTok's?")

    async def _look_at_user_info(self) -> Finding:
        name = "user info endpoint"
        try:
            await self._provider.user_info(_NOBODY, ("user.info.basic",))
        except AccessTokenDead:
            return Finding(True, name, "answers")
        except ProviderError as error:
            return Finding(False, name, str(error), "is `tiktok.user_info_url` TikTok's, and reachable from here?")
        return Finding(False, name, "took a token that is none", "is `tiktok.user_info_url` TikTok's?")

    async def _look_at_clock(self) -> Finding:
        try:
            theirs = await self._provider.tell_time()
        except ProviderError as error:
            return Finding(False, "clock", f"TikTok does not tell the time: {error}", "see above")
        if theirs is None:
            return Finding(True, "clock", "TikTok does not tell the time")
        seconds = (self._clock() - theirs).total_seconds()
        if abs(seconds) > SKEW.total_seconds():
            return Finding(False, "clock", f"{seconds:+.0f} s from TikTok's", "have it set by NTP")
        return Finding(True, "clock", "like TikTok's")

    def _look_at_redirect_uri(self) -> Finding:
        faults = "; ".join(find_faults(self._redirect_uri))
        if not faults:
            return Finding(True, "redirect URI", "as TikTok wants it")
        advice = "TikTok will not register it: see `public_url`"
        if self._simulated:
            advice = "no matter for the simulator; TikTok itself will not register it"
        return Finding(False, "redirect URI", faults, advice, warns=self._simulated)


async def _look_at_upstream(name: str, reach: Callable[[], Awaitable[None]]) -> Finding:
    label = "upstream" if name == "default" else f"upstream {name}"
    try:
        await reach()
    except GatewayError as error:
        return Finding(False, label, str(error), "start the app, or correct its `url`")
    return Finding(True, label, "takes connections")
