"""Sessions and grants in pages (pagination), for operators: however many there are, a page is bounded work.

There is no list of all that the store keeps in order: whoever wants one walks the store, step by step. A page is a few
steps. It may have fewer items than asked for, or none, while more follow: there is an end once there is no `next`. What
is there during the whole walk is found, and some of it maybe twice; what comes or goes meanwhile may be missing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from gateway.core.grant import GRANT_KEY
from gateway.core.session import SESSION_KEY, SessionLimits
from gateway.errors import MalformedRequest
from gateway.flows.oversight import GrantView, SessionView, has_username, is_named, view_grant, view_session
from gateway.flows.ports import Walk
from gateway.flows.sessions import Sessions

MOST: Final = 1000
"""Most items of a page."""
STEPS: Final = 20
"""Most steps for a page."""
STRIDE: Final = 1000
"""Most keys that one step is to pass: others wait for Redis meanwhile."""
SPARE: Final = 16
"""A step may find more than the page still takes. So many keys go into `next`; beyond, it is taken again, shorter."""
_LONGEST: Final = 8192


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where the next page begins: where the store goes on, None for its end, and what was found before that."""

    at: str | None = ""
    left: tuple[str, ...] = ()

    def write(self) -> str | None:
        """Return it as `next`; None at the end."""
        if self.at is None and not self.left:
            return None
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()


def read_position(text: str) -> Position:
    """Read what `next` said, "" at the beginning. Raises `MalformedRequest`."""
    if not text:
        return Position()
    try:
        if len(text) > _LONGEST:
            raise ValueError("too long")
        return msgspec.msgpack.decode(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", True), type=Position)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise MalformedRequest("`cursor` is what `next` of the page before said") from None


class SessionPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sessions, in no order."""

    sessions: tuple[SessionView, ...]
    next: str | None = None
    """For `cursor`, where there may be more."""


class GrantPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Grants, in no order."""

    grants: tuple[GrantView, ...]
    next: str | None = None
    """For `cursor`, where there may be more."""


class Listing:
    """Makes the pages. The keys of records that cannot be opened are added to `unreadable`."""

    def __init__(
        self, store: Walk, sessions: Sessions, limits: SessionLimits, *, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._limits = limits
        self._clock = clock

    async def sessions(
        self,
        cursor: str = "",
        most: int = MOST,
        *,
        subject: str | None = None,
        name: str = "",
        unreadable: set[str] | None = None,
    ) -> SessionPage:
        """Return a page of live sessions, of all or of a person; with `name`, those of it whose person's begins so.

        Raises `MalformedRequest`, `StoreUnavailable`.
        """
        now = self._clock()
        if subject is None:
            keys, then = await self._find(SESSION_KEY, cursor, most)
        else:
            keys, then = _cut(await self._sessions.keys_of(subject, now), cursor, most)
        found = await self._sessions.read_sessions(keys, now, unreadable)
        grants = await self._sessions.read_grants([*{session.grant_key for _, session in found}])
        views = [view_session(key, each, grants.get(each.grant_key), self._limits) for key, each in found]
        return SessionPage(tuple(view for view in views if not name or is_named(view, name)), then)

    async def grants(
        self,
        cursor: str = "",
        most: int = MOST,
        *,
        username: str = "",
        name: str = "",
        unreadable: set[str] | None = None,
    ) -> GrantPage:
        """Return a page of grants; with `username`, those of it whose person has it, with `name`, whose begins so.

        Raises `MalformedRequest`, `StoreUnavailable`.
        """
        keys, then = await self._find(GRANT_KEY, cursor, most)
        found = await self._sessions.read_grants(keys, unreadable)
        return GrantPage(tuple(_filter(map(view_grant, found.values()), username, name)), then)

    async def every_session(
        self, *, subject: str | None = None, username: str = "", name: str = "", unreadable: set[str] | None = None
    ) -> AsyncIterator[SessionView]:
        """Yield live sessions, of all, of a person, or of whoever is called so, page by page."""
        if username or name:
            people = self.every_grant(username=username, name=name, unreadable=unreadable)
            subjects = [each.open_id async for each in people]
            asked: list[str | None] = [each for each in subjects if subject in {None, each}]
        else:
            asked = [subject]
        for each in asked:
            cursor: str | None = ""
            while cursor is not None:
                page = await self.sessions(cursor, subject=each, unreadable=unreadable)
                for session in page.sessions:
                    yield session
                cursor = page.next

    async def every_grant(
        self, *, username: str = "", name: str = "", unreadable: set[str] | None = None
    ) -> AsyncIterator[GrantView]:
        """Yield grants, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.grants(cursor, username=username, name=name, unreadable=unreadable)
            for grant in page.grants:
                yield grant
            cursor = page.next

    async def _find(self, kind: str, cursor: str, most: int) -> tuple[list[str], str | None]:
        """Return at most `most` keys of a kind, and what `next` is to say."""
        position = read_position(cursor)
        keys, at = [f"{kind}{name}" for name in position.left], position.at
        stride = most
        for _ in range(STEPS):
            if at is None or len(keys) >= most:
                break
            found, then = await self._step(kind, at, stride)
            room = most - len(keys)
            if len(found) > room + SPARE and stride > room:
                stride = room  # too much: the same again, shorter
                continue
            keys, at = [*dict.fromkeys([*keys, *found])], then
            stride = min(2 * stride, STRIDE)
        left = tuple(key.removeprefix(kind) for key in keys[most:])
        return keys[:most], Position(at, left).write()

    async def _step(self, kind: str, at: str, stride: int) -> tuple[list[str], str | None]:
        try:
            return await self._store.step(kind, at, stride)
        except ValueError:
            raise MalformedRequest("`cursor` is what `next` of the page before said") from None


def _filter(grants: Iterable[GrantView], username: str, name: str) -> Iterator[GrantView]:
    for each in grants:
        if (not username or has_username(each, username)) and (not name or is_named(each, name)):
            yield each


def _cut(keys: Sequence[str], cursor: str, most: int) -> tuple[list[str], str | None]:
    """Return a page of a list that is whole: it begins after the key that the position names."""
    after = read_position(cursor).at or ""
    rest = [key for key in sorted(keys) if key > after]
    return rest[:most], Position(rest[most - 1]).write() if len(rest) > most else None
