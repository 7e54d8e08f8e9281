"""What a browser signs: one form, two algorithms, keys of bounded sizes; nothing else is taken."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from gateway.core.device_proof import LONGEST_TOKEN, check_proof, read_challenge, read_registration
from gateway.errors import DeviceProofRefused
from tests.device_binding.device import TYPE, Device, encode

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("algorithm", "bits"), [("ES256", 0), ("RS256", 2048), ("RS256", 4096)], ids=["ES256", "RSA-2048", "RSA-4096"]
)
def test_a_device_registers_and_proves(algorithm: str, bits: int) -> None:
    device = Device(algorithm, bits=bits)
    found = read_registration(device.register("c" * 43, "a" * 200), NOW)
    assert (found.challenge, found.authorization) == ("c" * 43, "a" * 200)
    assert found.key.algorithm == algorithm
    assert found.key.bound_at == NOW
    proof = device.prove("again")
    assert read_challenge(proof) == "again"
    check_proof(proof, found.key)


def test_a_key_shown_with_its_private_half_is_kept_without() -> None:
    device = Device()
    found = read_registration(device.register("c", "a", jwk=device.key.as_dict(private=True)), NOW)
    assert found.key.key == device.key.as_der(private=False)


def test_another_key_proves_nothing() -> None:
    mine = read_registration(Device().register("c", "a"), NOW).key
    for other in (Device(), Device("RS256")):
        with pytest.raises(DeviceProofRefused):
            check_proof(other.prove("c"), mine)


def test_a_proof_shows_no_key_of_its_own() -> None:
    thief, mine = Device(), read_registration(Device().register("c", "a"), NOW).key
    with pytest.raises(DeviceProofRefused):
        check_proof(thief.prove("c", jwk=thief.key.as_dict(private=False)), mine)


def _none(payload: dict[str, Any], **header: Any) -> bytes:
    parts = [{"alg": "none", "typ": TYPE} | header, payload]
    return b".".join(encode(json.dumps(each).encode()) for each in parts) + b".AA"


def _by_secret(payload: dict[str, Any], device: Device) -> bytes:
    """Sign by HMAC, with the public key for a secret (algorithm confusion)."""
    parts = [{"alg": "HS256", "typ": TYPE, "jwk": device.key.as_dict(private=False)}, payload]
    signed = b".".join(encode(json.dumps(each).encode()) for each in parts)
    return signed + b"." + encode(hmac.digest(device.key.as_der(private=False), signed, "sha256"))


def _register(header: dict[str, Any], *, device: Device | None = None) -> bytes:
    return (device or Device()).register("c", "a", **header)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"a.b", id="two parts"),
        pytest.param(b"a.b.c.d", id="four parts"),
        pytest.param(b'"a.b.c"', id="quoted"),
        pytest.param(b"a" * LONGEST_TOKEN + b".b.c", id="long"),
        pytest.param(_none({"jti": "c", "authorization": "a"}), id="none"),
        pytest.param(_by_secret({"jti": "c", "authorization": "a"}, Device()), id="HMAC"),
        pytest.param(_register({"typ": "JWT"}), id="another type"),
        pytest.param(_register({"jwk": None}), id="no key"),
        pytest.param(_register({"jwk": "x"}), id="a key that is a text"),
        pytest.param(_register({"jwk": ECKey.generate_key("P-256").as_dict(private=False)}), id="another's key"),
        pytest.param(_register({"jwk": ECKey.generate_key("P-384").as_dict(private=False)}), id="another curve"),
        pytest.param(_register({"jwk": RSAKey.generate_key(2048).as_dict(private=False)}), id="a key of another kind"),
        pytest.param(Device().sign({"jti": "c"}, jwk=Device().key.as_dict(private=False)), id="no authorization"),
        pytest.param(Device().sign({"authorization": "a", "jti": 7}), id="a challenge that is a number"),
        pytest.param(Device().sign([], jwk={}), id="a payload of another form"),
    ],
)
def test_anything_else_is_refused(token: bytes) -> None:
    with pytest.raises(DeviceProofRefused):
        read_registration(token, NOW)


def test_an_rsa_key_has_2048_to_4096_bits_and_the_usual_exponent() -> None:
    small = {"kty": "RSA", "n": encode(b"\xff" * 128).decode(), "e": "AQAB"}
    large = {"kty": "RSA", "n": base64.urlsafe_b64encode(b"\xff" * 1024).rstrip(b"=").decode(), "e": "AQAB"}
    odd = Device("RS256").key.as_dict(private=False) | {
        "e": base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("=")
    }
    for shown in (small, large, odd):
        with pytest.raises(DeviceProofRefused, match="no key that is taken"):
            read_registration(Device("RS256").register("c", "a", jwk=shown), NOW)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=127))
def test_any_changed_byte_is_refused(position: int, change: int) -> None:
    token = bytearray(TOKEN)
    token[position % len(token)] ^= change
    with pytest.raises(DeviceProofRefused):
        check_proof(bytes(token), KEY)


@given(st.binary(max_size=300))
def test_nothing_else_is_read(token: bytes) -> None:
    for read in (read_challenge, lambda each: read_registration(each, NOW)):
        with pytest.raises(DeviceProofRefused):
            read(token)


DEVICE = Device()
TOKEN = DEVICE.prove("c")
KEY = read_registration(DEVICE.register("c", "a"), NOW).key
