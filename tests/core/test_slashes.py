"""Encoded and repeated slashes: kept where a route says so, and no way round another."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.core.path import canonicalise
from gateway.core.policy import Policy
from gateway.core.route import Access, Match, Route
from gateway.errors import MalformedRequest

HOST = "app.example"
STRICTNESS = {Access.PUBLIC: 0, Access.OPTIONAL: 0, Access.SIGNED_IN: 1, Access.DENY: 2}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"/@a%2fb", "/@a%2Fb"),
        (b"/%2F/x", "/%2F/x"),
        (b"/%e2%82%ac%2F%41", "/\N{EURO SIGN}%2FA"),
        (b"/a%252F%2f", "/a%2F%2F"),
    ],
)
def test_an_encoded_slash_is_a_character_of_its_segment(raw: bytes, text: str) -> None:
    path = canonicalise(raw, encoded_slashes=True)
    assert path.encoded_slash
    assert path.text == text
    assert path.raw.lower() == raw.lower().replace(b"%41", b"a")
    assert path.decoded == unquote(raw.decode())
    assert canonicalise(path.raw, encoded_slashes=True) == path
    with pytest.raises(MalformedRequest):
        canonicalise(raw)


@pytest.mark.parametrize(
    "raw", [b"/a%5cb%2f", b"/%2f..", b"/..%2fa", b"/a%2f.%2fb", b"/x/../a%2fb", b"/a%2f..;x/b", b"/%2f%00", b"/%2f%ff"]
)
def test_with_it_nothing_else_is_let_in(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        canonicalise(raw, encoded_slashes=True)


@pytest.mark.parametrize(
    ("raw", "merged", "unmerged"),
    [
        (b"/a/b", False, b""),
        (b"/a//b", True, b"/a//b"),
        (b"/a/https://x//", True, b"/a/https://x//"),
        (b"//a/b", False, b""),  # at the start they always are
        (b"///a//b", True, b"/a//b"),
        (b"/a//./b", True, b""),  # either reading of the dots would be a guess
        (b"/a//%2e%2e/b", True, b""),
        (b"//", False, b""),
    ],
)
def test_the_form_with_repeated_slashes_is_kept_beside(raw: bytes, merged: bool, unmerged: bytes) -> None:
    path = canonicalise(raw)
    assert (path.merged, path.unmerged) == (merged, unmerged)
    assert path == canonicalise(path.raw)
    assert path.keep_slashes().raw == (unmerged or path.raw)


@pytest.mark.parametrize("raw", [b"/a//b", b"/a/%7Eb", b"/a%2fb", b"/a", b"/"])
def test_what_is_handed_on_as_it_came_is_taken_as_it_is(raw: bytes) -> None:
    assert unquote((canonicalise(raw, encoded_slashes=True, fixed=True).keep_slashes()).raw) == unquote(raw)


@pytest.mark.parametrize("raw", [b"//a", b"/a/../b", b"/a/./b", b"/a//../b", b"/a/%2e%2e/b"])
def test_or_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        canonicalise(raw, encoded_slashes=True, fixed=True)


def test_without_a_prefix_no_host_is_left_at_the_start() -> None:
    assert canonicalise(b"/a//b//c").keep_slashes().without("/a").raw == b"/b//c"
    left = canonicalise(b"/a/%2Fb", encoded_slashes=True).without("/a")
    assert (left.raw, left.text, left.encoded_slash) == (b"/%2Fb", "/%2Fb", True)
    assert not canonicalise(b"/a%2Fb", encoded_slashes=True).is_under("/a")


@pytest.mark.parametrize(
    ("raw", "in_process", "refused"),
    [
        ("/x/a/b", False, False),
        ("/x/a//b", False, True),  # merged it is `/x/*/*`; as the app would be asked for it, nobody let it in
        ("/y/a//b", False, False),
        ("/z/a%2fb", False, False),
        ("/z/a%2fb", True, True),  # the app would be called with `/z/a/b`, which another route is for
        ("/z/a%252fb", True, False),
    ],
)
def test_the_form_that_the_app_is_asked_for_leads_to_the_same_route(raw: str, in_process: bool, refused: bool) -> None:
    routes = [
        Route(path="/x/*/*", access=Access.PUBLIC, merge_slashes=False),
        Route(path="/y/**", access=Access.PUBLIC, merge_slashes=False),
        Route(path="/z/*", encoded_slashes=True),
        Route(path="/z/**", encoded_slashes=True),
        Route(path="/**"),
    ]
    policy, path = Policy(routes, in_process=in_process), canonicalise(raw.encode(), encoded_slashes=True)
    if refused:
        with pytest.raises(MalformedRequest):
            policy.match("GET", HOST, path)
    else:
        assert policy.match("GET", HOST, path) is not None


WORDS = st.sampled_from(["a", "b", "ab"])
PATTERNS = st.lists(WORDS | st.sampled_from(["*", "a*"]), min_size=1, max_size=3).map(
    lambda words: "/" + "/".join(words)
)
GLOBS = PATTERNS | PATTERNS.map(lambda glob: glob + "/**") | st.just("/**")
ROUTES = st.lists(
    st.builds(
        Route,
        path=GLOBS,
        access=st.sampled_from(Access),
        encoded_slashes=st.booleans(),
        merge_slashes=st.booleans(),
    ),
    max_size=4,
)
SEPARATORS = st.sampled_from(["/", "//", "%2f", "%2F", "/%2F"])


@st.composite
def paths(draw: st.DrawFn) -> str:
    return "".join(draw(SEPARATORS) + draw(WORDS) for _ in range(draw(st.integers(1, 4))))


def strictness(match: Match | None) -> int:
    return STRICTNESS[match.route.access if match is not None else Access.DENY]


def find(policy: Policy, raw: str) -> Match | None:
    """Return the route of a path in plain spelling."""
    return policy.match("GET", HOST, canonicalise(raw.encode()))


@given(ROUTES, paths(), st.booleans())
def test_slashes_of_any_kind_open_nothing(routes: list[Route], raw: str, in_process: bool) -> None:
    """Whatever an app may take the path for, that is let in too; and what it is called with leads to the same route."""
    assume(raw.startswith("/"))
    policy = Policy(routes, in_process=in_process)
    try:
        path = canonicalise(raw.encode(), encoded_slashes=True)
        found = policy.match("GET", HOST, path)
    except MalformedRequest:
        return
    plain = "/" + "/".join(part for part in unquote(raw).split("/") if part)
    assert strictness(found) >= strictness(find(policy, plain))
    if found is None:
        return
    assert found.route.encoded_slashes or "%2" not in raw
    form = found.route.form_of(path)
    assert (b"//" in form.raw) <= (not found.route.merge_slashes)
    if in_process and "//" not in form.decoded:
        called = find(policy, form.decoded)
        assert called is not None
        assert called.index == found.index


@given(ROUTES, paths())
def test_without_a_route_that_keeps_them_all_is_as_ever(routes: list[Route], raw: str) -> None:
    plain = Policy([Route(path=route.path, access=route.access) for route in routes])
    try:
        found = plain.match("GET", HOST, canonicalise(raw.encode(), encoded_slashes=True))
    except MalformedRequest:
        assert "%2" in raw
        return
    assert "%2" not in raw
    assert found is None or b"//" not in found.route.form_of(canonicalise(raw.encode())).raw
