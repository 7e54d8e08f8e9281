"""Who comes back from TikTok, or shows a code: what their browser has brought with the request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.core.binding import Binding
from gateway.flows.sessions import SignedIn


class Visitor(msgspec.Struct, frozen=True):
    """A browser that is to be signed in.

    `presented` are the sessions it still has: they end with a sign-in, and their ids are never taken over.
    """

    bindings: Sequence[Binding]
    presented: Sequence[SignedIn]
    user_agent: str
    client_address: str

    def __repr__(self) -> str:
        """Show neither whose sessions they are, nor where the visitor comes from."""
        return f"Visitor({len(self.bindings)} bindings, {len(self.presented)} sessions)"

    def find_session_of(self, subject: str) -> SignedIn | None:
        """Return the session of this person that the browser still has."""
        return next((each for each in self.presented if each.session.subject == subject), None)
