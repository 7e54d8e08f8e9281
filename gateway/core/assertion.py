"""The assertion: a short-lived signed statement of who somebody is, for an app that does not trust its network.

A JWT (RFC 7519) signed with ES256 (RFC 7518 §3.4). It holds no token, only who, by which session, with which scopes,
for which app, until when.

No key of its own has to be kept: each of `secret_keys` is stretched by HKDF-SHA256 (RFC 5869) into a private key on
P-256, with 64 bits more than needed, reduced modulo n-1 (FIPS 186-5 §A.2.1). So all replicas share them, and they
rotate with the secret keys: the newest signs, and the public halves of all are published (JWKS), each under its
thumbprint (RFC 7638). Nobody can get from a signature, or a public key, to the secret key: HKDF does not run backwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.core.identity import Identity

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

ALGORITHM: Final = "ES256"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n, the order of P-256 (SEC 2 §2.4.2)."""

PART: Final = 0.5
"""Part of its lifetime in which an assertion is handed on: the app should have time to look at it."""

Header = tuple[bytes, bytes]


class AssertionKeys:
    """The signing keys that belong to the secret keys, newest first."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        from joserfc import jwt  # here and below: most gateways make none, and joserfc is large

        self._encode = jwt.encode
        self._keys = [_derive(key) for key in secret_keys]
        self._header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._keys[0].thumbprint()}

    def __repr__(self) -> str:
        """Say how many keys there are, and nothing of them."""
        return f"AssertionKeys({len(self._keys)} keys)"

    def sign(self, claims: dict[str, Any]) -> str:
        """Return claims as a JWT, signed with the newest key."""
        return self._encode(self._header, claims, self._keys[0], algorithms=[ALGORITHM])

    def public_set(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set (RFC 7517 §5)."""
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}
                for key in self._keys
            ]
        }


class Assertions:
    """Makes the header that carries an assertion. `audiences` are those of upstreams, by name."""

    def __init__(
        self,
        keys: AssertionKeys,
        *,
        header: str,
        issuer: str,
        lifetime: timedelta,
        audiences: Mapping[str, str],
    ) -> None:
        self.keys = keys
        self.lasts = lifetime * PART
        """How long one may be handed on."""
        self.name = header.lower().encode()
        self._issuer = issuer
        self._lifetime = lifetime
        self._audiences = audiences

    def build(self, who: Identity, upstream: str, now: datetime) -> Header:
        """Return the header for an upstream."""
        return self.name, self.keys.sign(self._build_claims(who, upstream, now)).encode("ascii")

    def _build_claims(self, who: Identity, upstream: str, now: datetime) -> dict[str, Any]:
        issued_at = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audiences.get(upstream, self._issuer),
            "sub": who.open_id,
            "sid": who.session_id,
            "scope": " ".join(who.scopes),  # RFC 8693 §4.2
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + int(self._lifetime.total_seconds()),
        }
        # names of OpenID Connect Core §5.1, where TikTok has told them
        told = {
            "union_id": who.union_id,
            "preferred_username": who.username,
            "name": who.display_name,
        }
        return claims | {name: value for name, value in told.items() if value}


def _derive(secret_key: bytes) -> ECKey:
    from joserfc.jwk import ECKey

    stretched = HKDF(algorithm=SHA256(), length=40, salt=None, info=b"tiktok-gateway assertion").derive(secret_key)
    private = ec.derive_private_key(int.from_bytes(stretched) % (_ORDER - 1) + 1, ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ECKey.import_key(pem)
