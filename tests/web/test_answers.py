"""The gateway's answers, by themselves: to whom what is said, where it leads, and what keeps it from being kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gateway.core.authorization import USUAL
from gateway.core.binding import MOST_TURNS, new_binding
from gateway.core.decision import Challenge, ChallengeKind, Consent, Deny
from gateway.core.request import RequestHead
from gateway.errors import (
    AttemptUnknown,
    CrossSite,
    GatewayError,
    MethodRefused,
    SessionsDiffer,
    SignInLoop,
    StoreUnavailable,
)
from gateway.web.answers.answer import Answer, Rendered, json_answer, page, problem, redirect, text_answer
from gateway.web.answers.answers import Answers
from tests.harness import NAVIGATION, SAME_ORIGIN
from tests.web.test_pipeline import HOST, ORIGIN, ask, build_generation

pytestmark = pytest.mark.anyio

HTML = Rendered(b"<html>", "en")
FRAME = NAVIGATION | {"sec-fetch-dest": "iframe"}
HTMX = SAME_ORIGIN | {"hx-request": "true"}


@pytest.fixture
def answers() -> Answers:
    return build_generation().pages.pipeline._answers


def fields(answer: Answer) -> dict[str, str]:
    """Return the fields of an answer; none may come twice but Set-Cookie."""
    names = [name for name, _ in answer.headers if name != b"set-cookie"]
    assert len(names) == len(set(names)), names
    return {name.decode(): value.decode() for name, value in answer.headers}


def told(answer: Answer) -> dict[str, Any]:
    assert fields(answer)["content-type"] == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.body)
    return found


def rd_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["rd"][0]


# What every answer is


@pytest.mark.parametrize(
    "answer",
    [
        page(200, HTML),
        page(401, HTML, framed=True),
        problem(401, "code", "Title", "Detail", "id"),
        json_answer(200, {}),
        text_answer(200, "ok\n"),
    ],
    ids=["page", "frame", "problem", "json", "text"],
)
def test_it_is_not_kept_and_is_what_it_says(answer: Answer) -> None:
    said = fields(answer)
    assert (said["cache-control"], said["x-content-type-options"]) == ("no-store", "nosniff")
    assert ("www-authenticate" in said) is (answer.status == 401)
    assert dict(answer.length_headers()) == {b"content-length": b"%d" % len(answer.body)}


def test_a_redirect_is_not_kept_and_tells_nobody_where_it_came_from() -> None:
    said = fields(redirect(302, ORIGIN + "/x"))
    assert (said["location"], said["cache-control"], said["referrer-policy"]) == (
        ORIGIN + "/x",
        "no-store",
        "no-referrer",
    )


def test_a_page_is_alone_in_its_window_and_runs_nothing() -> None:
    said = fields(page(200, HTML))
    policy = said["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'self'" in policy
    assert (said["x-frame-options"], said["cross-origin-opener-policy"]) == ("DENY", "same-origin")
    assert said["referrer-policy"] == "no-referrer"
    script = fields(page(200, Rendered(b"", "en", ("app.example/oauth2/static/x.js",))))["content-security-policy"]
    assert script == policy + "; script-src app.example/oauth2/static/x.js"


def test_only_a_page_for_frames_may_be_framed() -> None:
    said = fields(page(401, HTML, framed=True))
    assert "frame-ancestors" not in said["content-security-policy"]
    assert "x-frame-options" not in said


# Who is not signed in


async def test_a_navigation_goes_to_tiktok_and_its_browser_is_bound(answers: Answers) -> None:
    answer = await answers.challenge(Challenge(ChallengeKind.REDIRECT), ask("/x?y=1", NAVIGATION), "id")
    assert answer.status == 302
    assert fields(answer)["location"].startswith("https://www.tiktok.com/")
    cookies = [value.decode() for name, value in answer.headers if name == b"set-cookie"]
    assert len(cookies) == 1
    assert cookies[0].startswith("__Host-gateway-sign-in-")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookies[0].split("; "))


async def test_from_another_host_the_way_leads_home_first_and_sets_nothing(answers: Answers) -> None:
    head = ask("/x?y=1", NAVIGATION, host="other.example")
    answer = await answers.challenge(Challenge(ChallengeKind.REDIRECT), head, "id")
    assert fields(answer)["location"].startswith(f"{ORIGIN}/oauth2/start?")
    assert rd_of(fields(answer)["location"]) == "/x?y=1"
    assert "set-cookie" not in fields(answer)


@pytest.mark.parametrize(
    ("kind", "method", "rd"),
    [
        (ChallengeKind.PROGRAM, "GET", "/x?y=1"),
        (ChallengeKind.PROGRAM, "POST", "/"),  # which could not be sent again
        (ChallengeKind.FRAME, "GET", "/x?y=1"),
        (ChallengeKind.FRAME, "POST", "/"),
        (ChallengeKind.PAGE, "POST", "/x?y=1"),
    ],
)
async def test_everybody_else_is_told_where_to_begin(
    answers: Answers, kind: ChallengeKind, method: str, rd: str
) -> None:
    answer = await answers.challenge(Challenge(kind), ask("/x?y=1", method=method), "the-id")
    assert (answer.status, fields(answer)["cache-control"]) == (401, "no-store")
    if kind is ChallengeKind.PROGRAM:
        assert rd_of(told(answer)["sign_in_url"]) == rd
        assert told(answer)["request_id"] == "the-id"
    else:
        assert f"rd={rd.replace('?', '%3F').replace('=', '%3D')}" in answer.body.decode().replace("&amp;", "&")
    assert "location" not in fields(answer)


async def test_a_loop_ends_on_a_page_and_a_button_is_no_turn_of_it(answers: Answers) -> None:
    head = ask("/x", NAVIGATION)
    for _ in range(MOST_TURNS):
        assert (await answers.begin("/x", head)).status == 302
        binding = answers._sign_in.next_turn(answers.cookies.read_bindings(head)).complete(datetime.now(UTC))
        head = ask("/x", NAVIGATION | {"cookie": f"__Host-gateway-sign-in-{binding.mark}={binding}"})
    with pytest.raises(SignInLoop) as looped:
        await answers.begin("/x", head)
    assert looped.value.return_to == ORIGIN + "/x"
    assert (await answers.begin_with("/x", head, USUAL)).status == 302


# Where it leads


@pytest.mark.parametrize(
    "rd", ["//evil.example/x", "https://evil.example/", "javascript:alert(1)", "/oauth2/sign_out", "", None, "/\\evil"]
)
def test_what_leads_elsewhere_leads_home(answers: Answers, rd: str | None) -> None:
    assert answers.site.check_return_to(rd).url == ORIGIN + "/"
    assert answers.site.check_return_to("/x?rd=//evil").url == ORIGIN + "/x?rd=//evil"


def test_an_address_to_begin_at_is_ours_and_holds_any_other_as_a_value(answers: Answers) -> None:
    for return_to in ("/x?a=1&b=2#c", "https://evil.example/?&switch=1"):
        url = answers.site.start_url(return_to)
        assert url.startswith(f"{ORIGIN}/oauth2/start?rd=")
        assert parse_qs(urlsplit(url).query) == {"rd": [return_to]}
        assert unquote(url).endswith(return_to)


@pytest.mark.parametrize(
    ("said", "host", "target", "location"),
    [
        (NAVIGATION, "other.example", "/oauth2/account", "/oauth2/account?moved=1"),
        (NAVIGATION, "other.example", "/oauth2/start?rd=/x", "/oauth2/start?moved=1&rd=/x"),
        (NAVIGATION, "other.example", "/oauth2/account?moved=1", None),  # once is enough
        (NAVIGATION, HOST, "/oauth2/account", None),
        (SAME_ORIGIN, "other.example", "/oauth2/account", None),
    ],
)
def test_a_person_is_sent_home_once(
    answers: Answers, said: dict[str, str], host: str, target: str, location: str | None
) -> None:
    answer = answers.send_home(ask(target, said, host=host))
    assert (fields(answer)["location"] if answer is not None else None) == (location and ORIGIN + location)


@pytest.mark.parametrize(
    ("here", "rd"),
    [
        (ORIGIN + "/videos?page=2", "/videos?page=2"),
        ("https://evil.example/", "/"),
        (ORIGIN + "/oauth2/sign_out", "/"),
        (ORIGIN, "/"),
    ],
)
def test_htmx_leads_the_window_and_only_to_a_page_of_ours(answers: Answers, here: str, rd: str) -> None:
    answer = answers.unauthenticated(ask("/x", HTMX | {"hx-current-url": here}), "id")
    assert fields(answer)["hx-redirect"].startswith("/oauth2/start?rd=")
    assert rd_of(fields(answer)["hx-redirect"]) == rd
    assert "hx-redirect" not in fields(answers.unauthenticated(ask("/x", SAME_ORIGIN), "id"))


# Who may not


def test_scopes_are_asked_for_and_nobody_is_sent_round_for_them(answers: Answers) -> None:
    consent = Consent(("video.list",), "to list your videos")
    problem = answers.ask_for_scopes(consent, ask("/x", SAME_ORIGIN), "id")
    assert (problem.status, told(problem)["missing_scopes"]) == (403, ["video.list"])
    assert told(problem)["sign_in_url"].endswith("&scopes=video.list")
    assert fields(problem)["www-authenticate"] == 'Bearer error="insufficient_scope", scope="video.list"'
    shown = answers.ask_for_scopes(consent, ask("/x", NAVIGATION), "id")
    assert (shown.status, "location" in fields(shown)) == (403, False)
    assert b"to list your videos" in shown.body


def test_why_something_is_denied_stays_in_the_log(answers: Answers) -> None:
    for said in (NAVIGATION, SAME_ORIGIN):
        denied = answers.deny(Deny("route 3 denies"), ask("/x", said), "id")
        assert (denied.status, b"route 3" in denied.body) == (403, False)
    assert told(answers.deny(Deny("why", cross_site=True), ask("/x", SAME_ORIGIN), "id"))["code"] == CrossSite.code


# What went wrong


def seen_by(answers: Answers, error: GatewayError, head: RequestHead | None) -> Answer:
    return answers.error(error, head, "the-id")


def test_an_error_says_its_fixed_words_and_when_to_come_again(answers: Answers) -> None:
    away = seen_by(answers, StoreUnavailable("redis-7.internal"), ask("/x", SAME_ORIGIN))
    assert (away.status, told(away)["title"], told(away)["request_id"]) == (503, StoreUnavailable.title, "the-id")
    assert int(fields(away)["retry-after"]) > 0
    refused = seen_by(answers, MethodRefused("PUT", allowed=("GET", "POST")), ask("/x", NAVIGATION))
    assert (refused.status, fields(refused)["allow"]) == (405, "GET, POST")
    for answer in (away, refused):
        assert b"redis-7" not in answer.body


def test_the_address_of_a_failed_callback_loses_its_query(answers: Answers) -> None:
    failed = seen_by(answers, AttemptUnknown("used"), ask("/oauth2/callback?code=secret&state=s", NAVIGATION))
    assert b"static/forget.js" in failed.body
    assert b"secret" not in failed.body
    assert fields(failed)["content-security-policy"].endswith(f"; script-src {HOST}/oauth2/static/forget.js")
    for target in ("/oauth2/account?code=secret", "/x?code=secret"):
        assert b"forget.js" not in seen_by(answers, AttemptUnknown("used"), ask(target, NAVIGATION)).body
    assert told(seen_by(answers, AttemptUnknown("used"), ask("/oauth2/callback?code=secret", SAME_ORIGIN)))


@pytest.mark.parametrize(
    ("target", "method", "again"),
    [
        ("/x?y=1", "GET", True),
        ("/x?y=1", "POST", False),
        ("/oauth2/account", "GET", True),
        ("/oauth2/callback?code=secret&state=s", "GET", False),  # which works once
    ],
)
def test_only_what_may_be_asked_for_again_is_offered_again(
    answers: Answers, target: str, method: str, again: bool
) -> None:
    shown = seen_by(answers, StoreUnavailable("away"), ask(target, NAVIGATION, method=method)).body.decode()
    assert (ORIGIN + target in shown) is again
    assert "secret" not in shown


def test_cookies_of_other_domains_are_taken_away_where_two_differ() -> None:
    answers = build_generation(SESSION__COOKIE_NAME="gateway").pages.pipeline._answers
    head = ask("/x", NAVIGATION | {"cookie": "gateway=a; gateway=b"})
    gone = [value for name, value in seen_by(answers, SessionsDiffer("two"), head).headers if name == b"set-cookie"]
    assert gone
    assert all(b"Max-Age=0" in value for value in gone)
    other = seen_by(answers, StoreUnavailable("away"), head)
    assert "set-cookie" not in fields(other)


def test_binding_cookies_are_told_apart_by_their_mark(answers: Answers) -> None:
    one, other = new_binding(), new_binding()
    named = "; ".join(f"__Host-gateway-sign-in-{each.mark}={each}" for each in (one, other))
    swapped = f"__Host-gateway-sign-in-{one.mark}={other}"
    assert answers.cookies.read_bindings(ask("/x", {"cookie": named})) == (one, other)
    assert answers.cookies.read_bindings(ask("/x", {"cookie": swapped})) == ()
