"""What is told of sign-ins: they are counted so that they add up, and announced for the audit trail.

A sign-in that has begun ends at most once: it has completed, was refused, or left somebody who is signed in unchanged
(a second way to TikTok for scopes). What has begun and not ended was abandoned, or is under way. A callback that
belongs to no attempt of that browser is stray, and ends none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.audit import AuditEvent, Reach, What
from gateway.core.grant import Grant
from gateway.core.session import build_session_key, public_id
from gateway.errors import GatewayError, ProviderError
from gateway.flows.audit import Announce, keep_silent
from gateway.flows.sessions import SignedIn


class CountSignIn(Protocol):
    """Counts how sign-ins go."""

    def __call__(self, outcome: str, cause: str = "") -> None:
        """Count one that has `begun`, and how it ends: `completed`, `refused`, `unchanged`; or a `stray` callback."""


def _count_nothing(outcome: str, cause: str = "") -> None:
    """For a flow on its own."""


class SignInReport:
    """Counts and announces."""

    def __init__(self, announce: Announce = keep_silent, count: CountSignIn = _count_nothing) -> None:
        self._announce = announce
        self._count = count

    def begun(self) -> None:
        """Tell that somebody is sent to TikTok."""
        self._count("begun")

    def refused(self, error: GatewayError, presented: Sequence[SignedIn], *, taken: bool) -> None:
        """Tell of a callback that signs nobody in; `taken`: it was the end of an attempt."""
        self._count("refused" if taken else "stray", error.code)
        subject = presented[0].session.subject if len(presented) == 1 else ""
        log_id = error.log_id if isinstance(error, ProviderError) else None
        self._announce(AuditEvent(what=What.SIGN_IN_REFUSED, subject=subject, cause=error.code, log_id=log_id))

    def unchanged(self, error: GatewayError) -> None:
        """Tell that an attempt to regain scopes has ended without them."""
        self._count("unchanged", error.code)

    def completed(self, session_id: str, grant: Grant, before: Grant | None, replaced: Sequence[SignedIn]) -> None:
        """Tell of a session that has begun, and of those of the same browser that have ended for it."""
        self._count("completed")
        key = build_session_key(session_id.encode())
        assert key is not None  # noqa: S101 -- we made it
        scopes = tuple(grant.all_scopes)
        self._announce(
            AuditEvent(what=What.SIGN_IN_COMPLETED, subject=grant.subject, session=public_id(key), scopes=scopes)
        )
        for each in replaced:
            subject, session = each.session.subject, public_id(each.session_key)
            self._announce(AuditEvent(what=What.SIGNED_OUT, subject=subject, session=session, reach=Reach.REPLACED))
        if before is not None:
            self.scopes_changed(grant, before)

    def scopes_changed(self, grant: Grant, before: Grant) -> None:
        """Tell what a person has given more, and fewer, than before; nothing if neither."""
        more, fewer = grant.all_scopes - before.all_scopes, before.all_scopes - grant.all_scopes
        if more or fewer:
            self._announce(
                AuditEvent(what=What.SCOPES_CHANGED, subject=grant.subject, scopes=tuple(more), fewer=tuple(fewer))
            )
