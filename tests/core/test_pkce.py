import re

import pytest

from gateway.core.pkce import build_challenge, new_verifier

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def test_hex_is_the_vector_of_tiktoks_page() -> None:
    assert build_challenge(VERIFIER, "hex") == "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"


def test_base64url_is_the_vector_of_rfc_7636_appendix_b() -> None:
    assert build_challenge(VERIFIER, "base64url") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_off_has_no_challenge() -> None:
    assert build_challenge(VERIFIER, "off") is None


def test_verifiers_are_fresh_and_of_the_allowed_alphabet() -> None:
    first, second = new_verifier(), new_verifier()
    assert first != second
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", first)


@pytest.mark.parametrize("form", ["hex", "base64url"])
def test_challenge_depends_on_the_verifier(form: str) -> None:
    assert build_challenge("a" * 43, form) != build_challenge("b" * 43, form)  # type: ignore[arg-type]
