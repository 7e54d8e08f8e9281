"""Offers, challenges and proofs: for one session, for a while, under every key that is in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.device_binding import (
    CHALLENGE_EVERY,
    OFFER_LASTS,
    SKEW,
    Offer,
    build_challenge,
    build_offer,
    build_proof,
    find_session_key,
    is_challenge,
    mark_of,
    name_binding,
    open_offer,
    read_proof,
)
from gateway.core.keyring import Keyring
from gateway.core.session import build_session_key, new_session_id
from gateway.errors import DeviceProofRefused

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LASTS = timedelta(minutes=10)
OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring([OLD], b"one of the gateways.....")


def new_key() -> str:
    key = build_session_key(new_session_id().encode())
    assert key is not None
    return key


MINE, OTHER = new_key(), new_key()
ROTATED = Keyring([NEW, OLD], RING.instance)
STRANGERS = [Keyring([NEW], RING.instance), Keyring([OLD], b"another of the gateways.")]


def test_an_offer_is_for_one_session_and_for_five_minutes() -> None:
    offer = build_offer(RING, MINE, NOW)
    assert open_offer(ROTATED, offer, NOW + OFFER_LASTS) == MINE
    with pytest.raises(DeviceProofRefused, match="expired"):
        open_offer(RING, offer, NOW + OFFER_LASTS + timedelta(seconds=1))


def test_no_offer_is_made_by_others_or_of_two() -> None:
    offer, second = build_offer(RING, MINE, NOW), build_offer(RING, OTHER, NOW)
    for other in STRANGERS[:1]:
        with pytest.raises(DeviceProofRefused):
            open_offer(other, offer, NOW)
    for mixed in (
        Offer(second.challenge, offer.authorization),
        Offer(offer.challenge, second.authorization),
        Offer("", offer.authorization),
        Offer(offer.challenge, ""),
        Offer(offer.challenge, offer.authorization + "="),
        Offer(build_proof(RING, MINE, NOW + OFFER_LASTS), offer.authorization),
    ):
        with pytest.raises(DeviceProofRefused):
            open_offer(RING, mixed, NOW)


def test_a_binding_names_its_session() -> None:
    name = name_binding(MINE)
    assert find_session_key(name.encode()) == find_session_key(b'"%b"' % name.encode()) == MINE
    assert mark_of(MINE) == name[:8]
    assert [find_session_key(odd) for odd in (b"", b"x", b"A" * 64, b"a" * 63, b"\xff" * 64)] == [None] * 5


def test_a_challenge_is_the_same_for_a_while_and_taken_for_a_while() -> None:
    first = build_challenge(RING, MINE, NOW)
    assert build_challenge(RING, MINE, NOW + CHALLENGE_EVERY - timedelta(seconds=1)) == first
    assert build_challenge(RING, MINE, NOW + CHALLENGE_EVERY) != first
    assert build_challenge(RING, OTHER, NOW) != first
    assert is_challenge(ROTATED, first, MINE, NOW + LASTS, LASTS)
    assert not is_challenge(RING, first, MINE, NOW + LASTS + CHALLENGE_EVERY + timedelta(seconds=1), LASTS)
    assert not is_challenge(RING, first, OTHER, NOW, LASTS)
    assert not any(is_challenge(each, first, MINE, NOW, LASTS) for each in STRANGERS)


def test_a_challenge_of_a_replica_whose_clock_is_ahead_is_taken() -> None:
    ahead = build_challenge(RING, MINE, NOW + SKEW)
    assert is_challenge(RING, ahead, MINE, NOW, LASTS)
    assert not is_challenge(RING, build_challenge(RING, MINE, NOW + CHALLENGE_EVERY), MINE, NOW, LASTS)


def test_a_proof_holds_a_minute_longer_than_it_says_for_clocks_that_differ() -> None:
    value = build_proof(RING, MINE, NOW).encode()
    assert len(value) == 43  # as all cookies of the gateway's: a server that glues them together cannot hide one
    assert read_proof(ROTATED, value, MINE) == NOW + SKEW
    assert read_proof(RING, value, OTHER) is None
    assert [read_proof(each, value, MINE) for each in STRANGERS] == [None, None]


def test_nothing_that_was_made_for_one_thing_serves_for_another() -> None:
    assert read_proof(RING, build_challenge(RING, MINE, NOW).encode(), MINE) is None
    assert not is_challenge(RING, build_proof(RING, MINE, NOW), MINE, NOW, LASTS)


@given(st.binary(max_size=60))
def test_nothing_else_is_a_proof_or_a_challenge(value: bytes) -> None:
    assert read_proof(RING, value, MINE) is None
    assert not is_challenge(RING, value.decode("latin-1"), MINE, NOW, LASTS)


@given(st.integers(0, 42), st.characters(codec="latin-1"))
def test_any_changed_letter_makes_it_no_proof(position: int, letter: str) -> None:
    value = build_proof(RING, MINE, NOW)
    changed = value[:position] + letter + value[position + 1 :]
    assert (read_proof(RING, changed.encode("latin-1"), MINE) is not None) == (changed == value)
