"""The answers of the gate (authorization decision)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from gateway.core.fields import Headers, build_lines
from gateway.core.identity import Identity, IdentityHeaders


class ChallengeKind(StrEnum):
    """How somebody who is not signed in is asked to."""

    REDIRECT = "redirect"  # a navigation: to TikTok, or to the page with the button
    PAGE = "page"  # a navigation whose body a redirect would lose: a page with the button
    FRAME = "frame"  # a navigation within a frame: a page with a link out of it
    PROGRAM = "unauthorized"  # a program: 401, in HTTP's name for it


class Allow(msgspec.Struct, frozen=True, gc=False):
    """Let in. `remove_headers` is always the whole set of reserved names, in normalised spelling."""

    set_headers: Headers
    remove_headers: frozenset[bytes]
    identity: Identity | None
    set_lines: bytes = b""  # `set_headers` as they go over the wire
    varies: bool = False  # nobody is named, and the app would be told of somebody who signs in
    session_key: str = ""  # store key of the session that the identity is of

    def __repr__(self) -> str:
        """Show no header, of which one may be a token."""
        return f"Allow({self.identity!r})"


def build_allow(
    headers: IdentityHeaders, identity: Identity | None, extra: Headers = (), *, session_key: str = ""
) -> Allow:
    """Return what lets somebody in, or the anonymous. It depends on nothing else, so it may be kept.

    `extra` are headers that are not made of the identity alone.
    """
    set_headers = (*headers.build(identity), *extra) if identity is not None else ()
    return Allow(set_headers, headers.reserved, identity, build_lines(set_headers), session_key=session_key)


class Challenge(msgspec.Struct, frozen=True):
    """Ask to sign in."""

    kind: ChallengeKind


class Consent(msgspec.Struct, frozen=True):
    """Ask for scopes that are missing."""

    missing: tuple[str, ...]
    reason: str  # in the operator's words; "" for none


class Deny(msgspec.Struct, frozen=True):
    """Refuse; the reason is for the log."""

    reason: str
    cross_site: bool = False  # another site's page made the browser send it
    who: Identity | None = None  # whom it is refused, where others may
    words: str = ""  # the operator's, for people; "" for none
    fact: str = ""  # the fact about a creator that is not as asked for; "" where it is none
