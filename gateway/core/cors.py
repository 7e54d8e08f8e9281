"""Answers for scripts of other origins (Fetch §3.2, CORS): who may read ours, and what becomes of a preflight.

A browser asks by a preflight before it sends what a form could not: `OPTIONS`, `Origin`,
`Access-Control-Request-Method`; never a cookie, never a body. So a preflight is never signed in, and where a sign-in is
needed it would always get a 401, which the browser takes for a no to the request itself. What asks with a cookie or
with a body is no preflight and gets no favour.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.fields import TOKEN, Headers, every
from gateway.core.request import RequestHead

PREFLIGHT_LASTS: Final = 600
"""Seconds for which a browser may remember our answer to a preflight."""

_WORD: Final = TOKEN + rb"{1,128}"
_METHOD: Final = re.compile(_WORD)
_NAMES: Final = re.compile(rb"(?:%b(?:[ \t]*,[ \t]*%b){0,63})?" % (_WORD, _WORD))


class Preflight(msgspec.Struct, frozen=True):
    """What a browser asks for on behalf of another origin's script."""

    origin: bytes
    method: str
    headers: bytes  # names, separated by commas; may be empty


def read_preflight(head: RequestHead) -> Preflight | None:
    """Return what is asked; None when this is no preflight as browsers send them (Fetch §4.8)."""
    if head.method != "OPTIONS" or any(every(head.headers, name) for name in _NEVER_IN_A_PREFLIGHT):
        return None
    origins = every(head.headers, b"origin")
    methods = every(head.headers, b"access-control-request-method")
    names = b", ".join(every(head.headers, b"access-control-request-headers"))
    if len(origins) != 1 or len(methods) != 1 or not _METHOD.fullmatch(methods[0]) or not _NAMES.fullmatch(names):
        return None
    return Preflight(origin=origins[0], method=methods[0].decode("ascii"), headers=names)


_NEVER_IN_A_PREFLIGHT: Final = (b"cookie", b"authorization", b"content-length", b"transfer-encoding")


def permit_reading(head: RequestHead, allowed_origins: frozenset[str]) -> Headers:
    """Return the fields that let a script of an allowed origin read an answer; always `Vary`, never `*`."""
    if not allowed_origins:
        return ()
    origins = every(head.headers, b"origin")
    if len(origins) != 1 or origins[0].decode("latin-1") not in allowed_origins:
        return (_VARY,)
    return (
        _VARY,
        (b"access-control-allow-origin", origins[0]),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after, www-authenticate"),
    )


def permit_request(preflight: Preflight, allowed_origins: frozenset[str]) -> Headers | None:
    """Return the fields of a yes to a preflight; None where the origin is not allowed."""
    if preflight.origin.decode("latin-1") not in allowed_origins:
        return None
    names = ((b"access-control-allow-headers", preflight.headers),) if preflight.headers else ()
    return (
        (b"vary", b"origin, access-control-request-method, access-control-request-headers"),
        (b"access-control-allow-origin", preflight.origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-methods", preflight.method.encode()),
        *names,
        (b"access-control-max-age", str(PREFLIGHT_LASTS).encode()),
    )


_VARY: Final = (b"vary", b"origin")
