"""What `gateway doctor` looks at, and what is to be registered at TikTok."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.core.finding import Finding
from gateway.core.pkce import build_challenge, new_verifier
from gateway.core.tiktok import build_authorization_url
from gateway.flows.inspection import Inspection
from gateway.runtime.build import build
from gateway.settings import Settings

TIKTOK: Final = "www.tiktok.com"
"""Where people are asked by TikTok itself."""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what is found. Nothing is changed, here or at TikTok."""
    generation = build(settings)
    upstreams = {name: proxy.reachable for name, proxy in generation.behind.proxies.items()}
    inspection = Inspection(
        generation.records.store,
        generation.records.provider,
        upstreams,
        redirect_uri=settings.redirect_uri,
        simulated=urlsplit(settings.tiktok.authorize_url).hostname != TIKTOK,
        clock=lambda: datetime.now(UTC),
    )
    try:
        async for finding in inspection.run():
            yield finding
    finally:
        await generation.close()


def describe_registration(settings: Settings) -> dict[str, str]:
    """Return what belongs on the app's page at TikTok, and an address that must show TikTok's consent page."""
    tiktok = settings.tiktok
    challenge = build_challenge(new_verifier(), tiktok.pkce) if tiktok.pkce != "off" else None
    return {
        "redirect_uri": settings.redirect_uri,
        "webhook_url": f"{settings.public_url}{settings.prefix}/webhook" if tiktok.webhook.enabled else "",
        "scopes": ",".join(tiktok.scopes),
        "authorization_url": build_authorization_url(
            tiktok.authorize_url,
            client_key=tiktok.client_key,
            redirect_uri=settings.redirect_uri,
            scopes=tiktok.scopes,
            state="gateway-doctor",
            code_challenge=challenge,
            always_ask=True,
        ),
    }
