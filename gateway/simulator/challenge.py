"""PKCE, in the two forms that apps send: TikTok's own (hex), and RFC 7636's (base64url without padding)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final, Literal

ChallengeForm = Literal["either", "hex", "base64url", "ignored"]
"""Which forms are taken; `ignored` compares nothing, as if TikTok knew no PKCE."""

_LOOKS: Final = {"hex": re.compile(r"[0-9a-f]{64}"), "base64url": re.compile(r"[A-Za-z0-9_-]{43}")}


def hash_verifier(verifier: str) -> dict[str, str]:
    """Return the challenges of a verifier, by form."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogateescape"))
    return {
        "hex": digest.hexdigest(),
        "base64url": base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(),
    }


def fits(challenge: str, verifier: str, taken: ChallengeForm) -> bool:
    """Whether a verifier belongs to a challenge, in a form that is taken."""
    if taken == "ignored":
        return True
    return challenge in {text for form, text in hash_verifier(verifier).items() if taken in {form, "either"}}


def find_fault(challenge: str, taken: ChallengeForm) -> str:
    """Return what is wrong with the form of a challenge, for the app's developer; "" if nothing is."""
    form = next((form for form, look in _LOOKS.items() if look.fullmatch(challenge)), "")
    if taken == "ignored" or form == taken or (form and taken == "either"):
        return ""
    if form:
        return f"code_challenge is in the {form} form; the switch challenge_form={taken} takes no other."
    return (
        "code_challenge is neither 64 hex digits in lower case, which TikTok's page asks of desktop apps, "
        "nor 43 characters of base64url (RFC 7636)."
    )
