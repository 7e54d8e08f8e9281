"""One sign-in, from the first redirect to the callback.

An attempt is kept in the store under its state, sealed, short-lived and single-use (replay), and bound to the browser
that began it by a cookie (RFC 9700 §4.7: login CSRF). The order is fixed by types: `SignInAttempt.verify` is the only
maker of a `VerifiedCode`, and only a `VerifiedCode` can be redeemed.

A browser may have several binding cookies (see `binding`), and each tab has an attempt of its own: five sign-ins at
once each end at their own address.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import ClassVar, Final
from urllib.parse import parse_qsl

import msgspec

from gateway.core.qr_code import QR_LASTS, QrCode, Scan, ScanStatus
from gateway.core.record import Record
from gateway.errors import (
    AccessDenied,
    AttemptOfOtherBrowser,
    AttemptUnknown,
    MalformedRequest,
    SignInRefused,
)

ATTEMPT_LASTS: Final = timedelta(minutes=15)
"""Time a person has on TikTok's pages."""
ATTEMPT_KEPT: Final = timedelta(minutes=30)
"""Time for which it is known where a person wanted to go, who took longer."""
FINISHED_LASTS: Final = timedelta(minutes=2)
"""Time in which a reloaded callback still finds its way."""

_PARAMETERS: Final = ("code", "state", "scopes", "error", "error_type", "error_description")
MAX_PARAMETER: Final = 4096


class Callback(msgspec.Struct, frozen=True):
    """The parameters of a callback, decoded once (Login Kit for Web, "Manage authorization response")."""

    state: str | None
    code: str | None
    scopes: str | None
    error: str | None
    error_type: str | None

    def __repr__(self) -> str:
        """Show neither code nor state."""
        return f"Callback(error={self.error!r})"


class VerifiedCode:
    """An authorization code whose attempt was verified; made by `SignInAttempt.verify` and `verify_scan` only.

    `redirect_uri` is what TikTok gave the code for: None for the registered one, "" for none.
    """

    __slots__ = ("code", "code_verifier", "redirect_uri", "scopes_asked")

    def __init__(self, code: str, attempt: SignInAttempt, redirect_uri: str | None = None) -> None:
        self.code = code
        self.redirect_uri = redirect_uri
        self.code_verifier = attempt.code_verifier
        self.scopes_asked = attempt.scopes


class SignInAttempt(Record, frozen=True):
    """A sign-in under way, as kept in the store."""

    purpose: ClassVar[str] = "attempt"

    binding: bytes  # SHA-256 of the browser's binding cookie
    code_verifier: str | None
    return_to: str
    scopes: tuple[str, ...]
    begun_at: datetime
    extra: tuple[str, ...] = ()  # those of the scopes that a page has asked the person for
    regains_for: str = ""  # subject who is signed in already, and whose tokens lack scopes that were given before
    qr: QrCode | None = None  # what is shown to be scanned, in place of TikTok's page

    def __repr__(self) -> str:
        """Show no verifier."""
        return f"SignInAttempt(scopes={self.scopes!r}, begun_at={self.begun_at:%Y-%m-%dT%H:%M:%SZ})"

    def belongs_to(self, binding_cookie: str) -> bool:
        """Whether this browser began the attempt (constant-time)."""
        return hmac.compare_digest(self.binding, hash_binding(binding_cookie))

    def verify(self, callback: Callback, binding_cookie: str, now: datetime) -> VerifiedCode:
        """Return the code that may be redeemed.

        Raises `AttemptOfOtherBrowser`, `AttemptUnknown` (too old), `AccessDenied` or `SignInRefused` (TikTok reports
        an error), in that order: an error counts only once the state has proved whose attempt it is.
        """
        if not self.belongs_to(binding_cookie):
            raise AttemptOfOtherBrowser("the state belongs to another browser's sign-in attempt")
        if self.qr is not None:  # its state is in the address of our page: a callback with it proves nothing
            raise AttemptUnknown("the state is that of a QR code, which no callback completes")
        if now >= self.begun_at + ATTEMPT_LASTS:
            raise AttemptUnknown("the sign-in attempt is too old")
        if callback.error is not None or not callback.code:
            raise read_callback_error(callback)
        return VerifiedCode(callback.code, self)

    def verify_scan(self, scan: Scan, state: str, binding_cookie: str, now: datetime) -> VerifiedCode:
        """Return the code that may be redeemed, of a QR code that was scanned and confirmed.

        The proof is our ticket (constant-time), which TikTok has from the code that the phone saw.
        Raises `AttemptOfOtherBrowser`, `AttemptUnknown` (too old, or no QR code) or `SignInRefused`, in that order.
        """
        if not self.belongs_to(binding_cookie):
            raise AttemptOfOtherBrowser("the QR code belongs to another browser's sign-in attempt")
        if self.qr is None or now >= self.begun_at + QR_LASTS:
            raise AttemptUnknown("the QR code is too old")
        if not hmac.compare_digest(scan.ticket.encode(), self.qr.ticket.encode()):
            raise SignInRefused("TikTok answers for another QR code than was shown: the ticket differs")
        if scan.state is not None and not hmac.compare_digest(scan.state.encode(), state.encode()):
            raise SignInRefused("TikTok answers for another QR code than was shown: the state differs")
        if scan.status is not ScanStatus.CONFIRMED or not scan.code:
            raise SignInRefused("the QR code is not confirmed")
        return VerifiedCode(scan.code, self, scan.redirect_uri)


class FinishedSignIn(Record, frozen=True):
    """Where a finished sign-in led, for a callback that is reloaded."""

    purpose: ClassVar[str] = "finished"

    binding: bytes
    return_to: str


def read_callback(query: bytes) -> Callback:
    """Decode the callback's query once. Raises `MalformedRequest` for duplicated or oversized parameters."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        raise MalformedRequest("the callback's query cannot be decoded") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in _PARAMETERS:
            if name in values:
                raise MalformedRequest(f"the callback has two `{name}` parameters")
            if len(value) > MAX_PARAMETER:
                raise MalformedRequest(f"the callback's `{name}` is too long")
            values[name] = value
    return Callback(
        state=values.get("state"),
        code=values.get("code"),
        scopes=values.get("scopes"),
        error=values.get("error"),
        error_type=values.get("error_type"),
    )


def read_callback_error(callback: Callback) -> SignInRefused:
    """Turn the callback's `error` into ours; nothing of its text is kept but whether it is `access_denied`."""
    if callback.error == "access_denied":
        return AccessDenied("the person did not allow the sign-in")
    if callback.error_type == "non_sandbox_target":
        return SignInRefused("TikTok says `non_sandbox_target`: add this account to the app's sandbox")
    return SignInRefused("TikTok sent the visitor back without a code")


def new_state() -> str:
    """Make a fresh state: 256 random bits, 43 URL-safe characters (TikTok allows 128)."""
    return secrets.token_urlsafe(32)


def hash_binding(binding_cookie: str) -> bytes:
    """Return what is kept of a binding cookie."""
    return hashlib.sha256(binding_cookie.encode()).digest()


def build_attempt_key(state: str) -> str:
    """Return the store key of the attempt that `state` names."""
    return "attempt:" + hashlib.sha256(state.encode()).hexdigest()


def build_scan_key(state: str) -> str:
    """Return the store key of what TikTok said of a QR code that is confirmed."""
    return "scan:" + hashlib.sha256(state.encode()).hexdigest()


def build_finished_key(state: str) -> str:
    """Return the store key of the finished sign-in that `state` names."""
    return "finished:" + hashlib.sha256(state.encode()).hexdigest()
