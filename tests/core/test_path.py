import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.path import canonicalise
from gateway.errors import MalformedRequest


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"/", b"/"),
        (b"/a/b.c", b"/a/b.c"),
        (b"/a/", b"/a/"),
        (b"//", b"/"),
        (b"//evil/x", b"/evil/x"),
        (b"/a//b", b"/a/b"),
        (b"/a//", b"/a/"),
        (b"/./a", b"/a"),
        (b"/a/.", b"/a/"),
        (b"/a/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/../b", b"/b"),
        (b"/a/%2e%2E/b", b"/b"),
        (b"/a/.%2e/b", b"/b"),
        (b"/%61dmin", b"/admin"),
        (b"/%7e", b"/~"),
        (b"/%e2%82%ac", b"/%E2%82%AC"),
        (b"/%252e%252e/x", b"/%252e%252e/x"),
        (b"/%252F", b"/%252F"),
        (b"/a;b=c/d", b"/a;b=c/d"),
        (b"/...", b"/..."),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/a/..b", b"/a/..b"),
        (b"/%3F%23", b"/%3F%23"),
        (b"/a|b[c]{d}", b"/a|b[c]{d}"),
    ],
)
def test_canonical_form(raw: bytes, canonical: bytes) -> None:
    assert canonicalise(raw).raw == canonical


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a",
        b"*",
        b"@evil",
        b"/%2f",
        b"/%2F",
        b"/%5c",
        b"/%5C",
        b"/%00",
        b"/%0a",
        b"/%7f",
        b"/%c2%85",
        b"/a\\b",
        b"/a#b",
        b"/a b",
        b"/a\tb",
        b"/\x00",
        b"/\xc3\xa9",
        b"/a?b",
        b"/%",
        b"/%1",
        b"/%zz",
        b"/%ff",
        b"/%c0%ae",
        b"/%e0%80%af",
        b"/%ed%a0%80",
        b"/..",
        b"/../a",
        b"/a/../../b",
        b"/..;/x",
        b"/.;x/y",
        b"/a/..;a=b/c",
        b"/%2e%2e;/x",
        b"/%00/../a",
        b"/a/..%3bx/b",
        b"/a/%2e%3B/b",
        b"/%ff/../a",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        canonicalise(raw)


def test_text_is_decoded_once() -> None:
    assert canonicalise(b"/%E2%82%AC/%2525").text == "/€/%25"


segment = st.sampled_from(
    [
        b"a",
        b".",
        b"..",
        b"",
        b"%2e",
        b"%2E%2e",
        b"b;c",
        b"..;",
        b"%41",
        b"%2f",
        b"%e2%82%ac",
        b"%25",
        b"~",
        b"!",
        b"%",
    ]
)
paths = st.lists(segment, max_size=7).map(lambda parts: b"/" + b"/".join(parts))


@given(st.one_of(paths, st.binary(max_size=30).map(lambda tail: b"/" + tail)))
@example(b"/.%2e/%2e./a")
def test_the_result_is_a_fixed_point_without_anything_to_resolve(raw: bytes) -> None:
    try:
        found = canonicalise(raw)
    except MalformedRequest:
        return
    assert canonicalise(found.raw) == found
    assert b"//" not in found.raw
    parts = found.text.split("/")
    assert "." not in parts
    assert ".." not in parts
    assert found.raw.startswith(b"/")
    assert found.raw.isascii()


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1))
def test_any_text_survives_as_one_segment(text: str) -> None:
    from urllib.parse import quote

    if text in {".", ".."} or text.startswith((".;", "..;")):
        return
    assert canonicalise(b"/x/" + quote(text, safe="").encode()).text == f"/x/{text}"


@given(st.lists(st.tuples(st.sampled_from("aZ09-_~/.e"), st.booleans()), max_size=12))
def test_encoding_what_needs_none_changes_nothing(characters: list[tuple[str, bool]]) -> None:
    plain = "/" + "".join(char for char, _ in characters)
    spelled = "/" + "".join(f"%{ord(char):02x}" if encode and char != "/" else char for char, encode in characters)
    try:
        expected = canonicalise(plain.encode())
    except MalformedRequest:
        with pytest.raises(MalformedRequest):
            canonicalise(spelled.encode())
        return
    assert canonicalise(spelled.encode()) == expected
