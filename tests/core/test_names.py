import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.forwarded import TrustedProxies
from gateway.core.names import FieldNames
from gateway.core.request import Limits, read_head
from gateway.errors import HeadersTooLarge, MalformedRequest
from tests.threats.identity import spellings

NAMES = FieldNames(["Proxy", "X-Remote-*", "X_Odd.Name"])


@given(spellings(("Proxy", "X-Remote-User", "X-Remote-", "X-Odd-Name")))
def test_what_is_dropped_goes_in_every_spelling(name: bytes) -> None:
    assert NAMES.read(name) == b""
    assert NAMES.read(name) == b""  # as it is remembered


@given(spellings(("X-Remote-User",)))
def test_what_is_kept_stays_though_its_family_goes(name: bytes) -> None:
    names = FieldNames(["X-Remote-*"], kept=frozenset({b"x-remote-user"}))
    assert names.read(name) == name.lower()
    assert names.read(b"X-Remote-Users") == b""


@pytest.mark.parametrize("name", [b"Proxy-Status", b"X-Remote", b"X-Proxy", b"Cookie", b"*"])
def test_all_else_stays(name: bytes) -> None:
    assert NAMES.read(name) == name.lower()


def test_a_dropped_field_is_judged_and_counted_like_any_other() -> None:
    def read(*fields: tuple[bytes, bytes], limits: Limits) -> object:
        return read_head(
            method="GET",
            scheme="http",
            target=b"/",
            headers=[(b"Host", b"a"), *fields],
            peer=None,
            trusted=TrustedProxies([]),
            limits=limits,
            names=NAMES,
        ).headers

    assert read((b"Proxy", b"x"), (b"a", b"b"), limits=Limits()) == ((b"host", b"a"), (b"a", b"b"))
    with pytest.raises(MalformedRequest):
        read((b"Proxy", b"x\x01"), limits=Limits())
    with pytest.raises(HeadersTooLarge):
        read(*[(b"Proxy", b"x")] * 10, limits=Limits(header_count=10))


@given(st.binary(max_size=6))
def test_what_is_no_name_is_refused(name: bytes) -> None:
    try:
        assert NAMES.read(name) in {name.lower(), b""}
    except MalformedRequest:
        assert name not in NAMES.known
