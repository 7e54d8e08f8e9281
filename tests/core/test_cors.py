import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cors import Preflight, permit_reading, permit_request, read_preflight
from tests.core.test_challenge import head

FRIEND = "https://www.example.com"
ALLOWED = frozenset({FRIEND})
ASKING = {
    "origin": FRIEND,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "content-type,x-a",
}


def test_a_preflight_is_read() -> None:
    read = read_preflight(head(ASKING, method="OPTIONS"))
    assert read == Preflight(FRIEND.encode(), "PUT", b"content-type,x-a")
    assert read is not None
    fields = dict(permit_request(read, ALLOWED) or ())
    assert fields[b"access-control-allow-origin"] == FRIEND.encode()
    assert fields[b"access-control-allow-credentials"] == b"true"
    assert fields[b"access-control-allow-methods"] == b"PUT"
    assert fields[b"access-control-allow-headers"] == b"content-type,x-a"
    assert b"origin" in fields[b"vary"]


@pytest.mark.parametrize(
    "change",
    [
        {"origin": None},
        {"access-control-request-method": None},
        {"access-control-request-method": "P UT"},
        {"access-control-request-method": ""},
        {"access-control-request-headers": "a b"},
        {"access-control-request-headers": "x" * 200},
        {"access-control-request-headers": ",".join(["x"] * 65)},
        {"cookie": "a=b"},
        {"authorization": "Basic eDp5"},
        {"content-length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
def test_what_no_browser_sends_is_no_preflight(change: dict[str, str | None]) -> None:
    fields = {name: value for name, value in (ASKING | change).items() if value is not None}
    assert read_preflight(head(fields, method="OPTIONS")) is None


def test_two_origins_and_other_methods_are_no_preflight() -> None:
    assert read_preflight(head([*ASKING.items(), ("origin", FRIEND)], method="OPTIONS")) is None
    assert read_preflight(head(ASKING, method="POST")) is None


ODD = st.sampled_from(
    ["", "null", "*", "https://WWW.example.com", "https://www.example.com:443", "http://www.example.com"]
)


@given(st.one_of(ODD, st.text(st.characters(codec="latin-1"), max_size=30).map(lambda rest: FRIEND + rest)))
def test_only_exact_origins_may_read(origin: str) -> None:
    fields = dict(permit_reading(head({"origin": origin}), ALLOWED))
    assert fields[b"vary"] == b"origin"
    assert (b"access-control-allow-origin" in fields) == (origin == FRIEND)
    assert b"*" not in fields.values()
    assert (permit_request(Preflight(origin.encode("latin-1"), "GET", b""), ALLOWED) is not None) == (origin == FRIEND)


def test_two_origins_may_not() -> None:
    assert permit_reading(head([("origin", FRIEND), ("origin", FRIEND)]), ALLOWED) == ((b"vary", b"origin"),)
    assert permit_reading(head({"origin": FRIEND}), frozenset()) == ()
