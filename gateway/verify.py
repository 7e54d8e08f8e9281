"""For apps behind the gateway: checks the assertion (`identity.assertion` in the gateway's settings).

    from gateway.verify import Verifier

    verifier = Verifier("https://app.example.com/oauth2/jwks.json", issuer="https://app.example.com",
                        audience="https://app.example.com")
    claims = verifier.verify(request.headers.get("X-Gateway-Assertion"))
    claims.open_id, claims.scopes

Nothing of the rest of the gateway is imported.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

__all__ = ["AssertionRefused", "Claims", "Verifier"]

SKEW: Final = 30
"""Seconds by which clocks may differ."""
KEEP: Final = 300.0
"""Seconds for which fetched keys are kept."""
AGAIN: Final = 10.0
"""Shortest time in seconds between two fetches, whatever is sent: strangers must not make us fetch."""
LONGEST: Final = 8192
"""Longest assertion looked at, in characters."""


class AssertionRefused(Exception):
    """The assertion proves nothing; the message says why, for the log."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who somebody is."""

    open_id: str
    session_id: str
    scopes: tuple[str, ...]
    expires_at: datetime
    everything: Mapping[str, Any]


class Verifier:
    """Checks assertions for one app. Safe to use from many threads."""

    def __init__(self, keys: str | Mapping[str, Any], *, issuer: str, audience: str) -> None:
        """`keys` is the address of the gateway's `jwks.json`, or what stands there; `issuer` its `public_url`."""
        self._url = keys if isinstance(keys, str) else None
        self._set = _read_set(keys) if not isinstance(keys, str) else {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=SKEW,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            sid={"essential": True},
            exp={"essential": True},
            nbf={"essential": False},
        )

    def verify(self, assertion: str | None) -> Claims:
        """Return who the assertion speaks of.

        Raises `AssertionRefused` for anything that the gateway has not signed, for this app, for now; also for None,
        which is a request that came without one, perhaps around the gateway.
        """
        if not isinstance(assertion, str) or not assertion:
            raise AssertionRefused("there is no assertion: the request has not come through the gateway")
        if len(assertion) > LONGEST:
            raise AssertionRefused("longer than any assertion")
        key = self._find_key(_read_kid(assertion))
        try:
            token = jwt.decode(assertion, key, algorithms=["ES256"])
            self._claims.validate(token.claims)
            claims = token.claims
            return Claims(
                open_id=str(claims["sub"]),
                session_id=str(claims["sid"]),
                scopes=tuple(str(claims.get("scope", "")).split()),
                expires_at=datetime.fromtimestamp(int(claims["exp"]), UTC),
                everything=claims,
            )
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise AssertionRefused(f"{type(error).__name__}: {error}") from None

    def _find_key(self, kid: str) -> ECKey:
        now = time.monotonic()
        known = self._set.get(kid)
        with self._lock:
            due = self._url is not None and now > self._fetched_at + (AGAIN if known is None else KEEP)
            if due:
                self._fetched_at = now
        if due and self._url is not None:  # without the lock: a slow answer must not keep others waiting
            self._set = _fetch(self._url) or self._set
            known = self._set.get(kid)
        if known is None:
            raise AssertionRefused("signed with a key that the gateway does not publish")
        return known


def _read_kid(assertion: str) -> str:
    """Return which key the assertion says it is signed with; nothing else of its header is believed."""
    try:
        kid = jws.extract_compact(assertion.encode("ascii")).headers().get("kid")
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise AssertionRefused(f"no assertion: {type(error).__name__}") from None
    if not isinstance(kid, str):
        raise AssertionRefused("no assertion: it names no key")
    return kid


def _read_set(keys: Mapping[str, Any]) -> dict[str, ECKey]:
    """Return the P-256 keys of a JWK Set by their ids (RFC 7517 §5)."""
    found: dict[str, ECKey] = {}
    for each in keys.get("keys", ()):
        if each.get("kty") == "EC" and each.get("crv") == "P-256" and isinstance(each.get("kid"), str):
            found[each["kid"]] = ECKey.import_key({name: each[name] for name in ("kty", "crv", "x", "y")})
    return found


def _fetch(url: str) -> dict[str, ECKey] | None:
    """Fetch a JWK Set; None when it cannot be had now, and the keys we have stay good."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no address of a jwks.json")
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- the scheme was checked
            return _read_set(json.loads(answer.read(65536)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError):
        return None
