"""TikTok's QR codes as pure functions (Login Kit with QR Code, v2): how to read what TikTok says of one.

TikTok gives an address to draw, with a place in it for a ticket of ours, and a token to ask by how far the person is.
The ticket comes back with the answer: so what was confirmed is the very code that we drew. TikTok's pages and the
answers that others have seen differ in small things; both are read: the answer itself or one below `data`, errors as
text or as an object, the authorization code as `code` or within an address called `redirect_uri`.
"""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from gateway.core.tiktok import MAX_TOKEN, read_oauth_error
from gateway.errors import AccessDenied, ProviderUnavailable

QR_LASTS: Final = timedelta(minutes=3)
"""Time that a person has for scanning and confirming. Whoever is shown somebody else's code has no longer, either."""
LONGEST_URL: Final = 1200
"""Longest address that is drawn, in characters: more of them, and a phone cannot read the code from a screen."""
_PLACE: Final = "tobefilled"
"""What stands for our ticket in TikTok's address."""
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


class QrCode(msgspec.Struct, frozen=True):
    """A QR code: the address to draw, TikTok's token for it, and our ticket within the address."""

    url: str
    token: str
    ticket: str

    def __repr__(self) -> str:
        """Show nothing by which it could be used."""
        return "QrCode()"


class ScanStatus(StrEnum):
    """How far a person is with a code, in TikTok's words."""

    NEW = "new"
    SCANNED = "scanned"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    UTILISED = "utilised"
    REFUSED = "refused"  # ours, for the error that says so

    @property
    def is_final(self) -> bool:
        """Whether nothing more can become of the code."""
        return self not in {ScanStatus.NEW, ScanStatus.SCANNED, ScanStatus.CONFIRMED}


class Scan(msgspec.Struct, frozen=True):
    """What TikTok says of a code; the rest only once it is confirmed."""

    status: ScanStatus
    ticket: str = ""
    code: str = ""
    state: str | None = None
    redirect_uri: str = ""

    def __repr__(self) -> str:
        """Show neither code nor ticket."""
        return f"Scan(status={self.status!r})"


def new_ticket() -> str:
    """Make a fresh ticket: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def read_qr_code(reply: object, *, ticket: str) -> QrCode:
    """Read the answer of `POST /v2/oauth/get_qrcode/`, and put our ticket in. Raises a `ProviderError`."""
    answer = _unwrap(reply)
    url, token = _text(answer, "scan_qrcode_url"), _text(answer, "token")
    if not url or not token or len(token) > MAX_TOKEN or not _VISIBLE.fullmatch(url):
        raise ProviderUnavailable("TikTok's answer lacks `scan_qrcode_url` or `token`")
    if url.count(_PLACE) != 1:
        raise ProviderUnavailable(f"TikTok's `scan_qrcode_url` has not one `{_PLACE}`, so a ticket cannot prove it")
    filled = url.replace(_PLACE, ticket)
    if len(filled) > LONGEST_URL:
        raise ProviderUnavailable("TikTok's `scan_qrcode_url` is too long to be drawn")
    return QrCode(url=filled, token=token, ticket=ticket)


def read_scan(reply: object) -> Scan:
    """Read the answer of `POST /v2/oauth/check_qrcode/`. Raises a `ProviderError`."""
    try:
        answer = _unwrap(reply)
    except AccessDenied:
        return Scan(ScanStatus.REFUSED)
    try:
        status = ScanStatus(_text(answer, "status").lower())
    except ValueError:
        raise ProviderUnavailable("TikTok's answer has no status of a QR code that is known") from None
    if status is not ScanStatus.CONFIRMED:
        return Scan(status)
    address = _text(answer, "redirect_uri")
    code, state = _text(answer, "code"), _text(answer, "state") or None
    base = ""
    if address.startswith(("https://", "http://")):
        base, query = _split(address)
        code, state = code or query.get("code", ""), state or query.get("state")
    if not (code or address) or len(code or address) > MAX_TOKEN:
        raise ProviderUnavailable("TikTok's answer has no authorization code")
    return Scan(status, _text(answer, "client_ticket"), code or address, state, base)


def _split(address: str) -> tuple[str, dict[str, str]]:
    """Return an address without its query, and the parameters, decoded once."""
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query, max_num_fields=32)
    except ValueError:
        raise ProviderUnavailable("TikTok's `redirect_uri` cannot be read") from None
    return f"{parts.scheme}://{parts.netloc}{parts.path}", {name: values[0] for name, values in query.items()}


def _unwrap(reply: object) -> dict[str, Any]:
    """Return what an answer says. Raises what its error means."""
    if not isinstance(reply, dict):
        raise ProviderUnavailable("TikTok did not answer with a JSON object")
    error = reply.get("error")
    details = error if isinstance(error, dict) else {"code": error, "message": reply.get("error_description")}
    code, log_id = str(details.get("code") or "ok"), str(details.get("log_id") or reply.get("log_id") or "")
    if code == "access_denied":
        raise AccessDenied("the person did not allow the sign-in")
    if code != "ok":
        raise read_oauth_error(code, str(details.get("message") or ""), log_id=log_id)
    data = reply.get("data")
    return data if isinstance(data, dict) else reply


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""
