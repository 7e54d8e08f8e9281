"""The signed-in person in Starlette's convention, so that `request.user` and `@requires("video.list")` work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.authentication import AuthCredentials, BaseUser, UnauthenticatedUser

from gateway.core.identity import Identity

AUTHENTICATED: Final = "authenticated"


class TikTokUser(BaseUser):
    """The person; `user.person` has every field that a header template may use."""

    def __init__(self, person: Identity) -> None:
        self.person = person

    @property
    def is_authenticated(self) -> bool:
        """Always true: an anonymous visitor is an `UnauthenticatedUser`."""
        return True

    @property
    def display_name(self) -> str:
        """The name to greet the person by; the open_id when TikTok gave none."""
        return self.person.display_name or self.person.username or self.person.open_id

    @property
    def identity(self) -> str:
        """The `open_id`: the one stable id of the person in this app."""
        return self.person.open_id


def build_user(identity: Identity | None) -> BaseUser:
    """Return the value of `scope["user"]`."""
    return TikTokUser(identity) if identity is not None else UnauthenticatedUser()


def build_auth(identity: Identity | None) -> AuthCredentials:
    """Return the value of `scope["auth"]`: `authenticated` and the granted TikTok scopes."""
    scopes: Sequence[str] = (AUTHENTICATED, *identity.scopes) if identity is not None else ()
    return AuthCredentials(list(scopes))
