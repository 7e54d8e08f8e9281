"""How fronts ask, and what they understand for an answer: a row for each.

    page            asked by                                              yes   no
    auth            nginx, HAProxy's auth-request, oauth2-proxy's users   202   401, 403: a status alone
    ext_authz       Traefik, Caddy, HAProxy's auth-intercept              200   the gateway's own whole answer
    ext_authz/REST  Envoy: the visitor's target is the rest of the path   200   the same

Where a front passes a whole answer on, nobody sees a blank page: it is the redirect, problem or page of the proxy form.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.core import original
from gateway.core.path import CanonicalPath


class Dialect(msgspec.Struct, frozen=True):
    """A way of asking and answering."""

    page: str
    """The page of ours that is asked, below the prefix."""
    yes: int
    """Status that lets a request pass. Envoy takes none but 200 for it."""
    whole: bool
    """Whether a no is the gateway's own whole answer. nginx makes a 500 of whatever is not 401 or 403."""
    removes: bytes = b""
    """Field of a yes that names what the front is to take off the request: Envoy lets a client's own pass otherwise."""


AUTH: Final = Dialect(original.BY_STATUS, yes=202, whole=False)
WHOLE: Final = Dialect(original.WHOLE, yes=200, whole=True)
IN_PATH: Final = Dialect(original.WHOLE, yes=200, whole=True, removes=b"x-envoy-auth-headers-to-remove")


def find_dialect(path: CanonicalPath, rest: bytes) -> Dialect:
    """Return the dialect of a check, by the page that is asked and what follows it in the target."""
    if path.text.endswith("/" + AUTH.page):
        return AUTH
    return IN_PATH if rest else WHOLE
