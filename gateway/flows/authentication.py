"""Who a request comes from: cookie → session → grant, with an access token that serves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from gateway.core import cookies
from gateway.core.fields import Headers
from gateway.core.identity import Facts, Identity
from gateway.core.request import RequestHead
from gateway.core.session import build_session_key, public_id
from gateway.errors import SessionsDiffer
from gateway.flows.device_proofs import DeviceProofs
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn

MOST_NAMED: Final = 8
"""Most sessions of one request that are looked up."""


class Authentication:
    """Reads sessions for requests."""

    def __init__(
        self,
        sessions: Sessions,
        refresh: Refresh,
        *,
        cookie_name: str,
        clock: Callable[[], datetime],
        devices: DeviceProofs | None = None,
    ) -> None:
        """`devices` tells whether a request comes from the device that its session is bound to; None: nobody asks."""
        self._devices = devices
        self._sessions = sessions
        self._refresh = refresh
        self._cookie_name = cookie_name.encode()
        self._clock = clock

    async def read(self, head: RequestHead) -> SignedIn | None:
        """Return who is signed in, with a usable access token; None when nobody is.

        Raises `StoreUnavailable`, and `ProviderError` when the token has expired and cannot be renewed now: neither
        means that the person is signed out; or `DeviceProofMissing`.
        """
        key = await self.choose(self.read_session_keys(head.headers))
        proven = functools.partial(self._is_proven, head=head)
        return self._check(await self.read_session(key, proven) if key is not None else None, head)

    async def read_session(self, key: str, is_use: Callable[[SignedIn], bool] = lambda _: True) -> SignedIn | None:
        """Return who a session's store key stands for; otherwise as `read`.

        `is_use`: whether it is marked as seen: whoever has no proof of its device keeps no session alive.
        """
        signed_in = await self._sessions.read(key, self._clock())
        if signed_in is None:
            return None
        grant = await self._refresh.fresh(signed_in.session.grant_key, signed_in.grant)
        if grant is None or grant.subject != signed_in.session.subject:
            return None
        if is_use(signed_in):
            await self._sessions.touch(signed_in, self._clock())
        return msgspec.structs.replace(signed_in, grant=grant)

    async def peek(self, head: RequestHead) -> SignedIn | None:
        """Return whose session this is, whatever the state of the access token; for the gateway's own pages.

        Raises `StoreUnavailable`, `SessionsDiffer` or `DeviceProofMissing`.
        """
        live = await self.find_live(head)
        if len(live) > 1:
            raise SessionsDiffer("the session cookie came several times, and names several live sessions")
        return self._check(live[0] if live else None, head)

    def _check(self, signed_in: SignedIn | None, head: RequestHead) -> SignedIn | None:
        if self._devices is not None and signed_in is not None:
            self._devices.check(signed_in, head.headers)
        return signed_in

    def _is_proven(self, signed_in: SignedIn, head: RequestHead) -> bool:
        return self._devices is None or self._devices.is_proven(signed_in, head.headers)

    async def check_device(self, head: RequestHead) -> None:
        """Raise `DeviceProofMissing` unless a request comes from the device of every session that it names."""
        for each in await self.find_live(head):
            self._check(each, head)

    async def find_proven(self, head: RequestHead) -> tuple[SignedIn, ...]:
        """Return those of the live sessions whose people may be shown something of themselves."""
        return tuple(each for each in await self.find_live(head) if self._is_proven(each, head))

    async def find_live(self, head: RequestHead) -> tuple[SignedIn, ...]:
        """Return every live session that a request names; more than one only where the cookie came several times.

        Whether the request comes from their devices is not looked at: they may be ended, and nothing else.
        """
        keys = self.read_session_keys(head.headers)[:MOST_NAMED]
        found = [await self._sessions.read(key, self._clock()) for key in keys]
        return tuple(each for each in found if each is not None)

    def read_session_keys(self, headers: Headers) -> tuple[str, ...]:
        """Return the store keys of the sessions that a request names: several only if the cookie came several times.

        An old cookie of another domain or path must not lock anybody out, so it takes the store to tell them apart.
        """
        values = cookies.read(headers, self._cookie_name)
        if len(values) == 1:  # as ever, but for the rare case
            key = build_session_key(values[0])
            return (key,) if key is not None else ()
        return tuple(dict.fromkeys(key for value in values if (key := build_session_key(value)) is not None))

    async def choose(self, keys: Sequence[str]) -> str | None:
        """Return the key of the one live session among those named, if there is one.

        A single key is not looked up. Raises `StoreUnavailable`, or `SessionsDiffer` for several that are live, and for
        more than anybody comes by.
        """
        if len(keys) < 2:
            return keys[0] if keys else None
        if len(keys) > MOST_NAMED:
            raise SessionsDiffer(f"the session cookie came more than {MOST_NAMED} times")
        live = [key for key in keys if await self._sessions.read(key, self._clock()) is not None]
        if len(live) > 1:
            raise SessionsDiffer("the session cookie came several times, and names several live sessions")
        return live[0] if live else None

    def settled_until(self, signed_in: SignedIn) -> datetime:
        """Return the moment at which something has to be done about a session."""
        return self._sessions.settled_until(signed_in)


def build_identity(signed_in: SignedIn) -> Identity:
    """Return what the app may learn of the person."""
    tokens, profile = signed_in.grant.tokens, signed_in.grant.profile
    return Identity(
        open_id=tokens.open_id,
        union_id=profile.union_id,
        username=profile.username,
        display_name=profile.display_name,
        avatar_url=profile.avatar_url,
        scopes=tokens.scopes,
        access_token=tokens.access_token,
        token_expires_at=tokens.access_expires_at,
        session_id=public_id(signed_in.session_key),
        signed_in_at=signed_in.session.signed_in_at,
        facts=Facts(
            is_verified=profile.is_verified,
            follower_count=profile.follower_count,
            following_count=profile.following_count,
            likes_count=profile.likes_count,
            video_count=profile.video_count,
        ),
    )
