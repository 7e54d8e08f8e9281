"""A device for tests: it has a key, and signs as Chromium 156 does. Made without the library that reads it."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, RSAKey

TYPE = "dbsc+jwt"


class Device:
    """Makes a key, and signs with it."""

    def __init__(self, algorithm: str = "ES256", *, bits: int = 2048) -> None:
        self.algorithm = algorithm
        self.key: ECKey | RSAKey = ECKey.generate_key("P-256") if algorithm == "ES256" else RSAKey.generate_key(bits)

    def register(self, challenge: str, authorization: str, **header: Any) -> bytes:
        """Sign what was offered, and show the key. `header` has other parameters than usual."""
        shown = {"jwk": self.key.as_dict(private=False)}
        return self.sign({"authorization": authorization, "jti": challenge}, **shown | header)

    def prove(self, challenge: str, **header: Any) -> bytes:
        """Sign a challenge."""
        return self.sign({"jti": challenge}, **header)

    def sign(self, payload: object, **header: Any) -> bytes:
        """Sign anything."""
        parts = [{"alg": self.algorithm, "typ": TYPE} | header, payload]
        signed = b".".join(encode(json.dumps(each).encode()) for each in parts)
        return signed + b"." + encode(self._sign(signed))

    def _sign(self, message: bytes) -> bytes:
        private = self.key.private_key
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(message, padding.PKCS1v15(), SHA256())
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def encode(plain: bytes) -> bytes:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(plain).rstrip(b"=")
