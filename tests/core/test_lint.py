"""What the linter says of routes, and what it leaves in peace."""

from __future__ import annotations

import pytest

from gateway.core.lint import find_faults
from gateway.core.requirement import AllowList, Names, Requirement
from gateway.core.route import Access, Route

BASIC = ("user.info.basic",)


def faults(*routes: Route, asked: tuple[str, ...] = BASIC) -> str:
    return "\n".join(f"{key} {message}" for key, message in find_faults(routes, asked))


ADA = Names(open_ids=frozenset({"-ada"}))


def needs(path: str = "/x/**", allow: Names | None = None, file: Names | None = None, *scopes: str) -> Route:
    allowed = AllowList(allow, file) if allow is not None else None
    return Route(path=path, requirement=Requirement(scopes=frozenset(scopes), allow=allowed))


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ((Route(path="/**", access=Access.PUBLIC),), "makes everything public"),
        ((Route(path="regex:/.*", access=Access.OPTIONAL),), "makes everything optional"),
        ((Route(path="/api*", access=Access.PUBLIC),), "opens every path that begins with /api"),
        ((Route(path="/static**", access=Access.PUBLIC),), "opens every path that begins with /static"),
        ((Route(path="regex:/a/.*\\.css", access=Access.PUBLIC),), "slashes too"),
        ((Route(path="regex:admin"),), "matches nothing"),
        ((Route(path="regex:/(?:[a-z]+)*"),), "repeats what repeats itself"),
        ((Route(path="regex:/(\\w+)+/x"),), "repeats what repeats itself"),
        ((Route(path="regex:^/a"),), "anchored at both ends already"),
        ((Route(path="/**"), Route(path="/x")), "routes[1] is never reached: routes[0]"),
        ((Route(path="/a/**"), Route(path="/a/b/*")), "routes[1] is never reached"),
        ((Route(path="/a/*"), Route(path="/a/b", methods=frozenset({"GET"}))), "routes[1] is never reached"),
        ((Route(path="/a"), Route(path="/b"), Route(path="/a")), "routes[2] is never reached: routes[0]"),
        ((needs("/x/**", None, None, "video.lists"),), "no scope that TikTok is known to have"),
        ((needs("/x/**", Names(usernames=frozenset({"ada"}))),), "can change hands"),
        ((needs("/x/**", Names(usernames=frozenset({"ada"}))),), "match nobody without the scope"),
        ((needs("/x/**", Names(), Names()),), "lets nobody in"),
        ((needs("/admin", ADA), Route(path="/**")), "routes[0].path leaves what lies below to routes[1] (/**)"),
        ((needs("/admin/", ADA), Route(path="/**")), "write /admin and /admin/**"),
        ((needs("/a/*", ADA), Route(path="/**")), "leaves what lies below to routes[1]"),
        ((Route(path="/admin", access=Access.DENY), needs("/**", ADA)), "leaves what lies below to routes[1]"),
        ((Route(path="/account"), Route(path="/**", access=Access.PUBLIC)), "routes[0].path leaves what lies below"),
        ((needs("/a", ADA), Route(path="/a*/**", access=Access.PUBLIC), Route(path="/**")), "to routes[1]"),
    ],
)
def test_what_is_probably_not_meant_is_said(routes: tuple[Route, ...], said: str) -> None:
    assert said in faults(*routes)


def test_a_glob_is_not_looked_for_in_a_regular_expression() -> None:
    told = faults(Route(path="regex:/static/.*", access=Access.PUBLIC))
    assert "slashes too" in told
    assert "begins with" not in told


def test_a_scope_that_everybody_is_asked_for_and_no_route_needs() -> None:
    route = needs("/x/**", None, None, "video.list")
    assert "asks everybody for video.upload" in faults(route, asked=(*BASIC, "video.upload"))
    assert faults(route, asked=(*BASIC, "video.list", "user.info.profile")) == ""
    assert faults(Route(path="/**"), asked=(*BASIC, "video.upload")) == ""  # the app may use the token by itself
    assert "no scope that TikTok" in faults(asked=(*BASIC, "videos"))


@pytest.mark.parametrize(
    "routes",
    [
        (Route(path="/static/**", access=Access.PUBLIC), Route(path="/**")),
        (Route(path="/*.txt", access=Access.PUBLIC), Route(path="/tiktok*.txt", access=Access.PUBLIC, host="a.b"))[:1],
        (Route(path="/a", methods=frozenset({"GET"})), Route(path="/a")),
        (Route(path="/a", host="x.example"), Route(path="/a")),
        (Route(path="/a/*"), Route(path="/a/**")),
        (Route(path="/a/b"), Route(path="/a/**")),
        (Route(path="regex:/a/[0-9]+"), Route(path="/a/**")),
        (Route(path="regex:(/a|/b)", access=Access.PUBLIC),),
        (needs("/x/**", Names(open_ids=frozenset({"-x"}))),),
        (needs("/a", ADA), needs("/a/**", ADA), Route(path="/**")),
        (needs("/a", ADA), Route(path="/a/**")),  # it is said by name
        (needs("/a", ADA), Route(path="/a/public", access=Access.PUBLIC)),
        (needs("/report.pdf", ADA), Route(path="/**")),
        (needs("/", ADA), Route(path="/**")),
        (needs("/a", ADA),),
        (needs("/a", ADA), Route(path="/**", host="other.example")),
        (needs("/x/**", None, None, "research.data.basic"),),
    ],
)
def test_what_is_meant_is_left_in_peace(routes: tuple[Route, ...]) -> None:
    assert faults(*routes) == ""


def test_segments_that_are_repeated_are_no_fault() -> None:
    assert not faults(Route(path="regex:(?:/[a-z]+)*"), Route(path="regex:/(v[0-9]+/)?x"))
