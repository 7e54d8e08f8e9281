"""What kind of request this is: a person's navigation or a program's call, from our site or from another.

Browsers say so in Fetch Metadata (W3C, `Sec-Fetch-*`), which scripts cannot forge; `Accept` and `Origin` stand in for
those that do not send it.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.decision import ChallengeKind
from gateway.core.headers import every, first
from gateway.core.request import RequestHead


def is_navigation(head: RequestHead) -> bool:
    """Whether this is a person opening a page, which may begin a sign-in: a GET for a whole window."""
    return head.method == "GET" and _is_document(head)


def is_prefetch(head: RequestHead) -> bool:
    """Whether the browser only prepares for a navigation that may never come."""
    marks = (first(head.headers, name) or b"" for name in (b"sec-purpose", b"purpose", b"x-moz"))
    return any(b"prefetch" in mark.lower() or b"prerender" in mark.lower() for mark in marks)


def choose(
    head: RequestHead, on_unauthenticated: Literal["auto", "redirect", "unauthorized"]
) -> ChallengeKind:
    """Return how to ask for a sign-in. Whatever the route says, only a navigation is ever redirected."""
    if head.websocket or on_unauthenticated == "unauthorized":
        return ChallengeKind.UNAUTHORIZED
    if is_navigation(head):
        return ChallengeKind.REDIRECT
    if (
        on_unauthenticated == "redirect"
        and head.method == "GET"
        and not is_prefetch(head)
        and not _says(head)
    ):
        return ChallengeKind.REDIRECT
    # the body of a form would be lost on the way to TikTok and back: the person should know
    if head.method == "POST" and _is_document(head):
        return ChallengeKind.PAGE
    return ChallengeKind.UNAUTHORIZED


def is_cross_site_post(head: RequestHead, public_origins: frozenset[str]) -> bool:
    """Whether a state-changing call may have been made by another site; true unless the contrary is proved.

    `Sec-Fetch-Site` decides where it is sent: `same-origin` only, since a neighbour under the same domain is another
    site's owner as often as not. Chromium sends `Origin: null` from our own pages, whose referrer policy is
    `no-referrer`.
    """
    site = first(head.headers, b"sec-fetch-site")
    if site is not None:
        return site != b"same-origin"
    return not _origin_is_ours(head, public_origins)


def is_cross_site_websocket(head: RequestHead, public_origins: frozenset[str]) -> bool:
    """Whether a WebSocket is opened by another site's page (RFC 6455 §10.2); programs send no `Origin`."""
    return first(head.headers, b"origin") is not None and not _origin_is_ours(head, public_origins)


def _origin_is_ours(head: RequestHead, public_origins: frozenset[str]) -> bool:
    origins = every(head.headers, b"origin")
    return len(origins) == 1 and origins[0].decode("latin-1").lower() in public_origins


def _is_document(head: RequestHead) -> bool:
    if head.websocket or is_prefetch(head):
        return False
    if _says(head):
        mode, dest = first(head.headers, b"sec-fetch-mode"), first(head.headers, b"sec-fetch-dest")
        return mode == b"navigate" and dest in {b"document", None}
    if (first(head.headers, b"x-requested-with") or b"").lower() == b"xmlhttprequest":
        return False
    return b"text/html" in (first(head.headers, b"accept") or b"").lower()


def _says(head: RequestHead) -> bool:
    """Whether the browser sends Fetch Metadata."""
    return (
        first(head.headers, b"sec-fetch-mode") is not None
        or first(head.headers, b"sec-fetch-dest") is not None
    )
