"""What one person granted to this app: TikTok's tokens and what is known of the person.

Tokens belong to the grant (client_key, open_id), not to a browser: TikTok may kill the tokens of an earlier sign-in
when the same person signs in again, so all sessions of a person lean on one grant and share one refresh.

Margins are fractions of the lifetime that TikTok gave, never fixed: that lifetime has changed before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import ClassVar, Final

import msgspec

from gateway.core.deflated import deflate_text, inflate_text
from gateway.core.record import CompactForm, Record
from gateway.core.tiktok import Profile, TokenSet

REFRESH_FROM: Final = 0.8
"""Part of an access token's lifetime after which it is refreshed ahead of need."""
LEEWAY: Final = 0.02
"""Part of the lifetime, before expiry, in which a token counts as expired: it must survive the way to TikTok."""
MAX_LEEWAY: Final = timedelta(seconds=30)
PROFILE_LASTS: Final = timedelta(hours=12)
"""Avatar URLs are signed and may expire within hours."""


GRANT_KEY: Final = "grant:"
"""What every store key of a grant begins with."""


class CompactTokens(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """TikTok's tokens in few bytes."""

    access_token: str
    refresh_token: str
    scopes: tuple[str, ...]
    obtained_at: datetime
    access_expires_at: datetime
    refresh_expires_at: datetime

    @classmethod
    def of(cls, tokens: TokenSet) -> CompactTokens:
        """Return the compact form of somebody's tokens."""
        return cls(*msgspec.structs.astuple(tokens)[1:])

    def restore(self, open_id: str) -> TokenSet:
        """Return them as the tokens of `open_id`."""
        return TokenSet(
            open_id,
            self.access_token,
            self.refresh_token,
            self.scopes,
            self.obtained_at,
            self.access_expires_at,
            self.refresh_expires_at,
        )


class CompactProfile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A profile in few bytes."""

    union_id: str | None
    username: str | None
    display_name: str | None
    avatar_url: bytes | None
    is_verified: bool | None
    follower_count: int | None
    following_count: int | None
    likes_count: int | None
    video_count: int | None

    @classmethod
    def of(cls, profile: Profile) -> CompactProfile:
        """Return the compact form of somebody's profile."""
        _, union_id, username, display_name, avatar_url, *facts = msgspec.structs.astuple(profile)
        avatar = deflate_text(avatar_url) if avatar_url is not None else None
        return cls(union_id, username, display_name, avatar, *facts)

    def restore(self, open_id: str) -> Profile:
        """Return it as the profile of `open_id`."""
        return Profile(
            open_id,
            self.union_id,
            self.username,
            self.display_name,
            inflate_text(self.avatar_url) if self.avatar_url is not None else None,
            self.is_verified,
            self.follower_count,
            self.following_count,
            self.likes_count,
            self.video_count,
        )


class CompactGrant(CompactForm, frozen=True):
    """A grant in few bytes: whose it is stands there once, and what was wanted only where the tokens have not all."""

    open_id: str
    tokens: CompactTokens
    profile: CompactProfile
    profile_read_at: datetime
    granted_at: datetime | None
    refresh_lost: bool
    wanted: tuple[str, ...] | None
    spare: CompactTokens | None

    def restore(self) -> Grant:
        """See `CompactForm`."""
        return Grant(
            tokens=self.tokens.restore(self.open_id),
            profile=self.profile.restore(self.open_id),
            profile_read_at=self.profile_read_at,
            granted_at=self.granted_at,
            refresh_lost=self.refresh_lost,
            wanted=self.wanted if self.wanted is not None else self.tokens.scopes,
            spare=self.spare.restore(self.open_id) if self.spare is not None else None,
        )


class Grant(Record, frozen=True):
    """A grant, as kept in the store."""

    purpose: ClassVar[str] = "grant"
    compact_form: ClassVar[type[CompactForm]] = CompactGrant
    of_instance: ClassVar[bool] = False  # of the app at TikTok, whose client key is in the store key

    tokens: TokenSet
    profile: Profile
    profile_read_at: datetime
    granted_at: datetime | None = None  # when the person signed in, by our clock
    refresh_lost: bool = False  # the refresh token was rotated, and TikTok's answer never came
    wanted: tuple[str, ...] = ()  # scopes given at some sign-in and not taken back since; the tokens may have fewer
    spare: TokenSet | None = None  # of a later sign-in with fewer scopes: they take over if the tokens are dead

    def compact(self) -> CompactGrant | None:
        """See `Record`. A grant with a profile or a spare of somebody else is none that could be made, and has none."""
        if any(each.open_id != self.subject for each in (self.profile, self.spare) if each is not None):
            return None
        return CompactGrant(
            self.subject,
            CompactTokens.of(self.tokens),
            CompactProfile.of(self.profile),
            self.profile_read_at,
            self.granted_at,
            self.refresh_lost,
            self.wanted if self.wanted != self.tokens.scopes else None,
            CompactTokens.of(self.spare) if self.spare is not None else None,
        )

    @property
    def subject(self) -> str:
        """The `open_id` of the person."""
        return self.tokens.open_id

    @property
    def all_scopes(self) -> frozenset[str]:
        """The scopes given, whether the tokens have them now or not: what to ask TikTok for when asking anyway."""
        return frozenset(self.wanted).union(self.tokens.scopes)

    def follow(self, before: Grant | None, asked: Collection[str]) -> Grant:
        """Return this grant as the one after `before`, from a sign-in that asked for `asked`.

        TikTok's tokens have what their own sign-in asked for. What was given before and was not asked for this time is
        still given; what was asked for and not given was taken back.
        """
        given = before.all_scopes.difference(asked) if before is not None else frozenset()
        return msgspec.structs.replace(self, wanted=tuple(sorted(given.union(self.tokens.scopes))))

    def reach(self, before: Grant | None) -> Grant:
        """Return this grant with the tokens of `before`, if only they have just all that is given and may be renewed.

        Its own become the spare: whether the tokens of an earlier sign-in survive a new one, TikTok does not say.
        """
        is_whole = self.all_scopes == set(self.tokens.scopes)
        if is_whole or before is None or not before.is_renewable or self.all_scopes != set(before.tokens.scopes):
            return self
        return msgspec.structs.replace(self, tokens=before.tokens, spare=self.tokens)

    def give_up(self) -> Grant:
        """Return the grant with nothing wanted that the tokens do not have."""
        return msgspec.structs.replace(self, wanted=self.tokens.scopes)

    def is_refresh_due(self, now: datetime) -> bool:
        """Whether the access token has used up most of its lifetime and can be renewed."""
        tokens = self.tokens
        if not self.is_renewable or now >= tokens.refresh_expires_at:
            return False
        return now >= self._due_at()

    @property
    def is_renewable(self) -> bool:
        """Whether there is a refresh token that may still be good."""
        return bool(self.tokens.refresh_token) and not self.refresh_lost

    def is_usable(self, now: datetime) -> bool:
        """Whether the access token may still be handed on: never an expired one."""
        return now < self._usable_until()

    def settled_until(self) -> datetime:
        """Return the moment before which the access token serves and is not due for a refresh, which comes first."""
        return self._due_at() if self.is_renewable else self._usable_until()

    def is_profile_stale(self, now: datetime) -> bool:
        """Whether the profile should be read again at the next occasion."""
        return now >= self.profile_read_at + PROFILE_LASTS

    def _due_at(self) -> datetime:
        tokens = self.tokens
        return tokens.obtained_at + (tokens.access_expires_at - tokens.obtained_at) * REFRESH_FROM

    def _usable_until(self) -> datetime:
        tokens = self.tokens
        leeway = min((tokens.access_expires_at - tokens.obtained_at) * LEEWAY, MAX_LEEWAY)
        return tokens.access_expires_at - leeway

    def with_tokens(self, tokens: TokenSet) -> Grant:
        """Return the grant after a refresh."""
        return msgspec.structs.replace(self, tokens=tokens, refresh_lost=False, spare=None)

    def without_refresh(self) -> Grant:
        """Return the grant once its refresh token is known to be dead; the access token may live on."""
        return msgspec.structs.replace(self, refresh_lost=True)

    def with_profile(self, profile: Profile, now: datetime) -> Grant:
        """Return the grant with a profile read at `now`."""
        return msgspec.structs.replace(self, profile=profile, profile_read_at=now)


def build_grant_key(client_key: str, open_id: str) -> str:
    """Return the store key of a person's grant to this app; neither id can be read from it."""
    return GRANT_KEY + _digest(client_key, open_id)


def build_index_key(client_key: str, open_id: str) -> str:
    """Return the store key of the index of a person's sessions."""
    return "sessions-of:" + _digest(client_key, open_id)


def build_lease_key(grant_key: str) -> str:
    """Return the store key of the lease that lets one process refresh this grant."""
    return "lease:" + grant_key


def _digest(client_key: str, open_id: str) -> str:
    return hashlib.sha256(f"{client_key}\0{open_id}".encode()).hexdigest()
