import sys

import pytest

from gateway.core.challenge import (
    Viewer,
    choose,
    find_viewer,
    is_cross_site_post,
    is_cross_site_websocket,
    is_navigation,
    is_prefetch,
    shows_page,
)
from gateway.core.decision import ChallengeKind
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead

OURS = frozenset({"https://app.example.com"})
NAVIGATE = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-site": "none"}
HTML = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


def head(
    headers: dict[str, str] | list[tuple[str, str]], *, method: str = "GET", websocket: bool = False
) -> RequestHead:
    fields = headers.items() if isinstance(headers, dict) else headers
    return RequestHead(
        method=method,
        scheme="https",
        host="app.example.com",
        path=canonicalise(b"/"),
        query=b"",
        raw_target=b"/",
        headers=tuple((name.encode(), value.encode("latin-1")) for name, value in fields),
        client_address="192.0.2.1",
        websocket=websocket,
    )


NAVIGATIONS = [
    NAVIGATE,
    NAVIGATE | HTML,
    NAVIGATE | {"sec-fetch-site": "cross-site", "accept": "*/*"},
    {"sec-fetch-mode": "navigate", "sec-fetch-site": "none"},
    NAVIGATE | {"sec-fetch-dest": "empty"},  # through a service worker
    HTML,
    {"accept": "TEXT/HTML"},
    {"accept": "text/html;q=0.5, */*;q=0.1"},
    {"accept": "text/html, application/json;q=0.9"},
]
OTHERS = [
    {},
    {"accept": "*/*"},
    {"accept": "application/json"},
    {"accept": "application/json, text/html;q=0.9"},
    {"accept": "text/html;q=0, */*"},
    {"accept": "text/html;q=x"},
    {"accept": "text/htmlx, application/xtext/html"},
    {"accept": ";q=,=;,"},
    HTML | {"x-requested-with": "XMLHttpRequest"},
    HTML | {"x-requested-with": "xmlhttprequest"},
    HTML | {"sec-purpose": "prefetch"},
    HTML | {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
    HTML | {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    HTML | {"sec-fetch-site": "same-origin"},
    HTML | {"sec-fetch-dest": "document"},
    *(HTML | NAVIGATE | {"sec-fetch-dest": frame} for frame in ("worker", "image", "")),
    *(NAVIGATE | {"sec-purpose": purpose} for purpose in ("prefetch", "prefetch;prerender", "Prefetch")),
    NAVIGATE | {"purpose": "prefetch"},
    NAVIGATE | {"x-purpose": "preview"},
    NAVIGATE | {"x-moz": "prefetch"},
]


@pytest.mark.parametrize("filler", [",", "a/b,", "text/htm;q=0.1,"])
def test_an_accept_without_end_costs_no_step_for_each_of_its_commas(filler: str) -> None:
    accept = filler * 8000 + ",text/html"
    steps: list[str] = []
    sys.setprofile(lambda _, event, __: steps.append(event))
    try:
        viewer = find_viewer([(b"accept", accept.encode())])
    finally:
        sys.setprofile(None)
    assert viewer is Viewer.WINDOW
    assert len(steps) < 100


@pytest.mark.parametrize("headers", NAVIGATIONS)
def test_navigations_are_redirected(headers: dict[str, str]) -> None:
    assert is_navigation(head(headers))
    assert choose(head(headers), "auto") is ChallengeKind.REDIRECT
    assert choose(head(headers), "redirect") is ChallengeKind.REDIRECT
    assert choose(head(headers), "unauthorized") is ChallengeKind.PROGRAM


FRAMES = [
    HTML | NAVIGATE | {"sec-fetch-dest": frame} for frame in ("iframe", "frame", "embed", "object", "fencedframe")
]


@pytest.mark.parametrize("headers", FRAMES)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_frame_gets_a_page_and_never_a_redirect(headers: dict[str, str], method: str) -> None:
    asked = head(headers, method=method)
    assert not is_navigation(asked)
    assert not shows_page(asked)
    assert find_viewer(asked.headers) is Viewer.FRAME
    assert choose(asked, "auto") is choose(asked, "redirect") is ChallengeKind.FRAME
    assert choose(asked, "unauthorized") is ChallengeKind.PROGRAM


@pytest.mark.parametrize("headers", [*FRAMES, *NAVIGATIONS])
def test_nobody_sees_what_a_prefetch_or_a_websocket_is_answered(headers: dict[str, str]) -> None:
    assert find_viewer(head(headers | {"sec-purpose": "prefetch"}).headers) is Viewer.PROGRAM
    assert find_viewer(head(headers).headers, websocket=True) is Viewer.PROGRAM


@pytest.mark.parametrize("headers", OTHERS)
def test_anything_else_is_told_401(headers: dict[str, str]) -> None:
    assert not is_navigation(head(headers))
    assert choose(head(headers), "auto") is ChallengeKind.PROGRAM
    assert choose(head(headers, method="POST"), "auto") is ChallengeKind.PROGRAM


@pytest.mark.parametrize("headers", OTHERS)
def test_redirect_takes_in_only_those_that_do_not_say(headers: dict[str, str]) -> None:
    silent = not any(name.startswith("sec-") for name in headers) and "x-requested-with" not in headers
    expected = ChallengeKind.REDIRECT if silent else ChallengeKind.PROGRAM
    if silent and set(headers) & {"purpose", "x-purpose", "x-moz"}:
        expected = ChallengeKind.PROGRAM
    assert choose(head(headers), "redirect") is expected
    assert choose(head(headers, method="DELETE"), "redirect") is ChallengeKind.PROGRAM
    assert choose(head(headers, websocket=True), "redirect") is ChallengeKind.PROGRAM


@pytest.mark.parametrize("headers", NAVIGATIONS)
@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("POST", ChallengeKind.PAGE),
        ("HEAD", ChallengeKind.PROGRAM),
        ("PUT", ChallengeKind.PROGRAM),
        ("get", ChallengeKind.PROGRAM),
    ],
)
def test_other_methods_begin_no_sign_in(headers: dict[str, str], method: str, kind: ChallengeKind) -> None:
    assert not is_navigation(head(headers, method=method))
    assert choose(head(headers, method=method), "auto") is kind
    assert choose(head(headers, method=method), "redirect") is kind


def test_a_websocket_is_no_navigation() -> None:
    assert not is_navigation(head(HTML, websocket=True))
    assert choose(head(NAVIGATE, websocket=True), "redirect") is ChallengeKind.PROGRAM


def test_prefetch() -> None:
    assert is_prefetch(head({"sec-purpose": "prefetch;anonymous-client-ip"}))
    assert not is_prefetch(head(NAVIGATE))


OWN = "https://app.example.com"
SAME_SITE = "https://blog.example.com"
EVIL = "https://evil.example"


@pytest.mark.parametrize(
    ("site", "origin", "crosses"),
    [
        ("same-origin", OWN, False),
        ("same-origin", "null", False),  # Chromium under no-referrer
        ("same-origin", None, False),
        ("none", None, False),
        ("none", OWN, False),
        ("none", EVIL, True),  # the reload of what another site sent
        ("none", "null", True),
        ("same-site", OWN, False),
        ("same-site", SAME_SITE, True),
        ("same-site", "null", True),
        ("same-site", None, True),
        ("cross-site", OWN, True),
        ("cross-site", None, True),
        ("cross-site", EVIL, True),
        ("Same-Origin", OWN, True),
        ("", OWN, True),
        (None, OWN, False),
        (None, "HTTPS://app.example.com", False),
        (None, "http://app.example.com", True),
        (None, "https://app.example.com:8443", True),
        (None, "https://app.example.com.evil.example", True),
        (None, "null", True),
        (None, "", True),
        (None, "\xe9", True),
    ],
)
def test_cross_site(site: str | None, origin: str | None, crosses: bool) -> None:
    fields = {"sec-fetch-site": site, "origin": origin}
    headers = {name: value for name, value in fields.items() if value is not None}
    assert is_cross_site_post(head(headers, method="POST"), OURS) is crosses
    assert is_cross_site_websocket(head(headers, websocket=True), OURS) is crosses


def test_where_nothing_is_said_a_post_proves_nothing_and_a_websocket_is_a_program_s() -> None:
    assert is_cross_site_post(head({}, method="POST"), OURS)
    assert not is_cross_site_websocket(head({}, websocket=True), OURS)


@pytest.mark.parametrize(
    "headers",
    [
        [("origin", OWN), ("origin", EVIL)],
        [("origin", OWN), ("origin", OWN)],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ],
)
def test_what_is_said_twice_proves_nothing(headers: list[tuple[str, str]]) -> None:
    assert is_cross_site_post(head(headers, method="POST"), OURS)
    assert is_cross_site_websocket(head(headers, websocket=True), OURS)


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
@pytest.mark.parametrize(
    ("origins", "crosses"),
    [
        (["https://www.example.com"], False),
        (["HTTPS://WWW.example.com"], False),
        (["capacitor://localhost"], False),
        (["http://www.example.com"], True),
        (["https://www.example.com:8443"], True),
        (["https://example.com"], True),
        (["https://www.example.com.evil.example"], True),
        (["null"], True),
        ([EVIL], True),
        (["https://www.example.com", "https://www.example.com"], True),
    ],
)
def test_a_websocket_of_an_allowed_origin(site: str | None, origins: list[str], crosses: bool) -> None:
    allowed = frozenset({"https://www.example.com", "capacitor://localhost"})
    headers = [("sec-fetch-site", site)] if site else []
    headers += [("origin", origin) for origin in origins]
    opened = head(headers, websocket=True)
    assert is_cross_site_websocket(opened, OURS, allowed) is crosses
    assert is_cross_site_websocket(opened, OURS)
    assert is_cross_site_post(opened, OURS)
