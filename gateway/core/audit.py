"""What is written down for those who ask later who did what (audit trail): events from a fixed list, and who asked.

An event never has a token, a code, a state, a cookie or a person's name. A person is called by a keyed hash of their
open_id (pseudonym), unless the operator wants the open_id itself; a browser by its family, and a session by the id that
logs use, which opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

LONGEST: Final = 128
"""Most characters of a text that somebody outside has chosen."""


class What(StrEnum):
    """What has happened."""

    SIGN_IN_COMPLETED = "sign_in_completed"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    SESSION_BOUND = "session_bound"
    """To the device of its browser."""
    PROOF_MISSING = "device_proof_missing"
    """Somebody came with a bound session's cookie, and without a proof of its device."""
    SCOPES_CHANGED = "scopes_changed"
    GRANT_ENDED = "grant_ended"
    """Its tokens are dead: TikTok would not renew them."""
    GRANT_REVOKED = "grant_revoked"
    """Somebody has ended it: see `Who`."""
    PERSON_ERASED = "person_erased"
    TOKEN_ISSUED = "token_issued"  # noqa: S105 -- a name, no secret
    TOKEN_REFUSED = "token_refused"  # noqa: S105
    WEBHOOK_TAKEN = "webhook_taken"
    WEBHOOK_REFUSED = "webhook_refused"
    OPERATOR_SIGNED_IN = "operator_signed_in"
    """To the admin listener's pages."""
    OPERATOR_SIGNED_OUT = "operator_signed_out"
    SETTINGS_RELOADED = "settings_reloaded"
    """As somebody has asked the admin listener."""
    ADMIN_REFUSED = "admin_refused"
    """Somebody asked the admin listener without a key that it knows."""


class Who(StrEnum):
    """By whom."""

    PERSON = "person"
    OPERATOR = "operator"
    JOB = "job"
    TIKTOK = "tiktok"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"
    """Whoever it was had nothing to show for it."""


class Reach(StrEnum):
    """How much of a person's sign-ins an end is about."""

    THIS_DEVICE = "this_device"
    OTHER_DEVICE = "other_device"
    EVERYWHERE = "everywhere"
    ONE_SESSION = "one_session"
    """Of somebody else's: by an operator."""
    REPLACED = "replaced"
    """The browser has signed in anew."""


class Asker(msgspec.Struct, frozen=True):
    """Who asks for what is going on: nobody, where the gateway does it by itself."""

    who: Who = Who.GATEWAY
    client: str = ""  # the client's address
    agent: str = ""  # the family of the user agent, such as "Chrome on Windows"
    request_id: str = ""
    key: str = ""  # the name of an operator's key, or of a client of the tokens


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened; it was refused, or has failed, when there is a `cause`."""

    what: What
    subject: str = ""  # open_id
    session: str = ""  # public id
    who: Who | None = None  # unless it is who asks
    cause: str = ""  # code from the tree of errors
    log_id: str | None = None  # by which TikTok's support finds the request
    reach: Reach | None = None
    kind: str = ""  # of a webhook
    scopes: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()
    ended: int | None = None  # sessions

    def __repr__(self) -> str:
        """Name nobody."""
        return f"AuditEvent({self.what.value!r}, cause={self.cause!r})"


def describe(event: AuditEvent, asker: Asker, name_subject: Callable[[str], str]) -> dict[str, str | int]:
    """Return the fields of an event's line, in order, without those that are not known."""
    told: dict[str, str | int | None] = {
        "what": event.what.value,
        "outcome": "failure" if event.cause else "success",
        "who": (event.who or asker.who).value,
        "key": asker.key,
        "subject": name_subject(event.subject[:LONGEST]) if event.subject else "",
        "session": event.session,
        "reach": event.reach.value if event.reach is not None else "",
        "ended": event.ended,
        "kind": event.kind[:LONGEST],
        "scopes": _join(event.scopes),
        "fewer_scopes": _join(event.fewer),
        "cause": event.cause,
        "client": asker.client,
        "agent": asker.agent,
        "request_id": asker.request_id,
        "log_id": (event.log_id or "")[:LONGEST],
    }
    return {name: value for name, value in told.items() if value is not None and value != ""}


def _join(scopes: Iterable[str]) -> str:
    return ",".join(sorted(scopes))[: 4 * LONGEST]
