import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keyring import Keyring, new_secret_key, read_secret_key
from gateway.errors import SealBroken

OLD, NEW = b"o" * 32, b"n" * 32
RING = Keyring([NEW, OLD])


@given(st.binary(max_size=400), st.text(max_size=10), st.binary(max_size=20))
def test_what_is_sealed_opens(plain: bytes, purpose: str, context: bytes) -> None:
    assert RING.open(purpose, RING.seal(purpose, plain, context=context), context=context) == plain


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_breaks_the_seal(position: int, change: int) -> None:
    sealed = bytearray(RING.seal("p", b"plain text"))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(SealBroken):
        RING.open("p", bytes(sealed))


@given(st.binary(max_size=100))
def test_nothing_else_opens(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        RING.open("p", sealed)


def test_a_shortened_value_does_not_open() -> None:
    sealed = RING.seal("p", b"plain text")
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            RING.open("p", sealed[:length])


def test_purpose_and_context_are_part_of_the_seal() -> None:
    sealed = RING.seal("session", b"x", context=b"key")
    for purpose, context in (("grant", b"key"), ("session", b"other"), ("session\0key", b"")):
        with pytest.raises(SealBroken):
            RING.open(purpose, sealed, context=context)


def test_the_newest_key_seals_and_all_open() -> None:
    old = Keyring([OLD]).seal("p", b"x")
    assert RING.open("p", old) == b"x"
    assert not RING.sealed_by_newest(old)
    assert RING.sealed_by_newest(RING.seal("p", b"x"))
    with pytest.raises(SealBroken):
        Keyring([NEW]).open("p", old)


def test_no_two_seals_are_alike() -> None:
    assert RING.seal("p", b"x") != RING.seal("p", b"x")


def test_fresh_keys_are_read_again() -> None:
    assert len(read_secret_key(new_secret_key())) == 32
    assert new_secret_key() != new_secret_key()


@pytest.mark.parametrize("text", ["", "abc", "a" * 42, "a" * 44, "é" * 43, base64.b64encode(b"x" * 31).decode()])
def test_what_is_no_key_says_how_to_get_one(text: str) -> None:
    with pytest.raises(ValueError, match="gateway keys new"):
        read_secret_key(text)


def test_a_keyring_shows_no_key() -> None:
    assert "n" * 8 not in repr(RING)
    with pytest.raises(ValueError, match="at least one"):
        Keyring([])
