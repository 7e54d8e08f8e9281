"""Proof Key for Code Exchange (PKCE), in TikTok's form and in the standard one.

TikTok's challenge is the lower-case hexadecimal SHA-256 of the verifier (Login Kit for Desktop), which is *not*
the base64url form of RFC 7636 §4.2. `off` sends no challenge at all.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Literal

ChallengeForm = Literal["hex", "base64url", "off"]


def new_verifier() -> str:
    """Make a fresh code verifier of 43 characters (RFC 7636 §4.1: 43 to 128, unreserved only)."""
    return secrets.token_urlsafe(32)


def build_challenge(verifier: str, form: ChallengeForm) -> str | None:
    """Return the `code_challenge` that belongs to `verifier`, or None when PKCE is off."""
    digest = hashlib.sha256(verifier.encode("ascii"))
    match form:
        case "hex":
            return digest.hexdigest()
        case "base64url":
            return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode("ascii")
        case "off":
            return None
