import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cookies import CookieSpec, JoinedCookies, read, strip

OWN = frozenset({b"gateway", b"gateway-sign-in"})


def test_reads_every_value_over_all_lines() -> None:
    headers = ((b"cookie", b"a=1; gateway=x;gateway=y"), (b"x", b"gateway=no"), (b"cookie", b"gateway=z"))
    assert read(headers, b"gateway") == (b"x", b"y", b"z")


def test_odd_neighbours_lose_nothing() -> None:
    line = b'"; =; ;;;a; {"json": [1,2]}; gateway=ok; \xff=\xfe; gatewayx=1'
    assert read(((b"cookie", line),), b"gateway") == (b"ok",)


def test_values_keep_their_equal_signs() -> None:
    assert read(((b"cookie", b"gateway=a=b=="),), b"gateway") == (b"a=b==",)


def test_a_name_without_value_is_none() -> None:
    assert read(((b"cookie", b"gateway"),), b"gateway") == ()


def test_strip_takes_ours_and_nothing_else() -> None:
    assert strip(b"gateway=x; a=1;b=2 ; gateway-sign-in=y; c=", OWN) == b"a=1;b=2 ; c="
    assert strip(b"gateway=x", OWN) == b""
    assert strip(b" Gateway=x", OWN) == b" Gateway=x"
    assert strip(b"gateway", OWN) == b""


@given(st.lists(st.binary(max_size=12).filter(lambda part: b";" not in part), max_size=8))
def test_others_stay_byte_identical(parts: list[bytes]) -> None:
    line = b";".join(parts)
    kept = [part for part in parts if part.partition(b"=")[0].strip() not in OWN]
    found = strip(line, OWN)
    if len(kept) == len(parts):
        assert found == line
    else:
        assert found == b";".join(kept).lstrip(b" ")


def test_thousands_of_cookies_are_read_in_one_pass() -> None:
    line = b"; ".join(b"c%d=%d" % (n, n) for n in range(20_000)) + b"; gateway=x"
    assert read(((b"cookie", line),), b"gateway") == (b"x",)
    assert b"gateway" not in strip(line, OWN)


def test_deleting_uses_the_same_attributes() -> None:
    spec = CookieSpec(name="__Host-gateway", secure=True)
    assert spec.set("v", 60) == b"__Host-gateway=v; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert spec.delete() == (
        b"__Host-gateway=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    shared = CookieSpec(name="__Secure-gateway", secure=True, domain="example.com")
    assert b"; Domain=example.com" in shared.set("v", 1)
    assert b"; Domain=example.com" in shared.delete()
    assert len(spec.set("a" * 43, 2592000)) < 200


def test_a_cookie_for_frames_is_deleted_as_it_was_set() -> None:
    spec = CookieSpec(name="__Host-gateway", secure=True, same_site="None", partitioned=True)
    assert spec.set("x", 1).endswith(b"; Path=/; HttpOnly; SameSite=None; Secure; Partitioned")
    assert spec.delete().endswith(b"; Path=/; HttpOnly; SameSite=None; Secure; Partitioned")


SESSION = b"gateway=" + b"S" * 43
BINDING = b"gateway-sign-in=" + b"b" * 43 + b".1.1790000000"
JOINED = JoinedCookies(OWN)
APPS = st.lists(
    st.sampled_from([b"a=1", b"b=x,y", b'c="q, r"', b"d=", b"e=gateway", b"f=,", b"g=gateway=1"]),
    min_size=1,
    max_size=3,
).map(b"; ".join)
FIELDS = st.lists(APPS | st.sampled_from([SESSION, BINDING, SESSION + b"; " + BINDING]), min_size=1, max_size=4)


@pytest.mark.parametrize("joiner", [b",", b", ", b";", b"; "])
@given(fields=FIELDS)
def test_ours_are_told_apart_however_the_fields_were_joined(joiner: bytes, fields: list[bytes]) -> None:
    line = joiner.join(fields)
    lines = JOINED.split(line)
    cookies = tuple((b"cookie", each) for each in lines)
    asked = b"; ".join(fields)
    for name in OWN:
        assert read(cookies, name) == read(((b"cookie", asked),), name)
    if len(lines) == 1:
        assert lines == (line,)  # nothing of ours: byte for byte as it was
    else:
        for field in fields:
            kept = strip(field, OWN)
            assert kept in lines[0]
        assert b"S" * 43 not in lines[0]
        assert b"b" * 43 not in lines[0]


@given(fields=FIELDS)
def test_ours_never_reach_the_app_even_where_nothing_is_between(fields: list[bytes]) -> None:
    shown = strip(JOINED.split(b"".join(fields))[0], OWN)
    assert b"S" * 43 not in shown
    assert b"b" * 43 not in shown


@pytest.mark.parametrize(
    "line",
    [
        b"x=api-gateway",
        b"api-gateway=" + b"k" * 43,
        b"a=1; api-gateway=" + b"k" * 43,
        b"a=1,2; b=3,4",
        b"x=mygateway=1",
        b"",
        b"gatewayx=1,a=gateway",
    ],
)
def test_what_only_looks_a_little_like_ours_is_the_apps(line: bytes) -> None:
    assert JOINED.split(line) == (line,)
