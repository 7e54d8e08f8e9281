"""The cookies that bind sign-in attempts to a browser (login CSRF), and the count of a loop of sign-ins.

A value is 43 characters that only this browser knows, and after a completed sign-in also the turns of a loop and the
moment of completion: `binding.turns.completed_at`. Somebody who begins again so soon has not got in: their session
cookie did not come back, the session was not found, or the app itself sent them away. After a few turns nothing new can
be expected.

A browser that has none yet may open five tabs at once, and gets five: each answer sets a cookie of a name of its own,
so that none takes another's place. A browser that has some goes on with one of them; when it has too many,
the oldest are deleted, a few at a time.

None of this is sealed: somebody who alters the count can break, or begin, a loop of their own and no other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.errors import (
    AppSendsBack,
    SessionCookieLost,
    SessionNotKept,
    SignInLoop,
    SignInOfOtherHost,
)

BINDING_LASTS: Final = timedelta(hours=1)
TURN_LASTS: Final = timedelta(minutes=1)
"""Longest time from a completed sign-in to a new one of the same loop."""
MOST_TURNS: Final = 3
MOST_BINDINGS: Final = 8
"""Most of them that a browser keeps once it has brought them: some 800 bytes."""
MOST_FREED: Final = 16
"""Most of them that one answer takes away: some 2 KB, since nginx takes no head beyond 4 KB unless told to."""
MOST_READ: Final = 64
"""Most that are read of one request: as many as a browser without any could get at once."""

_OPAQUE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE: Final = re.compile(r"([A-Za-z0-9_-]{43})(?:\.([0-9]{1,3})\.([0-9]{1,12}))?")


class Binding(msgspec.Struct, frozen=True):
    """What the cookie says."""

    value: str
    turns: int = 0  # sign-ins of this loop that were begun right after another was completed
    completed_at: int | None = None  # Unix seconds

    def __repr__(self) -> str:
        """Do not show the value."""
        return f"Binding(turns={self.turns}, completed_at={self.completed_at})"

    def __str__(self) -> str:
        """Write the cookie's value."""
        return self.value if self.completed_at is None else f"{self.value}.{self.turns}.{self.completed_at}"

    @property
    def mark(self) -> str:
        """The end of its cookie's name."""
        return self.value[:8]

    @property
    def loops(self) -> bool:
        """Whether this goes on for too long."""
        return self.turns >= MOST_TURNS

    def begin(self, now: datetime) -> Binding:
        """Return the binding of a sign-in that begins.

        The cookie lasts an hour from its completion: one that seems older, or of the future, was written by a replica
        with another clock, which is a cause of loops.
        """
        if self.completed_at is None:
            return self.forget()
        elapsed = now.timestamp() - self.completed_at
        if TURN_LASTS.total_seconds() <= elapsed <= BINDING_LASTS.total_seconds():
            return self.forget()
        return msgspec.structs.replace(self, turns=self.turns + 1)

    def complete(self, now: datetime) -> Binding:
        """Return the binding of a sign-in that is complete."""
        return msgspec.structs.replace(self, completed_at=int(now.timestamp()))

    def forget(self) -> Binding:
        """Return the same without its turns: what comes next is no loop."""
        return Binding(self.value)


def new_binding() -> Binding:
    """Make a fresh one: 256 random bits."""
    return Binding(secrets.token_urlsafe(32))


def read_binding(cookie: str) -> Binding | None:
    """Read a cookie's value; None when it is none that we made."""
    found = _COOKIE.fullmatch(cookie)
    if found is None:
        return None
    value, turns, completed_at = found.groups()
    return Binding(value) if turns is None else Binding(value, int(turns), int(completed_at))


def read_bindings(cookies: Iterable[tuple[bytes, bytes]]) -> tuple[Binding, ...]:
    """Read what a browser brings: the ends of names, and values; the first `MOST_READ` that we made, in their order.

    Browsers send the oldest first (RFC 6265 §5.4).
    """
    found: list[Binding] = []
    for mark, value in cookies:
        binding = read_binding(value.decode("latin-1"))
        if binding is not None and binding.mark.encode() == mark and len(found) < MOST_READ:
            found.append(binding)
    return tuple(found)


def choose_binding(bindings: Sequence[Binding]) -> Binding:
    """Return the one that a sign-in goes on with: of the last completion, else the newest; a fresh one for none."""
    if not bindings:
        return new_binding()
    return max(reversed(bindings), key=lambda each: (each.completed_at or 0, each.turns))


def find_surplus(bindings: Sequence[Binding], kept: Binding) -> tuple[Binding, ...]:
    """Return the oldest of those that are too many once `kept` is set; if there are very many, some of them."""
    others = [each for each in bindings if each.value != kept.value]
    return tuple(others[: min(max(0, len(others) + 1 - MOST_BINDINGS), MOST_FREED)])


def is_opaque(text: str) -> bool:
    """Whether `text` has the shape of a state or binding that we made."""
    return _OPAQUE.fullmatch(text) is not None


def find_cause(*, signed_in: bool, has_cookie: bool, other_host: bool) -> SignInLoop:
    """Return the likely cause of a loop.

    `signed_in` and `has_cookie` tell of the session that came with the request which begins the next turn; with
    `other_host`, sign-ins return to a host that the session cookie is not for.
    """
    if other_host:
        return SignInOfOtherHost(
            "sign-ins return to a host that the session cookie is not for: `public_url` and"
            " `session.cookie_domain` must fit what browsers type"
        )
    if signed_in:
        return AppSendsBack(
            "there is a live session, but the app begins a sign-in: it does not read the identity"
            " headers, or a front does not pass them on"
        )
    if has_cookie:
        return SessionNotKept(
            "the session cookie names no live session: replicas need the same Redis, the same"
            " secret_keys and the same time"
        )
    return SessionCookieLost(
        "the session cookie does not come back: the browser blocks it, something on the way"
        " takes it off, or a proxy without TLS stands before an https public_url"
    )
