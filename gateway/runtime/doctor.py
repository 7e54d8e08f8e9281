"""What `gateway doctor` looks at, and what is to be registered at TikTok."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from gateway.core.finding import Finding
from gateway.core.path import canonicalise
from gateway.core.pkce import build_challenge, new_verifier
from gateway.core.requirement import SCOPE_OF_FACT
from gateway.core.review import App, Item, Link, list_review
from gateway.core.route import Access
from gateway.core.tiktok import build_authorization_url
from gateway.errors import RequestRefused
from gateway.flows.inspection import Inspection
from gateway.runtime.build import build
from gateway.runtime.device_front import look_at_front
from gateway.runtime.routes import compile_routes
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
        if settings.binds_devices:
            yield await look_at_front(settings)
    finally:
        await generation.close()


def review(settings: Settings) -> tuple[Item, ...]:
    """Return what TikTok's app review looks at; nothing is asked of anybody."""
    told = describe_registration(settings)
    uses = _find_uses(settings)
    return tuple(
        list_review(
            App(
                public_url=settings.public_url,
                redirect_uri=settings.redirect_uri,
                webhook_url=told["webhook_url"],
                authorize_url=settings.tiktok.authorize_url,
                scopes=_find_scopes(settings),
                uses=uses,
                files=[f"{settings.public_url}{path}" for path in settings.tiktok.ownership_paths],
                qr_sign_in=settings.qr_sign_in,
                links={
                    "terms_url": _look_up(settings, settings.brand.terms_url),
                    "privacy_url": _look_up(settings, settings.brand.privacy_url),
                },
            )
        )
    )


def _look_up(settings: Settings, link: str | None) -> Link:
    """Return a link of the brand as a reviewer would open it: signed out."""
    url = f"{settings.public_url}{link}" if link and link.startswith("/") else link or ""
    here, there = urlsplit(settings.public_url), urlsplit(url)
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        return Link(url)
    try:
        path = canonicalise((there.path or "/").encode())
    except RequestRefused:
        return Link(url, is_public=False)
    match = compile_routes(settings).policy.match("GET", here.netloc, path)
    return Link(url, is_public=match is not None and match.route.access in {Access.PUBLIC, Access.OPTIONAL})


def _find_uses(settings: Settings) -> dict[str, str]:
    """Return what each scope is for, in the operator's words where a route has some."""
    templates = [
        *settings.identity.headers.values(),
        *(text for each in settings.routes for text in each.headers.values()),
    ]
    uses = {"user.info.basic": "tells people apart, and shows who is signed in"}
    if "oauth2-proxy" in settings.identity.presets or any("{username}" in text for text in templates):
        uses["user.info.profile"] = "the app is told the username (identity)"
    for route in settings.routes:
        needed = list(route.scopes)
        if route.allow is not None and (route.allow.usernames or route.allow.file):
            needed.append("user.info.profile")
        if route.creator is not None:
            asked = route.creator.model_dump(exclude_none=True)
            needed += sorted({SCOPE_OF_FACT[name] for name in asked})
        for scope in needed:
            uses[scope] = route.reason or uses.get(scope) or f"{route.path} needs it"
    for client in settings.tokens.clients:
        for scope in client.scopes:
            uses.setdefault(scope, f"the job {client.name} uses it (tokens.clients)")
    return uses


def _find_scopes(settings: Settings) -> tuple[str, ...]:
    """Return every scope that a sign-in or a route may ask for: TikTok must have approved each."""
    return tuple(dict.fromkeys((*settings.tiktok.scopes, *_find_uses(settings))))


def describe_registration(settings: Settings) -> dict[str, str]:
    """Return what belongs on the app's page at TikTok, and an address that must show TikTok's consent page."""
    tiktok, scopes = settings.tiktok, _find_scopes(settings)
    challenge = build_challenge(new_verifier(), tiktok.pkce) if tiktok.pkce != "off" else None
    return {
        "redirect_uri": settings.redirect_uri,
        "webhook_url": f"{settings.public_url}{settings.prefix}/webhook" if tiktok.webhook.enabled else "",
        "scopes": ",".join(scopes),
        "authorization_url": build_authorization_url(
            tiktok.authorize_url,
            client_key=tiktok.client_key,
            redirect_uri=settings.redirect_uri,
            scopes=scopes,
            state="gateway-doctor",
            code_challenge=challenge,
            always_ask=True,
        ),
    }
