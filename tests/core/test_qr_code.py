"""What TikTok says of a QR code, in every shape that was seen, and in shapes that were not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.qr_code import LONGEST_URL, QR_LASTS, QrCode, Scan, ScanStatus, read_qr_code, read_scan
from gateway.core.sign_in import Callback, SignInAttempt, hash_binding
from gateway.errors import (
    AttemptOfOtherBrowser,
    AttemptUnknown,
    ProviderMisconfigured,
    ProviderUnavailable,
    SignInRefused,
)

NOW = datetime(2026, 11, 28, tzinfo=UTC)
URL = "aweme://authorize?client_key=k&scope=user.info.basic&client_ticket=tobefilled&token=t"
OK = {"code": "ok", "message": "", "log_id": "1"}
CONFIRMED = {"status": "confirmed", "client_ticket": "T"}


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_code_has_our_ticket_in_it(wrapped: bool) -> None:
    answer: dict[str, Any] = {"scan_qrcode_url": URL, "token": "t"}
    qr = read_qr_code({"data": answer, "error": OK} if wrapped else answer, ticket="T")
    assert qr == QrCode(url=URL.replace("tobefilled", "T"), token="t", ticket="T")
    assert "T" not in repr(qr)


@pytest.mark.parametrize(
    "reply",
    [
        *(None, [], "x", {}, {"data": {}}, {"token": "t"}, {"scan_qrcode_url": URL}),
        {"scan_qrcode_url": URL, "token": 5},
        {"scan_qrcode_url": URL, "token": "t" * 5000},
        {
            "scan_qrcode_url": "aweme://authorize?token=t",
            "token": "t",
        },  # no place for the ticket
        {"scan_qrcode_url": URL + "&x=tobefilled", "token": "t"},
        {"scan_qrcode_url": URL + " <x>", "token": "t"},
        {"scan_qrcode_url": URL + "x" * LONGEST_URL, "token": "t"},
    ],
)
def test_what_is_no_code_is_a_passing_fault(reply: object) -> None:
    with pytest.raises(ProviderUnavailable):
        read_qr_code(reply, ticket="T")


@pytest.mark.parametrize(
    ("answer", "code", "state", "redirect_uri"),
    [
        ({"code": "c*1!2"}, "c*1!2", None, ""),
        ({"redirect_uri": "c*1!2"}, "c*1!2", None, ""),
        ({"redirect_uri": "https://a.example/cb?code=c%2A1%212&state=s"}, "c*1!2", "s", "https://a.example/cb"),
        (
            {"code": "c*", "state": "s", "redirect_uri": "https://a.example/cb?code=d"},
            "c*",
            "s",
            "https://a.example/cb",
        ),
    ],
)
def test_the_authorization_code_is_found(
    answer: dict[str, str], code: str, state: str | None, redirect_uri: str
) -> None:
    expected = Scan(ScanStatus.CONFIRMED, "T", code, state, redirect_uri)
    assert read_scan(CONFIRMED | answer) == expected
    assert read_scan({"data": CONFIRMED | answer, "error": OK}) == expected
    assert code not in repr(expected)


@pytest.mark.parametrize("status", ["new", "scanned", "expired", "utilised", "NEW"])
def test_other_states_have_no_code(status: str) -> None:
    assert read_scan({"status": status, "code": "c", "client_ticket": "T"}) == Scan(ScanStatus(status.lower()))


@pytest.mark.parametrize("error", ["access_denied", {"code": "access_denied"}])
def test_a_no_is_an_answer(error: object) -> None:
    assert read_scan({"error": error}) == Scan(ScanStatus.REFUSED)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ({"error": "invalid_client", "error_description": "x"}, ProviderMisconfigured),
        ({"error": {"code": "invalid_client", "message": "x"}, "data": CONFIRMED}, ProviderMisconfigured),
        ({"error": "server_error"}, ProviderUnavailable),
        ({"status": "unheard-of"}, ProviderUnavailable),
        ({"status": ["confirmed"]}, ProviderUnavailable),
        (CONFIRMED, ProviderUnavailable),
        (CONFIRMED | {"code": "c" * 5000}, ProviderUnavailable),
        (CONFIRMED | {"redirect_uri": "https://[/?code=c"}, ProviderUnavailable),
        (None, ProviderUnavailable),
    ],
)
def test_errors_are_told_by_their_kind(reply: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        read_scan(reply)


def attempt(**changes: Any) -> SignInAttempt:
    qr = QrCode(url="u", token="t", ticket="T")
    said: dict[str, Any] = {"binding": hash_binding("b"), "code_verifier": None, "return_to": "/", "scopes": ()}
    return SignInAttempt(**(said | {"begun_at": NOW, "qr": qr} | changes))


def test_a_scan_with_our_ticket_proves_the_code() -> None:
    verified = attempt().verify_scan(Scan(ScanStatus.CONFIRMED, "T", "c", "s"), "s", "b", NOW)
    assert (verified.code, verified.code_verifier, verified.redirect_uri) == ("c", None, "")


@pytest.mark.parametrize(
    ("scan", "binding", "later", "kind"),
    [
        (Scan(ScanStatus.CONFIRMED, "T", "c"), "other", timedelta(0), AttemptOfOtherBrowser),
        (Scan(ScanStatus.CONFIRMED, "T", "c"), "b", QR_LASTS, AttemptUnknown),
        (Scan(ScanStatus.CONFIRMED, "", "c"), "b", timedelta(0), SignInRefused),
        (Scan(ScanStatus.CONFIRMED, "T2", "c"), "b", timedelta(0), SignInRefused),
        (Scan(ScanStatus.CONFIRMED, "T", "c", "other"), "b", timedelta(0), SignInRefused),
        (Scan(ScanStatus.SCANNED, "T", "c"), "b", timedelta(0), SignInRefused),
        (Scan(ScanStatus.CONFIRMED, "T", ""), "b", timedelta(0), SignInRefused),
    ],
)
def test_anything_else_proves_nothing(scan: Scan, binding: str, later: timedelta, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        attempt().verify_scan(scan, "s", binding, NOW + later)


def test_neither_way_completes_an_attempt_of_the_other() -> None:
    with pytest.raises(AttemptUnknown):
        attempt().verify(Callback(state="s", code="c", scopes=None, error=None, error_type=None), "b", NOW)
    with pytest.raises(AttemptUnknown):
        attempt(qr=None).verify_scan(Scan(ScanStatus.CONFIRMED, "T", "c"), "s", "b", NOW)
