"""What TikTok's app review looks at, as far as settings tell: what holds, what must be mended, what is done by hand.

TikTok reviews an app before people beyond its own sandbox may sign in. Most of that happens on TikTok's pages, and
nothing here has seen them: `by hand` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from gateway.core.redirect_uri import find_faults
from gateway.core.scopes import IN_WORDS


class Mark(StrEnum):
    """What is to be done about an item."""

    HOLDS = "holds"
    MEND = "mend"
    BY_HAND = "by hand"


class Item(msgspec.Struct, frozen=True):
    """One thing that a review looks at."""

    mark: Mark
    name: str
    text: str


class Link(msgspec.Struct, frozen=True):
    """An address that people may read; "" where there is none. `is_public`: unknown on another site."""

    url: str
    is_public: bool | None = None


class App(msgspec.Struct, frozen=True):
    """The app, as the settings have it. `uses`: what each scope is for, as far as anything here needs it."""

    public_url: str
    redirect_uri: str
    webhook_url: str
    authorize_url: str
    scopes: Sequence[str]
    uses: Mapping[str, str]
    files: Sequence[str]
    qr_sign_in: bool
    links: Mapping[str, Link]
    """Terms and privacy policy, by the names of their keys in `brand`."""


TIKTOK: Final = "https://www.tiktok.com/"
_LINKS: Final = {"terms_url": "terms", "privacy_url": "privacy policy"}
_UNUSED: Final = (
    "nothing here says what for, and a reviewer will ask: leave it out, or give the route that needs it `scopes` and a "
    "`reason`"
)


def list_review(app: App) -> Iterator[Item]:
    """Yield what to look at before asking TikTok for a review, in the order of TikTok's form."""
    yield Item(Mark.BY_HAND, "app icon, name, category, description", "as they are on your site, and no TikTok logo")
    yield from (_look_at_link(name, link) for name, link in app.links.items())
    yield from _look_at_addresses(app)
    yield from _look_at_scopes(app)
    if app.webhook_url:
        yield Item(
            Mark.BY_HAND, "webhook", f"enter {app.webhook_url}, and send TikTok's test event: it is answered 200"
        )
    else:
        yield Item(Mark.BY_HAND, "webhook", "is off: tiktok.webhook tells when people disconnect the app at TikTok")
    if app.qr_sign_in:
        yield Item(
            Mark.BY_HAND, "QR code", "show it in the demo video too, from the screen to the confirmation on a phone"
        )
    yield Item(
        Mark.BY_HAND,
        "demo video",
        f"from {app.public_url}, signed out, over TikTok's own page with every scope, to where each is used; with the "
        "address bar in sight; in the sandbox, by one of its target users",
    )
    yield Item(Mark.BY_HAND, "sandbox", "try it there first: it has a client key, secret and redirect URIs of its own")


def _look_at_link(key: str, link: Link) -> Item:
    name = _LINKS[key]
    if not link.url:
        text = f"set brand.{key}, which puts it on every page; it must open without a sign-in"
        return Item(Mark.BY_HAND, name, text)
    if link.is_public is None:
        return Item(Mark.BY_HAND, name, f"{link.url} must open without a sign-in")
    if link.is_public:
        return Item(Mark.HOLDS, name, f"{link.url} needs no sign-in; see that the app has something there")
    return Item(Mark.MEND, name, f"{link.url} asks for a sign-in: give it a route with access: public")


def _look_at_addresses(app: App) -> Iterator[Item]:
    faults = "; ".join(find_faults(app.redirect_uri))
    yield Item(
        Mark.MEND if faults else Mark.HOLDS, "redirect URI", faults or f"{app.redirect_uri} obeys TikTok's rules"
    )
    yield Item(Mark.BY_HAND, "redirect URI", "register it to the letter, under Login Kit, Web")
    if not app.authorize_url.startswith(TIKTOK):
        yield Item(Mark.MEND, "endpoints", f"people are sent to {app.authorize_url}, which is not TikTok's")
    if app.files:
        yield Item(Mark.HOLDS, "site ownership", f"served to everybody: {', '.join(app.files)}")
        yield Item(Mark.BY_HAND, "site ownership", "press Verify on the app's page, once this gateway is in service")
    else:
        text = "TikTok's file goes into tiktok.ownership_files, unless the site is verified by its DNS"
        yield Item(Mark.BY_HAND, "site ownership", text)


def _look_at_scopes(app: App) -> Iterator[Item]:
    for scope in app.scopes:
        why = app.uses.get(scope)
        said = f"{scope} ({IN_WORDS.get(scope, 'unknown here')})"
        yield Item(Mark.HOLDS if why else Mark.MEND, "scope", f"{said}: {why or _UNUSED}")
