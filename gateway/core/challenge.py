"""What kind of request this is: a person's navigation or a program's call, from our site or from another.

Browsers say so in Fetch Metadata (W3C, `Sec-Fetch-*`), which scripts can neither set nor remove. They send it to
https and loopback addresses only, so `Accept` and `Origin` stand in where it is missing.

A sign-in begins by a redirect, which only the top-level navigation of a person survives: anything else gets a 401, and
in a frame that is a page with a link out of the frame. A state-changing call must prove that it comes from our own
pages (CSRF); one that cannot is taken for cross-site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, Literal

from gateway.core.decision import ChallengeKind
from gateway.core.fields import every
from gateway.core.forwarded import plain_origin
from gateway.core.request import UNKNOWN_METHOD, RequestHead

_METADATA: Final = frozenset({b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-site"})
_LISTED: Final = re.compile(rb"(?:^|,)\s*+(text/html|application/json)\s*+((?:;[^,]*+)?)(?=,|$)")
_WEIGHT: Final = re.compile(rb"[01](?:\.[0-9]{0,3})?")
_WINDOWS: Final = frozenset({b"document", b"empty"})
"""Destinations of a navigation for a whole window: `empty` once it has passed a service worker, as Chromium has it.
A script's own fetch cannot be in the mode `navigate` (Fetch §5.4), so the mode says enough."""
_FRAMES: Final = frozenset({b"iframe", b"frame", b"embed", b"object", b"fencedframe"})
_PREFETCH: Final = frozenset({b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"})


class Viewer(StrEnum):
    """Who sees an answer."""

    WINDOW = "window"  # a person, in a whole window: a page is wanted, or a redirect
    FRAME = "frame"  # a person, in a part of a page: a page is wanted, and never a redirect to TikTok
    PROGRAM = "program"


def find_viewer(headers: Iterable[tuple[bytes, bytes]], *, websocket: bool = False) -> Viewer:
    """Return who sees the answer, whatever the method; `headers` may be those of a request that is refused."""
    return Viewer.PROGRAM if websocket else _find_viewer(dict(headers))


def is_navigation(head: RequestHead) -> bool:
    """Whether this is a person opening a page, which may begin a sign-in: a GET for a whole window."""
    return head.method == "GET" and shows_page(head)


def shows_page(head: RequestHead) -> bool:
    """Whether a whole window is to show the answer, whatever the method: a page is wanted, not a problem."""
    return find_viewer(head.headers, websocket=head.websocket) is Viewer.WINDOW


def is_from_elsewhere(head: RequestHead) -> bool:
    """Whether a page of another site, or of a neighbour under the same domain, has set it off, as browsers tell."""
    return bool({b"cross-site", b"same-site"}.intersection(every(head.headers, b"sec-fetch-site")))


def is_prefetch(head: RequestHead) -> bool:
    """Whether the browser only prepares for a navigation that may never come."""
    return _is_prefetch(dict(head.headers))


def choose(head: RequestHead, on_unauthenticated: Literal["auto", "redirect", "unauthorized"]) -> ChallengeKind:
    """Return how to ask for a sign-in.

    `redirect` differs from `auto` for GETs without Fetch Metadata: those are redirected whatever they accept. What a
    browser calls a prefetch, a frame, an image or a fetch is never redirected.
    """
    if on_unauthenticated == "unauthorized" or head.websocket:
        return ChallengeKind.PROGRAM
    fields = dict(head.headers)
    viewer = _find_viewer(fields)
    if viewer is Viewer.FRAME:
        return ChallengeKind.FRAME
    if viewer is Viewer.WINDOW:
        # a redirect would lose the body of a form: the person should know
        kinds = {"GET": ChallengeKind.REDIRECT, "POST": ChallengeKind.PAGE, UNKNOWN_METHOD: ChallengeKind.PAGE}
        return kinds.get(head.method, ChallengeKind.PROGRAM)
    if on_unauthenticated == "redirect" and head.method == "GET" and _may_follow(fields):
        return ChallengeKind.REDIRECT
    return ChallengeKind.PROGRAM


def is_cross_site_post(head: RequestHead, public_origins: frozenset[str]) -> bool:
    """Whether a state-changing call may have been made by another site; true unless the contrary is proved.

    Every browser sends `Origin` with a POST (Fetch §3.2), so a request without it and without Fetch Metadata proves
    nothing. `public_origins` are ours, serialised as browsers do: lower case, no default port, no slash.
    """
    return not _is_from_us(head, public_origins, when_unknown=False)


def is_cross_site_websocket(
    head: RequestHead, public_origins: frozenset[str], allowed_origins: frozenset[str] = frozenset()
) -> bool:
    """Whether a WebSocket is opened by another site's page, whose origin is not among those allowed.

    Browsers must send `Origin` in the handshake, and only they do (RFC 6455 §4.1, §10.2): without it, it is a program.
    """
    return not _is_from_us(head, public_origins, when_unknown=True) and not _is_from(head, allowed_origins)


def _is_from(head: RequestHead, origins: frozenset[str]) -> bool:
    """Whether a page of one of these origins asks: an exact comparison, and never true of `null`."""
    found = every(head.headers, b"origin")
    return len(found) == 1 and found[0].decode("latin-1").lower() in origins


def _is_from_us(head: RequestHead, public_origins: frozenset[str], *, when_unknown: bool) -> bool:
    """Judge by `Sec-Fetch-Site` where it decides, then by `Origin`.

    Chromium sends `Origin: null` from our own pages, whose referrer policy is `no-referrer`, so `same-origin` decides
    alone. `same-site` is a neighbour under the same domain, who may be anybody; `none` is the address bar, or the
    reload of a request that another site's page made.
    """
    sites, origins = every(head.headers, b"sec-fetch-site"), every(head.headers, b"origin")
    if sites == (b"same-origin",):
        return True
    if sites and sites not in {(b"none",), (b"same-site",)}:
        return False
    if origins:
        return len(origins) == 1 and plain_origin(origins[0].decode("latin-1").lower()) in public_origins
    return sites == (b"none",) or (not sites and when_unknown)


def _find_viewer(fields: Mapping[bytes, bytes]) -> Viewer:
    if _is_prefetch(fields):
        return Viewer.PROGRAM
    if not _has_metadata(fields):
        shows = _wants_html(fields.get(b"accept", b"")) and not _is_script(fields)
        return Viewer.WINDOW if shows else Viewer.PROGRAM
    if fields.get(b"sec-fetch-mode") != b"navigate":
        return Viewer.PROGRAM
    # Chromium before 80 sent no destination
    destination = fields.get(b"sec-fetch-dest", b"document")
    if destination in _WINDOWS:
        return Viewer.WINDOW
    return Viewer.FRAME if destination in _FRAMES else Viewer.PROGRAM


def _wants_html(accept: bytes) -> bool:
    """Whether HTML is named, and not after JSON (RFC 9110 §12.5.1); `*/*` is what programs send."""
    weights = {}
    for kind, parameters in _LISTED.findall(accept.lower()):  # of a thousand other kinds, none is looked at
        pieces = map(bytes.strip, parameters.split(b";"))
        weight = next((piece[2:] for piece in pieces if piece.startswith(b"q=")), b"1")
        weights[kind] = float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    html = weights.get(b"text/html", 0.0)
    return html > 0 and html >= weights.get(b"application/json", 0.0)


def _may_follow(fields: Mapping[bytes, bytes]) -> bool:
    return not (_has_metadata(fields) or _is_prefetch(fields) or _is_script(fields))


def _is_prefetch(fields: Mapping[bytes, bytes]) -> bool:
    if _PREFETCH.isdisjoint(fields):
        return False
    marks = b" ".join(fields.get(name, b"") for name in _PREFETCH).lower()
    return b"prefetch" in marks or b"prerender" in marks or b"preview" in marks


def _is_script(fields: Mapping[bytes, bytes]) -> bool:
    return fields.get(b"x-requested-with", b"").lower() == b"xmlhttprequest"


def _has_metadata(fields: Mapping[bytes, bytes]) -> bool:
    return not _METADATA.isdisjoint(fields)
