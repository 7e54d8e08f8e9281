"""What is wrong with a certificate and its key, told before a browser does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.certificate import PairFault, find_faults_in_pair
from tests.certificates import Issued, issue

HOST = "app.example.com"
AUTHORITY = issue(authority=True)
MIDDLE = issue(issuer=AUTHORITY, authority=True, called="middle")
LEAF = issue(HOST, issuer=MIDDLE)
ALONE = issue(HOST, issuer=MIDDLE, tells_issuer=True)
CHAIN = LEAF.pem + MIDDLE.pem


def faults(certificate: bytes, key: bytes, host: str = HOST) -> list[PairFault]:
    return [*find_faults_in_pair(certificate, key, host=host, now=datetime.now(UTC))]


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (CHAIN, LEAF.key_pem()),
        (CHAIN + AUTHORITY.pem, LEAF.key_pem()),
        (LEAF.pem, LEAF.key_pem()),  # of a private authority, perhaps
        (CHAIN, CHAIN + LEAF.key_pem()),  # all in one file
        (b"Bag Attributes\n  friendlyName: x\n" + CHAIN, b"-----BEGIN EC PARAMETERS-----\nBggq\n" + LEAF.key_pem()),
        (ALONE.pem + MIDDLE.pem, ALONE.key_pem()),
    ],
)
def test_nothing_is_wrong(certificate: bytes, key: bytes) -> None:
    assert faults(certificate, key) == []


@pytest.mark.parametrize("name", ["*.example.com", "APP.example.com", "other.example", "127.0.0.1", "2001:db8::1"])
def test_names_are_those_that_browsers_take(name: str) -> None:
    issued = issue(name, issuer=AUTHORITY)
    host = {"127.0.0.1": "127.0.0.1", "2001:db8::1": "2001:db8:0::1"}.get(name, HOST)
    wrong = faults(issued.pem, issued.key_pem(), host)
    assert bool(wrong) == (name == "other.example")
    for other in ("a.app.example.com", "example.com", "10.0.0.1", "xapp.example.com.evil"):
        (fault,) = faults(issued.pem, issued.key_pem(), other)
        assert f"is not for {other}" in fault.words
        assert fault.usable


@pytest.mark.parametrize(
    ("certificate", "key", "file", "words"),
    [
        (b"", LEAF.key_pem(), "certificate", "no certificate in PEM"),
        (b"\x30\x82", LEAF.key_pem(), "certificate", "no certificate in PEM"),
        (LEAF.key_pem(), LEAF.key_pem(), "certificate", "no certificate in PEM"),
        (CHAIN, b"", "key", "no private key in PEM"),
        (CHAIN, CHAIN, "key", "no private key in PEM"),
        (CHAIN, LEAF.key_pem().replace(b"M", b"!"), "key", "can be read"),
        (CHAIN, LEAF.key_pem(b"secret"), "key", "has a passphrase"),
        (CHAIN, AUTHORITY.key_pem(), "key", "not that of the certificate"),
        (MIDDLE.pem + LEAF.pem, LEAF.key_pem(), "certificate", "put it first"),
    ],
)
def test_what_cannot_be_used(certificate: bytes, key: bytes, file: str, words: str) -> None:
    found = [fault for fault in faults(certificate, key) if not fault.usable]
    assert [(fault.file, words in fault.words) for fault in found] == [(file, True)]


def within(begins: timedelta, ends: timedelta) -> Issued:
    return issue(HOST, issuer=MIDDLE, begins=begins, ends=ends)


@pytest.mark.parametrize(
    ("issued", "words"),
    [
        (within(timedelta(hours=1), timedelta(days=90)), "holds only from"),
        (within(timedelta(days=-90), timedelta(seconds=-1)), "ended on"),
        (within(timedelta(days=-76), timedelta(days=13)), "ends on"),
    ],
)
def test_what_browsers_will_not_take_for_long(issued: Issued, words: str) -> None:
    (fault,) = faults(issued.pem, issued.key_pem())
    assert words in fault.words
    assert fault.usable


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (ALONE.pem, "stands alone"),
        (ALONE.pem + AUTHORITY.pem + MIDDLE.pem, "out of order"),
        (issue(issuer=MIDDLE, called=HOST, key=ALONE.key).pem, "has no names"),
    ],
)
def test_what_some_programs_will_not_believe(certificate: bytes, words: str) -> None:
    (fault,) = faults(certificate, ALONE.key_pem())
    assert words in fault.words
    assert fault.usable
