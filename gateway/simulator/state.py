"""What TikTok knows: codes, tokens, grants; and the calls that were made, for tests to count."""

from __future__ import annotations

import collections
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.simulator.people import PEOPLE, Person
from gateway.simulator.troubles import Troubles


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """The app that is registered at the simulator."""

    client_key: str = "simulated-client-key"
    client_secret: str = "simulated-client-secret"  # noqa: S105 -- it opens nothing
    redirect_uris: tuple[str, ...] | None = None  # None takes any that obeys TikTok's rules for static addresses
    scopes: tuple[str, ...] = (
        "user.info.basic",
        "user.info.profile",
        "user.info.stats",
        "video.list",
        "video.upload",
        "video.publish",
    )


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, not yet redeemed."""

    person: Person
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    expires_at: float


@dataclass(slots=True)
class Token:
    """An access or refresh token."""

    person: Person
    scopes: tuple[str, ...]
    expires_at: float
    dead: bool = False


@dataclass
class Simulator:
    """The state behind the endpoints. Safe to use from the thread of a test while the app serves."""

    settings: SimulatorSettings = field(default_factory=SimulatorSettings)
    troubles: Troubles = field(default_factory=Troubles)
    people: Mapping[str, Person] = field(default_factory=lambda: PEOPLE)
    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    codes: dict[str, Code] = field(default_factory=dict)
    access_tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    qr_codes: dict[str, Any] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def qr_redirect_uri(self) -> str:
        """The address that a QR code's authorization code stands in, where it stands in one."""
        return (self.settings.redirect_uris or ("https://app.example/callback",))[0]

    def new_code(self, person: Person, scopes: tuple[str, ...], redirect_uri: str, challenge: str | None) -> str:
        """Issue a code; real ones contain `*` and `!`."""
        code = f"{secrets.token_urlsafe(24)}*{secrets.randbelow(9)}!{secrets.randbelow(10000)}.va"
        with self.lock:
            self.codes[code] = Code(person, scopes, redirect_uri, challenge, time.time() + self.troubles.code_lifetime)
        return code

    def take_code(self, code: str) -> Code | None:
        """Return a live code, once."""
        with self.lock:
            found = self.codes.pop(code, None)
        return found if found is not None and time.time() < found.expires_at else None

    def new_tokens(
        self, person: Person, scopes: tuple[str, ...], *, refresh_token: str | None = None
    ) -> tuple[str, str]:
        """Issue an access token, and a refresh token unless the old one is kept."""
        access = f"act.{secrets.token_urlsafe(40)}!4521.va"
        refresh = refresh_token or f"rft.{secrets.token_urlsafe(40)}!4527.va"
        with self.lock:
            self.access_tokens[access] = Token(person, scopes, time.time() + self.troubles.access_lifetime)
            if refresh_token is None:
                expires_at = time.time() + self.troubles.refresh_lifetime
                self.refresh_tokens[refresh] = Token(person, scopes, expires_at)
        return access, refresh

    def live(self, tokens: dict[str, Token], text: str) -> Token | None:
        """Return a token that is known, not dead and not expired."""
        with self.lock:
            token = tokens.get(text)
        return token if token is not None and not token.dead and time.time() < token.expires_at else None

    def disconnect(self, open_id: str) -> None:
        """End a person's grant: all tokens are dead at once."""
        with self.lock:
            for token in (*self.access_tokens.values(), *self.refresh_tokens.values()):
                if token.person.open_id == open_id:
                    token.dead = True

    def reset(self) -> None:
        """Forget everything, and return to a good day."""
        with self.lock:
            self.troubles.reset()
            for each in (self.calls, self.codes, self.access_tokens, self.refresh_tokens, self.qr_codes):
                each.clear()
