"""What TikTok is asked for at the beginning of a sign-in (OAuth authorization request), and what is kept of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from gateway.core.pkce import ChallengeForm, build_challenge, new_verifier
from gateway.core.sign_in import SignInAttempt, build_attempt_key, hash_binding, new_state
from gateway.core.tiktok import build_authorization_url


class AuthorizationPlan(msgspec.Struct, frozen=True):
    """What every authorization request of this gateway has in common."""

    authorize_url: str
    client_key: str
    redirect_uri: str
    scopes: tuple[str, ...]
    pkce: ChallengeForm
    always_ask: bool
    known_scopes: frozenset[str]  # all that the settings name: no others are asked for again


class Wish(msgspec.Struct, frozen=True):
    """What a sign-in is to ask TikTok for."""

    scopes: tuple[str, ...] = ()  # instead of the usual ones
    extra: tuple[str, ...] = ()  # those of them that a page has asked the person for
    ask: bool = False  # TikTok is to show its page, which it would leave out for whoever has consented before
    regains_for: str = ""  # subject who is signed in already


USUAL: Final = Wish()


class Prepared(msgspec.Struct, frozen=True):
    """A sign-in that is ready to begin: what to keep, under which store key, and TikTok's address for it."""

    key: str
    attempt: SignInAttempt
    location: str

    def __repr__(self) -> str:
        """Do not show the address, which has the state."""
        return f"Prepared({self.attempt!r})"


def prepare(plan: AuthorizationPlan, wish: Wish, *, return_to: str, binding: str, now: datetime) -> Prepared:
    """Prepare a sign-in; `binding` is the value of the browser's cookie."""
    state = new_state()
    asked = tuple(sorted(wish.scopes)) or plan.scopes
    verifier = new_verifier() if plan.pkce != "off" else None
    attempt = SignInAttempt(
        binding=hash_binding(binding),
        code_verifier=verifier,
        return_to=return_to,
        scopes=asked,
        begun_at=now,
        extra=wish.extra,
        regains_for=wish.regains_for,
    )
    location = build_authorization_url(
        plan.authorize_url,
        client_key=plan.client_key,
        redirect_uri=plan.redirect_uri,
        scopes=asked,
        state=state,
        code_challenge=build_challenge(verifier, plan.pkce) if verifier is not None else None,
        always_ask=wish.ask or (plan.always_ask and not wish.regains_for),
    )
    return Prepared(build_attempt_key(state), attempt, location)
