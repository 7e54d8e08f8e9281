"""What TikTok knows: codes, tokens, grants; and the calls that were made, for tests to count."""

from __future__ import annotations

import collections
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.simulator.apps import App, SimulatorSettings
from gateway.simulator.people import Person
from gateway.simulator.seen import SeenRequests
from gateway.simulator.troubles import Troubles


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, not yet redeemed."""

    person: Person
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    client_key: str
    expires_at: float


@dataclass(slots=True)
class Token:
    """An access or refresh token."""

    person: Person
    scopes: tuple[str, ...]
    client_key: str
    expires_at: float
    dead: bool = False


@dataclass
class Simulator:
    """The state behind the endpoints. Safe to use from the thread of a test while the app serves."""

    settings: SimulatorSettings = field(default_factory=SimulatorSettings)
    troubles: Troubles = field(default_factory=Troubles)
    people: Mapping[str, Person] = field(default_factory=dict)
    requests: SeenRequests = field(default_factory=SeenRequests)
    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    codes: dict[str, Code] = field(default_factory=dict)
    taken_codes: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=1000))
    access_tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    qr_codes: dict[str, Any] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Know the people of the settings, unless there are others."""
        self.people = self.people or self.settings.people

    def new_code(
        self, person: Person, scopes: tuple[str, ...], redirect_uri: str, *, challenge: str | None, client_key: str
    ) -> str:
        """Issue a code; real ones contain `*` and `!`."""
        code = f"{secrets.token_urlsafe(24)}*{secrets.randbelow(9)}!{secrets.randbelow(10000)}.va"
        with self.lock:
            expires_at = time.time() + self.troubles.code_lifetime
            self.codes[code] = Code(person, scopes, redirect_uri, challenge, client_key, expires_at)
        return code

    def take_code(self, code: str, app: App) -> tuple[Code | None, str]:
        """Return a live code of an app's, once; or None, and why there is none."""
        with self.lock:
            found = self.codes.pop(code, None)
            taken = code in self.taken_codes
            if found is not None:
                self.taken_codes.append(code)
        if found is None:
            if not code:
                return None, "code is missing."
            if taken:
                return None, "The code was redeemed before: it is good for once."
            return (
                None,
                "There was no such code: it is decoded once from the callback's query, and has `*` in it.",
            )
        if time.time() >= found.expires_at:
            return None, f"The code lived for {self.troubles.code_lifetime:g} seconds: the switch code_lifetime."
        return (found, "") if found.client_key == app.client_key else (None, "The code is another app's.")

    def new_tokens(
        self, person: Person, scopes: tuple[str, ...], app: App, *, refresh_token: str | None = None
    ) -> tuple[str, str]:
        """Issue an access token, and a refresh token unless the old one is kept."""
        access = f"act.{secrets.token_urlsafe(40)}!4521.va"
        refresh = refresh_token or f"rft.{secrets.token_urlsafe(40)}!4527.va"
        with self.lock:
            self.access_tokens[access] = Token(
                person, scopes, app.client_key, time.time() + self.troubles.access_lifetime
            )
            if refresh_token is None:
                expires_at = time.time() + self.troubles.refresh_lifetime
                self.refresh_tokens[refresh] = Token(person, scopes, app.client_key, expires_at)
        return access, refresh

    def live(self, tokens: dict[str, Token], text: str, app: App | None = None) -> Token | None:
        """Return a token that is known, not dead and not expired; of one app, or of any."""
        with self.lock:
            token = tokens.get(text)
        if token is None or token.dead or time.time() >= token.expires_at:
            return None
        return token if app is None or token.client_key == app.client_key else None

    def disconnect(self, open_id: str, client_key: str | None = None) -> None:
        """End a person's grant to an app, or to all: the tokens are dead at once."""
        with self.lock:
            for token in (*self.access_tokens.values(), *self.refresh_tokens.values()):
                if token.person.open_id == open_id and client_key in {None, token.client_key}:
                    token.dead = True

    def reset(self) -> None:
        """Forget everything, and turn all switches back."""
        with self.lock:
            self.troubles.reset()
            for each in (
                self.calls,
                self.codes,
                self.taken_codes,
                self.access_tokens,
                self.refresh_tokens,
                self.qr_codes,
                self.requests,
            ):
                each.clear()
