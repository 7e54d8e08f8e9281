"""The pages that people see: templates, filled with plain values. No inline script or style, no foreign asset.

The one script (`carry.js`) carries the fragment of an address through a sign-in; every page works without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.core.identity import Identity
from gateway.core.in_app import APPS
from gateway.core.kept_post import FormField, KeptPost
from gateway.core.scopes import IN_WORDS, describe_scopes
from gateway.core.tiktok import Profile

MAX_NAME: Final = 80
MAX_VALUE: Final = 200
"""Longest display name, and longest value of a form's field, shown, in characters."""
MOST_SHOWN: Final = 30
"""Most fields of a form shown."""

_SECRET: Final = re.compile(r"(?i)passw|passphrase|pwd|secret|token|csrf|xsrf|cvv|cvc|\bpin\b")

_CONTENT_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_BROWSERS: Final = (
    *APPS,
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS: Final = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("ChromeOS", r"CrOS"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("Linux", r"Linux|X11"),
)


class Link(msgspec.Struct, frozen=True):
    """Where to go next."""

    url: str
    text: str


class PersonName(msgspec.Struct, frozen=True):
    """Who is signed in, as people call them."""

    name: str
    username: str | None

    @classmethod
    def of(cls, who: Identity | Profile) -> PersonName:
        """Return how somebody is called: an id where nothing else is known."""
        name = who.display_name or who.username or who.open_id
        return cls(shorten(name), shorten(who.username) if who.username and who.username != name else None)


class ErrorView(msgspec.Struct, frozen=True):
    """What an error page shows, besides the fixed texts of the error."""

    code: str
    title: str
    advice: str
    request_id: str
    log_id: str = ""  # TikTok's reference
    links: tuple[Link, ...] = (Link("/", "Back to the start page"),)  # the likeliest way on first
    refused: tuple[str, ...] = ()  # what was not shared, in words
    person: PersonName | None = None  # to whom it is denied
    words: str = ""  # the operator's
    within: str | None = None  # app whose browser this is


class Shown(msgspec.Struct, frozen=True):
    """A field of a form that was kept, as its sender is shown it."""

    name: str
    value: str


class Device(msgspec.Struct, frozen=True):
    """One of the browsers a person is signed in with."""

    name: str
    signed_in_at: datetime
    last_seen_at: datetime
    current: bool


class AccountView(msgspec.Struct, frozen=True):
    """What the account page shows."""

    display_name: str | None
    username: str | None
    open_id: str
    scopes: Sequence[str]
    session_ends_at: datetime
    devices: Sequence[Device]


class Pages:
    """Renders pages; compiled once. `site` is the host people see, `prefix` where the pages live.

    `offers_qr`: whether there is a page with a code to scan.
    """

    def __init__(self, *, prefix: str, site: str, offers_qr: bool = False) -> None:
        self._static = {
            item.name: _read_static(item.name, item.read_bytes())
            for item in (files("gateway.web.answers") / "static").iterdir()
            if item.is_file()
        }
        self._environment = Environment(
            loader=PackageLoader("gateway.web.answers"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            prefix=prefix,
            site=site,
            stylesheet=self._address(prefix, "gateway.css"),
            carry_script=self._address(prefix, "carry.js"),
            qr_script=self._address(prefix, "qr.js"),
            offers_qr=offers_qr,
        )
        self.script_source = f"{site}{prefix}/static/carry.js".encode()
        """The script of the page with the button, as a Content-Security-Policy names it (CSP 3 §2.3.1)."""
        self.qr_script_source = f"{site}{prefix}/static/qr.js; connect-src {site}{prefix}/qr/status".encode()
        """The script of the page with the code, and what it may ask (CSP 3 §6.1.2)."""
        self._environment.filters["moment"] = lambda moment: moment.strftime("%-d %B %Y, %H:%M UTC")

    def sign_in(
        self, start_url: str, reason: str | None, person: PersonName | None = None, return_to: str = "/"
    ) -> bytes:
        """The button; `reason` says why it is shown instead of what was asked for.

        It is "session_ended" for what was sent without a session, "kept" where that was kept, "not_kept" where it
        could not be, "frame" within a frame. A `person`, who is signed in, may go on to `return_to`.
        """
        return self._render(
            "sign_in.html",
            start_url=start_url,
            reason=reason,
            person=person,
            return_to=return_to,
            out=_way_out(framed=reason == "frame"),
        )

    def qr(self, status: str, *, drawing: Markup, ask_url: str, again_url: str, sign_in_url: str) -> bytes:
        """A code to scan (`status` "new"), or what has become of it: "scanned" or "expired"."""
        return self._render(
            "qr.html",
            status=status,
            drawing=drawing,
            ask_url=ask_url,
            again_url=again_url,
            sign_in_url=sign_in_url,
        )

    def consent(self, start_url: str, missing: Sequence[str], reason: str, *, framed: bool = False) -> bytes:
        """Say which scopes are missing, and why they are asked for."""
        asked = describe_scopes(missing)
        out = _way_out(framed=framed)
        return self._render("consent.html", start_url=start_url, asked=asked, reason=reason, out=out)

    def error(self, view: ErrorView, *, framed: bool = False) -> bytes:
        """Something went wrong."""
        return self._render("error.html", view=view, out=_way_out(framed=framed))

    def kept_post(self, action: str, post: KeptPost, person: PersonName) -> bytes:
        """Offer to send a form again, to `action`, and show what would be sent, and as whom."""
        shown = [_show(field) for field in post.fields[:MOST_SHOWN]]
        more = len(post.fields) - len(shown)
        return self._render("kept_post.html", action=action, post=post, person=person, shown=shown, more=more)

    def sign_out_question(self) -> bytes:
        """Ask before signing out."""
        return self._render("sign_out.html")

    def signed_out(self, sign_in_url: str) -> bytes:
        """Nobody is signed in here."""
        return self._render("signed_out.html", sign_in_url=sign_in_url)

    def disconnected(self, sign_in_url: str) -> bytes:
        """The grant at TikTok is revoked."""
        return self._render("disconnected.html", sign_in_url=sign_in_url)

    def account(self, view: AccountView) -> bytes:
        """Who am I, what did I grant, where am I signed in."""
        name = shorten(view.display_name or view.username or "You")
        return self._render(
            "account.html",
            view=view,
            name=name,
            initial=next((char.upper() for char in name if char.isalnum()), "•"),
            scopes=[(IN_WORDS.get(scope, scope), scope) for scope in view.scopes],
        )

    def static_file(self, name: str) -> tuple[bytes, str, str] | None:
        """Return body, content type and etag of a file of ours, or None."""
        return self._static.get(name)

    def _address(self, prefix: str, name: str) -> str:
        version = self._static[name][2].strip('"')
        return f"{prefix}/static/{name}?v={version}"

    def _render(self, template: str, **values: Any) -> bytes:
        return self._environment.get_template(template).render(**values).encode("utf-8", "replace")


def shorten(name: str, most: int = MAX_NAME) -> str:
    """Return a display name fit for one line: no control characters, no direction overrides, not too long."""
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+", " ", name).strip()
    return visible if len(visible) <= most else visible[: most - 1] + "…"


def _show(field: FormField) -> Shown:
    """Return a field as it may be shown on a screen: short, and no secret."""
    if field.value is None:
        value = "no file"
    elif _SECRET.search(field.name):
        value = "•••"
    else:
        value = shorten(field.value, MAX_VALUE) or "(empty)"
    return Shown(shorten(field.name), value)


def _way_out(*, framed: bool) -> Markup:
    """Return what has a link open in the whole window: TikTok is shown in no frame."""
    return Markup(' target="_top"') if framed else Markup()


def describe_user_agent(user_agent: str) -> str:
    """Name a browser as its owner would, e.g. "Chrome on Windows"; "Unknown device" when it cannot be told."""
    browser = next((name for name, mark in _BROWSERS if re.search(mark, user_agent)), None)
    system = next((name for name, mark in _SYSTEMS if re.search(mark, user_agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"


def _read_static(name: str, body: bytes) -> tuple[bytes, str, str]:
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    return body, _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream"), etag
