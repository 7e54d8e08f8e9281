r"""Where a sign-in may return to, judged as a browser judges it (open redirect).

A browser will follow the address, so a WHATWG URL parser reads it (ada): `urllib` calls `/\evil.example` local, a
browser does not. What is emitted is absolute and begins with our own origin, followed by the visitor's text byte for
byte, and is read once more by the same parser before it is believed.

Many fronts put an address into a parameter as it came, so it arrives decoded once. What no address has is encoded
again: spaces, and all beyond ASCII.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from ada_url import URL

from gateway.core.forwarded import plain_origin, without_default_port

MAX_LENGTH: Final = 64 * 1024
"""Longest return address, in characters: what limits request targets is `core.request.Limits`."""

_SHOWN: Final = frozenset({"/account", "/kept_post"})
_SUSPECT: Final = re.compile(r"[^?#]*\\|.*[^\x21-\x7e]", re.DOTALL)
"""What browsers rewrite: control characters, and backslashes before the query."""
_DECODED: Final = re.compile("[ \x80-\U0010ffff]+")


class ReturnTo(msgspec.Struct, frozen=True):
    """An address that a sign-in may return to; made by `check_return_to` only."""

    url: str


def check_return_to(rd: str, *, public_url: str, allowed_hosts: frozenset[str], prefix: str) -> ReturnTo | None:
    """Return the checked address, or None when it leads elsewhere or to a page that acts.

    `rd` is text in which bytes that are no UTF-8 stand as Python's `surrogateescape` has them. `public_url` is our
    origin without a final slash; `allowed_hosts` are other hosts (with port, if any) that share
    its scheme; under `prefix` only the account page and a
    kept form may be returned to.
    """
    rd = _encode_again(rd)
    if not rd or len(rd) > MAX_LENGTH or _SUSPECT.match(rd):
        return None
    if rd.startswith("/"):
        if rd.startswith("//"):
            return None
        candidate = public_url + rd
    else:
        candidate = rd
    parsed = _parse(candidate)
    if parsed is None or parsed.username or parsed.password:
        return None
    ours = _parse(public_url)
    if ours is None or parsed.protocol != ours.protocol:
        return None
    scheme = parsed.protocol.removesuffix(":")
    others = {without_default_port(scheme, host.lower()) for host in allowed_hosts}
    if parsed.host != ours.host and parsed.host not in others:
        return None
    # the text itself must show the authority that the parser found: `https:evil` and `https:///evil` do not
    shown = re.match(r"[^:]*://[^/?]*", candidate)
    origin = plain_origin(shown[0]) if shown is not None else ""
    if shown is None or origin.lower() != f"{parsed.protocol}//{parsed.host}":
        return None
    if parsed.host == ours.host and _is_acting(parsed.pathname, prefix):
        return None
    return ReturnTo(origin + candidate[shown.end() :])


def _encode_again(rd: str) -> str:
    """Return an address with what was decoded encoded as before, byte for byte; "" for what was no bytes."""
    try:
        return _DECODED.sub(lambda found: quote(found[0], errors="surrogateescape"), rd[: MAX_LENGTH + 1])
    except UnicodeEncodeError:
        return ""


def _is_acting(path: str, prefix: str) -> bool:
    """Whether the path is one of the gateway's own, but for pages that are only shown."""
    plain = re.sub(r"/{2,}", "/", unquote(path)).rstrip("/")
    return plain == prefix or (plain.startswith(prefix + "/") and plain.removeprefix(prefix) not in _SHOWN)


def _parse(url: str) -> URL | None:
    try:
        return URL(url)
    except ValueError:
        return None
