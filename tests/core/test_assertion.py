"""What an assertion says, for whom, until when; and what is published of the keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import KeySet

from gateway.core.assertion import ALGORITHM, PART, AssertionKeys, Assertions
from gateway.core.identity import Identity

ISSUER = "https://app.example"
NOW = datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC)
LIFETIME = timedelta(minutes=5)
OLD, NEW = b"o" * 32, b"n" * 32
PERSON = Identity(
    open_id="-000me",
    union_id="union",
    username=None,
    display_name="",
    avatar_url="https://p16.example/a",
    scopes=("user.info.basic", "video.list"),
    access_token="act.secret",
    token_expires_at=NOW,
    session_id="0123456789abcdef0123",
    signed_in_at=NOW,
)


def build(*secret_keys: bytes) -> Assertions:
    return Assertions(
        AssertionKeys(secret_keys),
        header="X-Assertion",
        issuer=ISSUER,
        lifetime=LIFETIME,
        audiences={"office": "urn:office"},
    )


def read(assertions: Assertions, text: bytes) -> Any:
    return jwt.decode(text.decode(), KeySet.import_key_set(assertions.keys.public_set()), algorithms=[ALGORITHM])  # type: ignore[arg-type]


def test_it_says_who_by_which_session_for_whom_and_until_when() -> None:
    assertions = build(NEW)
    name, text = assertions.build(PERSON, "default", NOW)
    issued_at = int(NOW.timestamp())
    token = read(assertions, text)
    assert name == b"x-assertion"
    assert token.header == {"alg": "ES256", "typ": "JWT", "kid": assertions.keys.public_set()["keys"][0]["kid"]}
    assert token.claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "-000me",
        "sid": "0123456789abcdef0123",
        "scope": "user.info.basic video.list",
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + 300,
        "union_id": "union",  # and nothing of what TikTok has not told, nor a token
    }


def test_each_upstream_with_an_audience_has_its_own() -> None:
    assertions = build(NEW)
    assert read(assertions, assertions.build(PERSON, "office", NOW)[1]).claims["aud"] == "urn:office"
    assert read(assertions, assertions.build(PERSON, "shop", NOW)[1]).claims["aud"] == ISSUER


def test_it_is_handed_on_for_a_part_of_its_lifetime_only() -> None:
    assert build(NEW).lasts == LIFETIME * PART < LIFETIME


def test_what_is_published_is_the_public_half_of_every_key() -> None:
    keys = AssertionKeys([NEW, OLD]).public_set()["keys"]
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")


def test_the_newest_signs_and_what_an_older_one_signed_is_still_known() -> None:
    before, rotated, after = build(OLD), build(NEW, OLD), build(NEW)
    old = before.build(PERSON, "default", NOW)[1]
    assert read(rotated, old).claims["sub"] == "-000me"
    assert read(after, rotated.build(PERSON, "default", NOW)[1]).claims["sub"] == "-000me"
    with pytest.raises((InvalidKeyIdError, BadSignatureError)):
        read(after, old)


def test_the_same_secret_keys_make_the_same_keys_and_are_not_shown() -> None:
    assert AssertionKeys([NEW]).public_set() == AssertionKeys([NEW]).public_set()
    assert AssertionKeys([NEW]).public_set() != AssertionKeys([OLD]).public_set()
    assert repr(AssertionKeys([NEW, OLD])) == "AssertionKeys(2 keys)"
