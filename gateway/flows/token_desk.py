"""Access tokens outside a request: for an app's own jobs, which know a person's open_id and have no cookie.

Each client has a key of its own, is given tokens with certain scopes only, and so many a minute (rate limit); each
token that is given or refused is announced (audit). The token is the person's one access token, refreshed as for a
request, and may do whatever the person has granted: scopes here say what must be there and what a client may ask about,
since TikTok cannot narrow a token.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

from gateway.core.audit import AuditEvent, What
from gateway.core.grant import build_grant_key
from gateway.errors import GatewayError, InsufficientScope, NoSuchGrant, ProviderError, TooManyTokens
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.ports import Counter
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions

WINDOW: Final = 60
"""Seconds in which tokens are counted."""


class TokenClient(msgspec.Struct, frozen=True):
    """Somebody who may ask; `scopes` must be among those a person has granted."""

    name: str
    key: str
    scopes: frozenset[str]
    per_minute: int  # 0: no limit

    def __repr__(self) -> str:
        """Name no key."""
        return f"TokenClient({self.name!r})"


class IssuedToken(msgspec.Struct, frozen=True):
    """An access token, and until when it serves."""

    access_token: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]
    scopes: tuple[str, ...]

    def __repr__(self) -> str:
        """Name no token."""
        return f"IssuedToken(scopes={self.scopes!r})"


class TokenDesk:
    """Gives out access tokens."""

    def __init__(
        self,
        store: Counter,
        sessions: Sessions,
        refresh: Refresh,
        clients: Sequence[TokenClient],
        *,
        client_key: str,
        clock: Callable[[], datetime],
        announce: Announce = keep_silent,
    ) -> None:
        self._announce = announce
        self._store = store
        self._sessions = sessions
        self._refresh = refresh
        self._clients = tuple(clients)
        self._client_key = client_key
        self._clock = clock

    def find_client(self, key: str) -> TokenClient | None:
        """Return whose key this is (every key is compared, in constant time)."""
        given, found = _digest(key), None
        for client in self._clients:
            if hmac.compare_digest(given, _digest(client.key)):
                found = client
        return found

    async def issue(self, client: TokenClient, subject: str, scopes: Sequence[str]) -> IssuedToken:
        """Return a person's access token, fresh.

        `scopes` are those the client needs; without any, those that it may have at all.

        Raises `NoSuchGrant`, `InsufficientScope`, `TooManyTokens`, `StoreUnavailable`, or a `ProviderError` when the
        token has expired and cannot be renewed now.
        """
        try:
            issued = await self._issue(client, subject, scopes)
        except GatewayError as error:
            log_id = error.log_id if isinstance(error, ProviderError) else None
            self._announce(
                AuditEvent(
                    what=What.TOKEN_REFUSED, subject=subject, scopes=tuple(scopes), cause=error.code, log_id=log_id
                )
            )
            raise
        self._announce(AuditEvent(what=What.TOKEN_ISSUED, subject=subject, scopes=tuple(scopes)))
        return issued

    async def _issue(self, client: TokenClient, subject: str, scopes: Sequence[str]) -> IssuedToken:
        await self._count(client)
        forbidden = set(scopes) - client.scopes
        if forbidden:
            raise InsufficientScope(f"{client.name} may not have {', '.join(sorted(forbidden))}", tuple(forbidden))
        key = build_grant_key(self._client_key, subject)
        stored = await self._sessions.read_grant(key)
        grant = await self._refresh.fresh(key, stored.grant) if stored is not None else None
        if grant is None:
            raise NoSuchGrant("nobody of that open_id has a grant")
        missing = set(scopes or client.scopes) - set(grant.tokens.scopes)
        if missing:
            raise InsufficientScope(f"the person has not granted {', '.join(sorted(missing))}", tuple(missing))
        expires_at = grant.tokens.access_expires_at.replace(microsecond=0)
        return IssuedToken(grant.tokens.access_token, expires_at, grant.tokens.scopes)

    async def _count(self, client: TokenClient) -> None:
        window = int(self._clock().timestamp() // WINDOW)
        key = f"tokens-for:{client.name}:{window}"
        if client.per_minute and await self._store.increment(key, ttl=WINDOW) > client.per_minute:
            raise TooManyTokens(f"{client.name} asked for more than {client.per_minute} tokens in a minute")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
