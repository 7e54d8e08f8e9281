"""What a browser signs to bind itself to a session, or to prove that it still holds the key of its device (DBSC).

A browser that knows Device Bound Session Credentials (W3C, webappsec-dbsc) makes a key that cannot leave the device,
and signs with it what it was told to sign: a compact JWS (RFC 7515) of type `dbsc+jwt`. At registration its header has
the public key, and its payload what was offered; a proof later has the challenge alone, as `jti`.

Nothing here trusts a word of it before the signature holds: two algorithms, keys of bounded sizes, bounded texts.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.core.device_key import ALGORITHMS, DeviceKey
from gateway.errors import DeviceProofRefused

TYPE: Final = "dbsc+jwt"
LONGEST_TOKEN: Final = 4096
"""Bytes: a key and a signature of RSA-4096, and what was offered, take some 2,000."""
RSA_BITS: Final = range(2048, 4097)
RSA_EXPONENT: Final = "AQAB"
"""65537, as everybody has it. A larger one would make each proof as slow to check as somebody likes."""
_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Sizes(jws.JWSRegistry):
    """As much as an RSA key in a header needs, which is more than usual; `LONGEST_TOKEN` bounds the whole."""

    max_header_length = LONGEST_TOKEN


_REGISTRY: Final = _Sizes(algorithms=ALGORITHMS)
_REGISTRIES: Final = {algorithm: _Sizes(algorithms=[algorithm]) for algorithm in ALGORITHMS}


class Registration(msgspec.Struct, frozen=True):
    """What a browser has signed to bind itself, by the key that it shows."""

    key: DeviceKey
    challenge: str
    authorization: str


def read_offered(token: bytes) -> tuple[str, str]:
    """Return challenge and authorization that a registration is about, whoever signed it: cheap to read, and to refuse.

    Raises `DeviceProofRefused`.
    """
    _, payload = _extract(token)
    challenge, authorization = payload.get("jti"), payload.get("authorization")
    if not isinstance(challenge, str) or not isinstance(authorization, str):
        raise DeviceProofRefused("a registration lacks what was offered")
    return challenge, authorization


def read_registration(token: bytes, now: datetime) -> Registration:
    """Read what binds a browser. Raises `DeviceProofRefused` for anything that the key in it has not signed."""
    challenge, authorization = read_offered(token)
    header, _ = _extract(token)
    algorithm = header["alg"]
    key = _import_shown(algorithm, header.get("jwk"))
    _verify(token, key, algorithm)
    return Registration(DeviceKey(algorithm, key.as_der(private=False), now), challenge, authorization)


def read_challenge(token: bytes) -> str:
    """Return the challenge that a proof is about, whoever signed it. Raises `DeviceProofRefused`."""
    challenge = _extract(token)[1].get("jti")
    if not isinstance(challenge, str):
        raise DeviceProofRefused("a proof has no challenge")
    return challenge


def check_proof(token: bytes, device: DeviceKey) -> None:
    """Check that the device's key has signed a proof. Raises `DeviceProofRefused`."""
    header, _ = _extract(token)
    if header["alg"] != device.algorithm:
        raise DeviceProofRefused("a proof by another algorithm than the key's")
    kind = ECKey if device.algorithm == "ES256" else RSAKey
    _verify(token, kind.import_key(device.key), device.algorithm)


def _extract(token: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and payload of a JWS that has the form of ours; nothing says yet who signed it."""
    if len(token) > LONGEST_TOKEN or not _COMPACT.fullmatch(token):
        raise DeviceProofRefused("no JWS in its compact form, or too long a one")
    try:
        signed = jws.extract_compact(token, registry=_REGISTRY)
        header, payload = signed.protected, msgspec.json.decode(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise DeviceProofRefused(f"no JWS: {type(error).__name__}") from None
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise DeviceProofRefused("a JWS of another form")
    if header.get("typ") != TYPE or header.get("alg") not in ALGORITHMS:
        raise DeviceProofRefused("a JWS of another type or algorithm")
    return header, payload


def _import_shown(algorithm: str, shown: object) -> ECKey | RSAKey:
    """Return the public key that a header shows."""
    if not isinstance(shown, dict):
        raise DeviceProofRefused("a registration shows no key")
    try:
        if algorithm == "ES256":
            return _check_curve({name: shown[name] for name in ("kty", "crv", "x", "y")})
        return _check_size({name: shown[name] for name in ("kty", "n", "e")})
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise DeviceProofRefused(f"no key that is taken: {type(error).__name__}") from None


def _check_curve(shown: dict[str, Any]) -> ECKey:
    if shown["kty"] != "EC" or shown["crv"] != "P-256":
        raise ValueError
    return ECKey.import_key(shown)


def _check_size(shown: dict[str, Any]) -> RSAKey:
    modulus = int.from_bytes(urlsafe_b64decode(shown["n"] + "=="))
    if shown["kty"] != "RSA" or modulus.bit_length() not in RSA_BITS or shown["e"] != RSA_EXPONENT:
        raise ValueError
    return RSAKey.import_key(shown)


def _verify(token: bytes, key: ECKey | RSAKey, algorithm: str) -> None:
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRIES[algorithm])
    except (JoseError, ValueError, TypeError) as error:
        raise DeviceProofRefused(f"the signature does not hold: {type(error).__name__}") from None
