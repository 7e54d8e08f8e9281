"""The signed-in person for a WSGI app: as `web.behind.user`, but that nothing is awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.core.identity import Identity
from gateway.web.behind.user import Person

USER_KEY = "gateway.user"
"""Key of the environ."""


class User(Person):
    """The person. `person` has every field that a header template may use."""

    def __init__(self, person: Identity, session_key: str, ask: Callable[[str, Sequence[str]], str]) -> None:
        super().__init__(person)
        self._session_key = session_key
        self._ask = ask

    def access_token(self, *scopes: str) -> str:
        """Return an access token of the person that serves now, refreshed if it is due, and that has `scopes`.

        Within a request, or in a thread of this process after it. It does not count as a use of the session.

        Raises `SessionEnded` once the person is signed out here, `InsufficientScope` for a scope they have not granted
        (then lead them to `sign_in_url(…, scopes=[…])`), `StoreUnavailable` or a `ProviderError` when that cannot be
        told now. All are `GatewayError`.
        """
        return self._ask(self._session_key, scopes)
