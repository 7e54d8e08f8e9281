"""What an operator can see and end: sessions and grants, of one person or of all.

Sessions are named by their public ids, which open nothing. What is ended here has ended on every replica, and so has
what leans on it: they all hear of it from the store.

Records that none of the keys opens are told of, never guessed about: an operator with the wrong keys would otherwise
see nobody signed in, and might delete grants that nobody could then revoke at TikTok. Their store keys are added to
`unreadable`.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable, Collection, Generator
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from gateway.core.audit import AuditEvent, Reach, What
from gateway.core.grant import Grant, build_grant_key, build_lease_key
from gateway.core.session import Session, SessionLimits, public_id
from gateway.errors import GatewayError, RecordsUnreadable
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.disconnect import Disconnect
from gateway.flows.ports import Records
from gateway.flows.refresh_attempts import keys_beside
from gateway.flows.sessions import Sessions
from gateway.flows.webhook_log import WebhookLog

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class SessionView(msgspec.Struct, frozen=True):
    """A session as an operator sees it."""

    session_id: str
    open_id: str
    username: str | None
    display_name: str | None
    scopes: tuple[str, ...]
    signed_in_at: Moment
    last_seen_at: Moment
    expires_at: Moment
    user_agent: str
    bound_at: Moment | None = None  # since when it is bound to its device


class GrantView(msgspec.Struct, frozen=True):
    """A grant as an operator sees it: never a token."""

    open_id: str
    union_id: str | None
    username: str | None
    display_name: str | None
    scopes: tuple[str, ...]
    granted_at: Moment | None
    token_expires_at: Moment
    refresh_expires_at: Moment


class Erased(msgspec.Struct, frozen=True):
    """What was known of a person, and is no longer."""

    sessions: int
    grant: bool
    revoked: bool
    """Whether a grant was there, and TikTok has confirmed that it is dead there too."""
    pending: bool
    """Whether TikTok is still being asked."""

    @property
    def was_nobody(self) -> bool:
        """Whether there was neither session nor grant."""
        return not (self.sessions or self.grant or self.pending)


class Oversight:
    """The operator's view."""

    def __init__(
        self,
        store: Records,
        sessions: Sessions,
        disconnect: Disconnect,
        limits: SessionLimits,
        webhooks: WebhookLog,
        *,
        client_key: str,
        clock: Callable[[], datetime],
        announce: Announce = keep_silent,
    ) -> None:
        self._announce = announce
        self._store = store
        self._sessions = sessions
        self._disconnect = disconnect
        self._limits = limits
        self._webhooks = webhooks
        self._client_key = client_key
        self._clock = clock

    async def find_session(
        self, session_id: str, subject: str | None = None, unreadable: set[str] | None = None
    ) -> SessionView | None:
        """Return the session of that public id; without knowing whose it is, all have to be looked at."""
        found = await self._find(session_id, subject, unreadable)
        return await self._view(*found) if found is not None else None

    async def end_session(
        self, session_id: str, subject: str | None = None, unreadable: set[str] | None = None
    ) -> bool:
        """End one session; returns whether there was one."""
        found = await self._find(session_id, subject, unreadable)
        if found is None:
            return False
        await self._sessions.end_session(*found)
        self._announce(
            AuditEvent(
                what=What.SIGNED_OUT, subject=found[1].subject, session=public_id(found[0]), reach=Reach.ONE_SESSION
            )
        )
        return True

    async def end_sessions(self, subject: str) -> int:
        """End all sessions of a person, and the grant with them, unless it is kept; returns how many there were.

        Raises `RecordsUnreadable`, here and below, when some of the person's cannot be opened: nothing is changed then.
        """
        with self._telling(What.SIGNED_OUT, subject):
            await self._refuse_unreadable(subject)
            ended = len(await self._sessions.sign_out_all(subject, self._clock()))
        self._announce(AuditEvent(what=What.SIGNED_OUT, subject=subject, reach=Reach.EVERYWHERE, ended=ended))
        return ended

    async def find_grant(self, subject: str) -> GrantView | None:
        """Return a person's grant."""
        grant = await self._read_grant(subject)
        return view_grant(grant) if grant is not None else None

    async def revoke_grant(self, subject: str) -> bool:
        """End a person's grant, here and at TikTok, and every session; returns whether there was one."""
        with self._telling(What.GRANT_REVOKED, subject):
            await self._refuse_unreadable(subject)
            return await self._end_grant(subject)

    async def _end_grant(self, subject: str) -> bool:
        grant = await self._read_grant(subject)
        if grant is None:
            await self._sessions.end_all(subject, self._clock())
            return False
        await self._disconnect.disconnect(grant)
        return True

    async def erase(self, subject: str, *, even_unreadable: bool = False) -> Erased:
        """End everything of a person, and leave nothing behind that could be told to be theirs.

        While TikTok does not confirm the revocation, the sealed tokens stay in a job, until it does or is given up.
        `even_unreadable` deletes what cannot be opened, too: of a grant among it, TikTok is not told.
        """
        with self._telling(What.PERSON_ERASED, subject):
            return await self._erase(subject, even_unreadable=even_unreadable)

    async def _erase(self, subject: str, *, even_unreadable: bool) -> Erased:
        if not even_unreadable:
            await self._refuse_unreadable(subject)
        unreadable: set[str] = set()
        found = await self._sessions.of_subject(subject, self._clock(), unreadable)
        sessions = {key for key, _ in found} | unreadable
        had_grant = await self._end_grant(subject)
        grant_key = build_grant_key(self._client_key, subject)
        await self._store.delete(*sessions, build_lease_key(grant_key), *keys_beside(grant_key))
        await self._webhooks.forget(subject)
        self._announce(AuditEvent(what=What.PERSON_ERASED, subject=subject, ended=len(sessions)))
        over = await self._disconnect.is_over(subject)
        return Erased(len(sessions), had_grant, revoked=had_grant and over, pending=not over)

    @contextlib.contextmanager
    def _telling(self, what: What, subject: str) -> Generator[None]:
        """Announce an act that fails, too: it may have been done by half."""
        try:
            yield
        except GatewayError as error:
            self._announce(AuditEvent(what=what, subject=subject, cause=error.code))
            raise

    async def _refuse_unreadable(self, subject: str) -> None:
        unreadable: set[str] = set()
        await self._sessions.of_subject(subject, self._clock(), unreadable)
        await self._sessions.read_grant(build_grant_key(self._client_key, subject), unreadable)
        if unreadable:
            raise RecordsUnreadable(f"{describe_unreadable(unreadable)}; nothing was changed")

    async def _view(self, key: str, session: Session) -> SessionView:
        stored = await self._sessions.read_grant(session.grant_key)
        return view_session(key, session, stored.grant if stored is not None else None, self._limits)

    async def _find(
        self, session_id: str, subject: str | None, unreadable: set[str] | None
    ) -> tuple[str, Session] | None:
        if subject is None:
            keys = [await self._sessions.find_key(session_id)]
        else:
            keys = [*await self._sessions.keys_of(subject, self._clock())]
        named = [key for key in keys if key is not None and public_id(key) == session_id]
        found = await self._sessions.read_sessions(named, self._clock(), unreadable)
        return found[0] if found else None

    async def _read_grant(self, subject: str) -> Grant | None:
        stored = await self._sessions.read_grant(build_grant_key(self._client_key, subject))
        return stored.grant if stored is not None else None


def describe_unreadable(unreadable: Collection[str]) -> str:
    """Say how many records cannot be opened, and why that may be."""
    number = f"{len(unreadable)} record{'' if len(unreadable) == 1 else 's'}"
    return f"{number} cannot be opened with these secret_keys: is a key missing, or the key_prefix another gateway's?"


def has_username(person: SessionView | GrantView, username: str) -> bool:
    """Whether a person has that username, with or without @ (TikTok tells them by their case, people do not)."""
    return (person.username or "").casefold() == username.removeprefix("@").casefold()


LONGEST_NAME: Final = 100
"""Letters beyond which nobody's name goes on; in another form they may be eighteen times as many."""


def is_named(person: SessionView | GrantView, name: str) -> bool:
    """Whether a person's username or display name begins so, however it is written.

    Whoever has not granted `user.info.profile` has no username here. Letters that only look otherwise, as people like
    to have them in names, are what they stand for (Unicode's NFKC).
    """
    if len(name) > LONGEST_NAME:
        return False
    wanted = _plain(name.removeprefix("@"))
    return bool(wanted) and any(
        _plain(each or "").startswith(wanted) for each in (person.username, person.display_name)
    )


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def view_session(key: str, session: Session, grant: Grant | None, limits: SessionLimits) -> SessionView:
    """Return a session, and of the grant that it leans on what goes with it."""
    return SessionView(
        session_id=public_id(key),
        open_id=session.subject,
        username=grant.profile.username if grant is not None else None,
        display_name=grant.profile.display_name if grant is not None else None,
        scopes=grant.tokens.scopes if grant is not None else (),
        signed_in_at=_whole(session.signed_in_at),
        last_seen_at=_whole(session.last_seen_at),
        expires_at=_whole(session.expires_at(limits)),
        user_agent=session.user_agent,
        bound_at=_whole(session.device.bound_at) if session.device is not None else None,
    )


def view_grant(grant: Grant) -> GrantView:
    """Return a grant without its tokens."""
    profile, tokens = grant.profile, grant.tokens
    return GrantView(
        open_id=grant.subject,
        union_id=profile.union_id,
        username=profile.username,
        display_name=profile.display_name,
        scopes=tokens.scopes,
        granted_at=_whole(grant.granted_at) if grant.granted_at is not None else None,
        token_expires_at=_whole(tokens.access_expires_at),
        refresh_expires_at=_whole(tokens.refresh_expires_at),
    )


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
