import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gateway.core.decision import Allow, Challenge, ChallengeKind, Deny, build_allow
from gateway.core.fields import Headers
from gateway.core.identity import IdentityHeaders
from gateway.core.path import canonicalise
from gateway.core.policy import Policy, decide, needs_caller
from gateway.core.request import UNKNOWN_METHOD, RequestHead
from gateway.core.route import Access, Match, Route
from gateway.core.spelling import PathPattern, fold
from gateway.errors import MalformedRequest, SettingsError
from tests.core.test_identity import person

HOST = "app.example.com"
NAVIGATION = ((b"accept", b"text/html"),)
STRICTNESS = {Access.PUBLIC: 0, Access.OPTIONAL: 0, Access.SIGNED_IN: 1, Access.DENY: 2}


def public(path: str, **more: object) -> Route:
    return Route(path=path, access=Access.PUBLIC, **more)  # type: ignore[arg-type]


def signed_in(path: str, **more: object) -> Route:
    return Route(path=path, **more)  # type: ignore[arg-type]


def deny(path: str, **more: object) -> Route:
    return Route(path=path, access=Access.DENY, **more)  # type: ignore[arg-type]


def index(routes: list[Route], raw: str, method: str = "GET", host: str = HOST) -> int | None:
    match = Policy(routes).match(method, host, canonicalise(raw.encode()))
    return match.index if match is not None else None


def head(path: str = "/", method: str = "GET", headers: Headers = NAVIGATION) -> RequestHead:
    raw = path.encode()
    return RequestHead(
        method=method,
        scheme="https",
        host=HOST,
        path=canonicalise(raw),
        query=b"",
        raw_target=raw,
        headers=headers,
        client_address="192.0.2.1",
    )


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("/", ["/"], ["/a"]),
        ("/a", ["/a"], ["/a/", "/ab", "/", "/A", "/x/a"]),
        ("/a/", ["/a/"], ["/a", "/a/b"]),
        ("/**", ["/", "/a", "/a/b", "/a/"], []),
        ("/a/**", ["/a", "/a/", "/a/b", "/a/b/c"], ["/ab", "/", "/b/a"]),
        ("/a/*", ["/a/b", "/a/.b"], ["/a", "/a/", "/a/b/", "/a/b/c"]),
        ("/a/*/c", ["/a/b/c"], ["/a/c", "/a//c", "/a/b/b/c"]),
        ("/a/**/c", ["/a/c", "/a/b/c", "/a/b/b/c"], ["/ac", "/a/bc", "/a/c/d"]),
        ("/a**c", ["/ac", "/a/b/c", "/abc"], ["/a/b"]),
        ("/tiktok*.txt", ["/tiktok.txt", "/tiktokAbc1.txt"], ["/tiktok/a.txt", "/tiktokAtxt", "/tiktok.txt.html"]),
        ("/*.js", ["/a.js", "/.js", "/a.js.js"], ["/a/b.js"]),
        ("/*-*-*.js", ["/a-b-c-d.js", "/--.js"], ["/a-b.js", "/a-/b-.js"]),
        ("/*b/**", ["/ab", "/abab", "/abab/c"], ["/aba/c"]),
        ("/x*y*z/**", ["/xyz", "/xayyzbz/q", "/xyyz"], ["/xyza/q", "/x/yz"]),
        ("/**/a*b", ["/ab", "/a/ab", "/c/a/axb"], ["/a/b"]),
        ("/*/**", ["/a", "/a/", "/a/b"], ["/"]),
        ("/a.b+c[d]", ["/a.b+c[d]"], ["/aXb+c[d]", "/a.bbcd"]),
        ("regex:/v[12]/.*", ["/v1/", "/v2/x/y"], ["/v3/", "/x/v1/", "/v1"]),
        ("regex:/a|/b", ["/a", "/b"], ["/ab", "/a/b", "/x/b"]),
    ],
)
def test_patterns(glob: str, inside: list[str], outside: list[str]) -> None:
    pattern = PathPattern(glob)
    assert [path for path in inside if not pattern.matches(path)] == []
    assert [path for path in outside if pattern.matches(path)] == []


STARS = {"/**": "(?:/.*)?", "/**/": "/(?:.*/)?", "**": ".*", "*": "[^/]*", "\0": "[^/]+"}


def plainly(glob: str) -> str:
    """Return what a glob means as a regular expression, however long a match takes."""
    marked = re.sub(r"(?<=/)\*(?=/|$)", "\0", glob)
    parts = re.split(r"(/\*\*$|/\*\*/|\*\*|\*|\0)", marked)
    return "".join(STARS[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))


GLOBS = st.lists(st.sampled_from(["/", "/", "a", "b", "ab", "*", "**", "/**/", "/**"]), max_size=9).map("".join)


@settings(max_examples=300)
@given(GLOBS, st.lists(st.text("aab//\n", max_size=12), min_size=8, max_size=8))
@example("/**/a*b/**", ["/ab", "/a/ab", "/aab/a", "/ab/b", "/a/b", "/abb"])
@example("/*b/**", ["/b", "/abb", "/abab/", "/bba"])
@example("**b/a**b*a", ["b/aba", "/b/b/abbaa", "bb/a/b/ba"])
def test_a_glob_that_never_goes_back_matches_what_it_means(glob: str, paths: list[str]) -> None:
    plain = re.compile(plainly(glob), re.DOTALL)
    pattern = PathPattern(glob)
    for path in paths:
        assert pattern.matches(path) == (plain.fullmatch(path) is not None), (glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        # degree six in a backtracking matcher: none of these would end within the time limit of a test
        ("/x*-*-*-*-*-*.js", "/x" + "-" * 8000),
        ("/**/a/**/b/**/c/**/d/**/e", "/a/b/c/d" * 1000),
        ("/**/a/**/a/**/a/**/a/**/b", "/a" * 4000),
        ("/**a**a**a**a**a**b", "/" + "a" * 8000),
        ("/**/*a*a/**/*a*a*b/**/c", "/aaaaaaaa" * 900),
        # degree two, on paths as no server takes them
        ("/**/edit", "/edit/x" * 500_000),
        ("/**/a*b", "/" + "a" * 3_000_000),
        ("/**a*b/c", "/" + "a" * 3_000_000),
        ("/**/a/a/a/a/b", "/a" * 1_000_000),
        ("/*a/**", "/" + "ab" * 1_000_000),
        ("/**x", "/" + "/" * 3_000_000),
    ],
)
def test_no_path_takes_long_to_match_a_glob(glob: str, path: str) -> None:
    assert not PathPattern(glob).matches(path)


@pytest.mark.parametrize(
    "spelling",
    [
        "/admin",
        "/ADMIN",
        "/Admin/",
        "/admin/",
        "/admin;x",
        "/admin;x=1/",
        "/;x/admin",
        "/admin%3bx",
        "/%61dmin",
        "/%2561dmin",
        "/%252561dmin",
        "/%2541DMIN;x/",
        "/x/%252e%252e/admin",
        "/x%252f..%252fadmin",
        "/x/..%253b/admin",
        "/x%255c..%255cadmin",
        "/admin%3Fx",
        "/admin%253Fx",
        "/admin%23",
        "/admin%2500.js",
        "/adm%C4%B1n",  # dotless i
        "/%EF%BD%81dmin",  # full-width a
        "/%EF%BC%8Fadmin",  # full-width slash
        "/admin.",
        "/admin%20",
        "/admin.%20./",
        "/%20admin",
        "/admin%C2%A0",  # no-break space
        "/admin%E3%80%80",  # ideographic space
        "/admin%E2%80%A8",  # line separator
        "/ad%E2%80%8Bmin",  # zero-width space
        "/admin%EF%BB%BF",  # byte order mark
        "/x/..%20/admin",
        "/x/..%20./admin",
        "/x/..%2520/admin",
        "/.../admin",
        "/admin%2e%3bx",
        "/admin.%3Fx",
        "/admin%2520",
    ],
)
@pytest.mark.parametrize("access", [Access.SIGNED_IN, Access.DENY])
def test_a_closing_route_closes_every_spelling(spelling: str, access: Access) -> None:
    closing = Route(path="/admin", access=access)
    assert index([closing, public("/**")], spelling) == 0
    assert index([closing], spelling) in {0, None}
    assert index([public("/x/**"), public("/*.js"), closing, public("/**")], spelling) == 2


@pytest.mark.parametrize("spelling", ["/ADMIN", "/admin/", "/admin;x", "/%2561dmin", "/%61dmin"])
def test_a_careless_spelling_is_asked_to_sign_in_too(spelling: str) -> None:
    assert index([signed_in("/admin")], spelling) == 0


@pytest.mark.parametrize("spelling", ["/FEED", "/feed/", "/feed;x", "/%2566eed", "/feed%3Fx", "/x/%252e%252e/feed"])
def test_an_opening_route_opens_one_spelling_only(spelling: str) -> None:
    assert index([public("/feed"), signed_in("/**")], "/feed") == 0
    assert index([public("/feed"), signed_in("/**")], spelling) == 1
    assert index([public("/feed")], spelling) is None


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("/static/app.js", True),
        ("/static/App.JS", True),
        ("/static/a;v=1.js", True),
        ("/static/100%25.png", True),
        ("/static/a%20b", True),
        ("/static/a.b/.c", True),
        ("/static/v1./a", True),
        ("/static/..%20/admin", False),
        ("/static/...", True),
        ("/static./../admin", False),
        ("/static/%E2%82%AC/%EF%BC%A1", True),
        ("/static/stra%C3%9Fe", True),
        ("/static/a%253Fb", True),
        ("/static/%252e%252e/admin", False),
        ("/static/%252e%252e%255cadmin", False),
        ("/static/%EF%BC%8E%EF%BC%8E/admin", False),
    ],
)
def test_a_wildcard_opens_what_is_inside_in_every_reading(path: str, opened: bool) -> None:
    assert (index([public("/static/**"), signed_in("/**")], path) == 0) is opened


def test_a_suffix_opens_nothing_that_an_app_reads_without_it() -> None:
    routes = [public("/*.js"), public("/**/*.css"), signed_in("/**")]
    assert index(routes, "/app.js") == 0
    assert [index(routes, path) for path in ("/admin;a.js", "/admin%3Fa.js", "/x/admin;a.css", "/admin%2523.js")] == [
        2
    ] * 4


@pytest.mark.parametrize(
    "path", ["/internal/%252e%252e/shop/x", "/internal/..%20/shop/x", "/i/j/%25252e./%EF%BC%8E%EF%BC%8E/shop/x"]
)
def test_who_may_read_it_as_another_path_may_not_ask_for_it_as_it_is(path: str) -> None:
    """Most apps take it for what it is: a path below /internal."""
    shop = signed_in("/shop/**")
    assert index([shop], "/shop/x") == 0
    assert index([shop], path) is None
    assert index([shop, deny("/**")], path) == 1
    assert index([shop, signed_in("/**")], path) == 0


@pytest.mark.parametrize("path", ["/office/%252e%252e/admin", "/office/x/..%20/..%20/admin"])
def test_an_app_that_sees_a_part_of_the_path_is_not_led_above_it(path: str) -> None:
    """It would end at its own root, where /admin is what is denied here."""
    routes = [deny("/office/admin"), signed_in("/office/**", strip_prefix="/office"), public("/**")]
    assert index(routes, "/office/x") == 1
    assert index(routes, path) is None
    assert index([deny("/office/admin"), signed_in("/office/**"), public("/**")], path) == 1


def test_the_stricter_route_of_two_readings_decides() -> None:
    routes = [signed_in("/files/**"), deny("/internal/**"), signed_in("/**")]
    assert index(routes, "/files/a%253Fb;c") == 0
    assert index(routes, "/files/%252e%252e/internal/x") == 1
    assert index([signed_in("/files/**")], "/files/%252e%252e/internal") is None
    assert index([signed_in("/u/*"), deny("/u/*/secret")], "/u/me%252fsecret") == 1


def test_a_public_regex_takes_letters_as_they_are() -> None:
    assert index([public("regex:/straße/.+")], "/stra%C3%9Fe/x") == 0
    assert index([public("regex:/straße/.+")], "/STRASSE/x") is None
    assert index([deny("regex:/CAFÉ/.+"), public("/**")], "/cafe%CC%81/x") == 0
    assert index([deny("regex:/x/.*"), public("/**")], "/x") == 0


def test_first_match_wins_and_nothing_matched_is_none() -> None:
    routes = [public("/a/*"), deny("/a/**")]
    assert (index(routes, "/a/b"), index(routes, "/a/b/c"), index(routes, "/b")) == (0, 1, None)
    assert index([], "/") is None


def test_a_route_with_other_methods_falls_through() -> None:
    routes = [public("/a", methods=frozenset({"GET"})), deny("/a", methods=frozenset({"POST"})), signed_in("/a")]
    assert [index(routes, "/a", method) for method in ("GET", "HEAD", "POST", "PUT")] == [0, 0, 1, 2]
    # some apps take `post` for POST: it is closed as POST is, and `get` opens nothing
    assert [index(routes, "/a", method) for method in ("post", "get")] == [1, 2]


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("app.example.com", ["app.example.com", "APP.example.COM", "app.example.com:8443"], ["example.com"]),
        ("App.example.com:8443", ["app.example.com:8443"], ["app.example.com", "app.example.com:443"]),
        ("*.example.com", ["a.example.com", "a.b.example.com:1"], ["example.com", "axexample.com", "a.example.comx"]),
        ("[::1]", ["[::1]", "[::1]:80"], ["[::2]"]),
    ],
)
def test_hosts(rule: str, inside: list[str], outside: list[str]) -> None:
    routes = [public("/**", host=rule)]
    assert [host for host in inside if index(routes, "/", host=host) != 0] == []
    assert [host for host in outside if index(routes, "/", host=host) is not None] == []


def test_a_host_with_its_root_is_closed_but_not_opened() -> None:
    assert index([deny("/**", host="app.example.com"), public("/**")], "/", host="app.example.com.:80") == 0
    assert index([public("/**", host="app.example.com")], "/", host="app.example.com.") is None


def test_a_default_port_may_be_left_out() -> None:
    for port in (80, 443):
        routes = [public("/**", host=f"app.example.com:{port}")]
        assert index(routes, "/", host="app.example.com") == 0
        assert index(routes, "/", host=f"app.example.com:{port}") == 0
        assert index(routes, "/", host="app.example.com:8443") is None
    assert index([public("/**", host="app.example.com:8443")], "/", host="app.example.com") is None


def test_a_broken_regex_is_told_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"routes\[1\]\.path: 'regex:/\(' is no regular expression"):
        Policy([public("/"), public("regex:/(")])


def test_trace_says_why() -> None:
    routes = [
        public("/a", host="other.example"),
        public("/b"),
        deny("/a", methods=frozenset({"POST"})),
        signed_in("/a"),
        signed_in("/**"),
    ]
    steps = Policy(routes).trace("GET", HOST, canonicalise(b"/a"))
    assert [str(step) for step in steps] == [
        "route 0 (/a): another host than other.example",
        "route 1 (/b): another path",
        "route 2 (/a): another method than POST",
        "route 3 (/a): matches",
    ]


def test_trace_says_what_overrules() -> None:
    path = canonicalise(b"/f/%252e%252e/x")
    steps = Policy([signed_in("/f/**"), deny("/x")]).trace("GET", HOST, path)
    assert str(steps[-1]) == "route 1 (/x): decides: an app may take the path for '/x'"
    steps = Policy([signed_in("/f/**")]).trace("GET", HOST, path)
    assert str(steps[-1]) == "no route matches '/x', which an app may take the path for"


class TestDecide:
    headers = IdentityHeaders(["tiktok"], {})

    def decide(self, route: Route | None, *, caller: bool, request: RequestHead | None = None) -> object:
        match = Match(route=route, index=3) if route is not None else None
        who = build_allow(self.headers, person()) if caller else None
        return decide(match, request or head(), who, build_allow(self.headers, None))

    def test_nothing_matched_and_deny(self) -> None:
        assert self.decide(None, caller=True) == Deny("no route matches")
        assert self.decide(deny("/"), caller=True) == Deny("route 3 denies")

    @pytest.mark.parametrize("access", [Access.PUBLIC, Access.OPTIONAL])
    def test_the_anonymous_are_let_in_bare(self, access: Access) -> None:
        assert self.decide(Route(path="/", access=access), caller=False) == Allow((), self.headers.reserved, None)

    def test_public_does_not_name_the_caller(self) -> None:
        assert self.decide(public("/"), caller=True) == Allow((), self.headers.reserved, None)

    @pytest.mark.parametrize("access", [Access.OPTIONAL, Access.SIGNED_IN])
    def test_the_signed_in_are_named(self, access: Access) -> None:
        assert self.decide(Route(path="/", access=access), caller=True) == build_allow(self.headers, person())

    @pytest.mark.parametrize(
        ("request_head", "on_unauthenticated", "kind"),
        [
            (head(), "auto", ChallengeKind.REDIRECT),
            (head(), "unauthorized", ChallengeKind.PROGRAM),
            (head(headers=()), "auto", ChallengeKind.PROGRAM),
            (head(headers=()), "redirect", ChallengeKind.REDIRECT),
            (head(method="POST"), "auto", ChallengeKind.PAGE),
        ],
    )
    def test_the_others_are_challenged(
        self, request_head: RequestHead, on_unauthenticated: str, kind: ChallengeKind
    ) -> None:
        route = signed_in("/", on_unauthenticated=on_unauthenticated)
        assert self.decide(route, caller=False, request=request_head) == Challenge(kind)

    def test_needs_caller(self) -> None:
        asked = [access for access in Access if needs_caller(Match(Route(path="/", access=access), 0))]
        assert asked == [Access.OPTIONAL, Access.SIGNED_IN]
        assert not needs_caller(None)


# Rules and paths in plain small letters, so that no mutated spelling is written down in another rule.
WORDS = st.sampled_from(["a", "b", "ab", "admin"])
PATHS = st.lists(WORDS, min_size=1, max_size=3).map(lambda words: "/" + "/".join(words))
GLOBS = st.lists(WORDS | st.sampled_from(["*", "a*"]), min_size=1, max_size=3).map(lambda w: "/" + "/".join(w))
PATTERNS = GLOBS | GLOBS.map(lambda glob: glob + "/**") | st.just("/**")
ROUTES = st.lists(st.builds(Route, path=PATTERNS, access=st.sampled_from(Access)), max_size=4)


@st.composite
def spelled(draw: st.DrawFn, path: str) -> str:
    """Another raw spelling of a path."""
    letters = [draw(st.sampled_from([letter, letter.upper()])) for letter in path]
    raw = "".join(
        letter if letter == "/" else draw(st.sampled_from([letter, f"%{ord(letter):02x}", f"%25{ord(letter):02X}"]))
        for letter in letters
    )
    cut = "".join("/" + word + draw(st.sampled_from(["", "", ";x", "%3bjs"])) for word in raw.split("/")[1:])
    before = draw(st.sampled_from(["", "", "/b/%252e%252e", "/a/..%253b"]))
    return before + cut + draw(st.sampled_from(["", "", "/", "%3Fx", "%252f"]))


def strictness(match: Match | None) -> int:
    return STRICTNESS[match.route.access if match is not None else Access.DENY]


@given(st.data())
def test_no_spelling_is_more_permissive(data: st.DataObject) -> None:
    policy = Policy(data.draw(ROUTES))
    path = data.draw(PATHS)
    raw = data.draw(spelled(path))
    plain = policy.match("GET", HOST, canonicalise(path.encode()))
    other = policy.match("GET", HOST, canonicalise(raw.encode()))
    assert strictness(other) >= strictness(plain)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_a_spelling_of_a_closed_path_falls_under_that_route_or_a_stricter_or_earlier_one(data: st.DataObject) -> None:
    policy = Policy(data.draw(ROUTES))
    path = data.draw(PATHS)
    plain = policy.match("GET", HOST, canonicalise(path.encode()))
    assume(plain is not None and not plain.route.opens)
    assert plain is not None
    other = policy.match("GET", HOST, canonicalise(data.draw(spelled(path)).encode()))
    assert other is None or other.index <= plain.index or strictness(other) > strictness(plain)
    assert other is None or not other.route.opens


@given(ROUTES, st.text(max_size=40))
@example([], "/\N{FULLWIDTH PERCENT SIGN}252e")
def test_any_path_is_decided_and_the_trace_agrees(routes: list[Route], text: str) -> None:
    try:
        path = canonicalise(quote("/" + text, safe="/%;").encode())
    except (MalformedRequest, UnicodeEncodeError):
        return
    policy = Policy(routes)
    match = policy.match("GET", HOST, path)
    deciding = [step for step in policy.trace("GET", HOST, path) if not step.outcome.startswith("another")]
    assert (deciding[-1].index if deciding else None) == (match.index if match is not None else None)


@given(st.text())
def test_folding_forgets_case(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text)


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([public("/a", methods=frozenset({"GET"})), signed_in("/a")], 1),
        ([signed_in("/a", methods=frozenset({"POST"})), public("/a")], 0),
        ([public("/a", methods=frozenset({"GET"}))], None),
        ([public("/a"), deny("/a", methods=frozenset({"GET"}))], 0),
        ([deny("/a", methods=frozenset({"DELETE"})), public("/a")], 0),
        ([Route(path="/a", access=Access.OPTIONAL, methods=frozenset({"GET"})), public("/a")], 1),
        # each is told something else
        ([signed_in("/a", methods=frozenset({"GET"}), headers=(("X-A", "{open_id}"),)), signed_in("/a")], None),
        ([signed_in("/a", methods=frozenset({"GET"}), upstream="other"), signed_in("/a")], None),
        # what closes takes `get` for GET, what opens does not
        ([public("/a", methods=frozenset({"GET"})), deny("/a", methods=frozenset({"GET"})), public("/a")], 1),
    ],
)
def test_a_method_that_is_not_known_stands_for_every_method(routes: list[Route], found: int | None) -> None:
    assert index(routes, "/a", UNKNOWN_METHOD) == found


METHODS = ["GET", "HEAD", "POST", "DELETE", "get", "head", "post", "PURGE"]
narrowed = st.builds(
    Route,
    path=st.just("/a/**"),
    access=st.sampled_from(Access),
    methods=st.none() | st.sets(st.sampled_from(["GET", "HEAD", "POST"]), min_size=1).map(frozenset),
    upstream=st.sampled_from(["default", "other"]),
    encoded_slashes=st.booleans(),
    merge_slashes=st.booleans(),
    allowed_origins=st.sampled_from([frozenset[str](), frozenset({"https://other.example"})]),
)


@given(routes=st.lists(narrowed, max_size=5), raw=st.sampled_from([b"/a", b"/a/b%2Fc", b"/a//b"]))
def test_what_passes_by_an_unknown_method_passes_by_each(routes: list[Route], raw: bytes) -> None:
    policy, path = Policy(routes), canonicalise(raw, encoded_slashes=True, fixed=True)
    try:
        found = policy.match(UNKNOWN_METHOD, HOST, path)
    except MalformedRequest:
        return
    for method in METHODS:
        match = policy.match(method, HOST, path)
        assert (
            found is None
            or match is None
            or found.route.allowed_origins <= match.route.allowed_origins
            or (STRICTNESS[found.route.access] == 2)
        )
        strictness = STRICTNESS[match.route.access] if match is not None else 2
        assert strictness <= (STRICTNESS[found.route.access] if found is not None else 2), method
