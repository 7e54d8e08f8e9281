"""Whether a request comes from the device that its session is bound to: asked of every request of such a session.

A session cookie alone does not do, nor does the word of a browser that has skipped a proof (`Secure-Session-Skipped`):
a thief can send both. What does is the short-lived cookie that only the device's key gets renewed. Nothing is asked of
the store, and nothing is noted: that the device was there a moment ago says nothing of who asks now.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from gateway.core import cookies
from gateway.core.audit import AuditEvent, What
from gateway.core.device_binding import GRACE, mark_of, name_binding, read_proof
from gateway.core.fields import Headers, every
from gateway.core.keyring import Keyring
from gateway.core.session import public_id
from gateway.errors import DeviceProofMissing
from gateway.flows.audit import Announce
from gateway.flows.sessions import SignedIn

SKIPPED: Final = "Secure-Session-Skipped"
"""The field in which a browser says of which session it has skipped a proof, and why (DBSC, "Skipped")."""
CAUSES: Final = frozenset({b"quota_exceeded", b"server_error", b"unreachable"})
Proofs = tuple[bytes, ...]
"""What a request brings to prove the device of one session: the values of the cookie that has its name."""
MOST_READ: Final = 8
"""Most proofs of one session that are looked at, and kept beside it: a browser has one."""
SILENCE: Final = timedelta(minutes=10)
"""Time between two events about the same session."""
MOST_NOTED: Final = 10_000
"""Most sessions of which it is known when their last was."""


class MissingProofs:
    """Has it written down who came without a proof: what a thief does, and now and then a browser."""

    def __init__(self, announce: Announce, count: Callable[[str, str], None], *, clock: Callable[[], datetime]) -> None:
        self._announce = announce
        self._count = count
        self._clock = clock
        self._noted: dict[str, datetime] = {}

    def note(self, signed_in: SignedIn, said: str) -> None:
        """Note that a proof was missing, and what was `said` of it (see `why_skipped`)."""
        self._count("proof_missing", said)
        now, name = self._clock(), public_id(signed_in.session_key)
        before = self._noted.get(name)
        if before is not None and now - before < SILENCE:
            return
        if len(self._noted) >= MOST_NOTED:
            self._noted.clear()
        self._noted[name] = now
        cause = DeviceProofMissing.code
        self._announce(
            AuditEvent(what=What.PROOF_MISSING, subject=signed_in.session.subject, session=name, cause=cause)
        )


def why_skipped(headers: Headers, session_key: str) -> str:
    """Return why a browser says that it has no proof of a session: one of `CAUSES`, `other`, or `none`.

    To be counted, never believed: anybody can say it.
    """
    said = every(headers, SKIPPED.lower().encode())
    names = b'session_identifier="%b"' % name_binding(session_key).encode()
    for item in b",".join(said).split(b","):
        cause, *parameters = [part.strip() for part in item.split(b";")]
        if cause in CAUSES and names in parameters:
            return cause.decode()
    return "other" if said else "none"


class DeviceProofs:
    """Reads proofs. `cookie_name` is what their cookies' names begin with.

    `missed` is told whose was missing, and what the browser says of it.
    """

    def __init__(
        self,
        keyring: Keyring,
        cookie_name: str,
        *,
        clock: Callable[[], datetime],
        missed: Callable[[SignedIn, str], None] = lambda _, __: None,
    ) -> None:
        self._keyring = keyring
        self._cookie_name = cookie_name.encode()
        self._clock = clock
        self._missed = missed

    def read(self, headers: Headers, session_key: str | None) -> Proofs:
        """Return the proofs that a request brings of a session, whatever others it has; none of nobody's."""
        if session_key is None:
            return ()
        return cookies.read(headers, b"%b-%b" % (self._cookie_name, mark_of(session_key).encode()))[:MOST_READ]

    def holds_until(self, signed_in: SignedIn, proofs: Proofs) -> datetime | None:
        """Return until when a bound session's requests with these proofs may pass; None where they may not now.

        Right after it was bound they may without: they were under way when the browser knew of no proof yet.
        """
        device = signed_in.session.device
        assert device is not None  # noqa: S101 -- nobody asks it of another
        found = [read_proof(self._keyring, value, signed_in.session_key) for value in proofs]
        until = max((device.bound_at + GRACE, *(each for each in found if each is not None)))
        return until if self._clock() < until else None

    def is_proven(self, signed_in: SignedIn, headers: Headers) -> bool:
        """Whether a request may be taken for the session's own."""
        if signed_in.session.device is None:
            return True
        return self.holds_until(signed_in, self.read(headers, signed_in.session_key)) is not None

    def check(self, signed_in: SignedIn, headers: Headers) -> None:
        """Raise `DeviceProofMissing` where a request may not be taken for the session's own."""
        if not self.is_proven(signed_in, headers):
            raise self.miss(signed_in, headers)

    def miss(self, signed_in: SignedIn, headers: Headers) -> DeviceProofMissing:
        """Note that a request has no proof; returns the error."""
        self._missed(signed_in, why_skipped(headers, signed_in.session_key))
        return DeviceProofMissing("the session is bound to a device, and no proof of it came with the request")
