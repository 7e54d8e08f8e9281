"""The signed-in person, for an app in this process.

Under ASGI in Starlette's convention, so that `request.user` and `@requires("video.list")` work.
A user is made for one request. What it tells of the person stays as it was then; only an access token is asked for
anew, each time, since those of a long WebSocket or a task after the answer would be out of date.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser

from gateway.core.identity import Identity

AUTHENTICATED: Final = "authenticated"

AskForToken = Callable[[str, Sequence[str]], Awaitable[str]]
"""Returns a fresh access token for a session (its store key) with certain scopes, as `PersonTokens.issue` does."""


class Person:
    """What is known of somebody who is signed in; None where TikTok has not told it.

    `identity` and `display_name` are as Starlette wants them: `person.display_name` is what TikTok said.
    """

    def __init__(self, person: Identity) -> None:
        self.person = person

    def __repr__(self) -> str:
        """Name no token."""
        return f"User(open_id={self.open_id!r}, scopes={self.scopes!r})"

    @property
    def is_authenticated(self) -> bool:
        """Always true: an anonymous visitor is no user."""
        return True

    @property
    def identity(self) -> str:
        """The `open_id`: the one stable id of the person in this app."""
        return self.person.open_id

    @property
    def display_name(self) -> str:
        """The name to greet the person by; the open_id when TikTok gave none."""
        return self.person.display_name or self.person.username or self.person.open_id

    @property
    def open_id(self) -> str:
        """The one stable id of the person in this app: what to keep in a database."""
        return self.person.open_id

    @property
    def union_id(self) -> str | None:
        """The same person across a developer's apps."""
        return self.person.union_id

    @property
    def username(self) -> str | None:
        """The TikTok username; it takes the scope `user.info.profile`, and people can change theirs."""
        return self.person.username

    @property
    def avatar_url(self) -> str | None:
        """Where the picture is, for some hours."""
        return self.person.avatar_url

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the person has granted."""
        return self.person.scopes


class User(Person, BaseUser):
    """The person, as `request.user`. `person` has every field that a header template may use."""

    def __init__(self, person: Identity, session_key: str, ask: AskForToken) -> None:
        super().__init__(person)
        self._session_key = session_key
        self._ask = ask

    async def access_token(self, *scopes: str) -> str:
        """Return an access token of the person that serves now, refreshed if it is due, and that has `scopes`.

        Within a request, a WebSocket or a task after the answer. It does not count as a use of the session.

        Raises `SessionEnded` once the person is signed out here, `InsufficientScope` for a scope they have not granted
        (then lead them to `sign_in_url(…, scopes=[…])`), `StoreUnavailable` or a `ProviderError` when that cannot be
        told now. All are `GatewayError`.
        """
        return await self._ask(self._session_key, scopes)


def build_user(identity: Identity | None, session_key: str, ask: AskForToken) -> BaseUser:
    """Return the value of `scope["user"]`."""
    return User(identity, session_key, ask) if identity is not None else UnauthenticatedUser()


def build_auth(identity: Identity | None) -> AuthCredentials:
    """Return the value of `scope["auth"]`: `authenticated` and the granted TikTok scopes."""
    scopes: Sequence[str] = (AUTHENTICATED, *identity.scopes) if identity is not None else ()
    return AuthCredentials(list(scopes))
