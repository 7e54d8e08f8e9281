from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cookies import CookieSpec, read, strip

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
