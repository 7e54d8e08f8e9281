"""What pages say must be so: of who is signed in, of what has ended, of where to go on."""

from __future__ import annotations

import re
from collections.abc import Generator
from urllib.parse import quote

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, listener, serve_gateway, url_of
from tests.redis_server import run_redis

STILL = "still signed in"
ROUTES = """[
  {path: /open/**, access: public},
  {path: /videos/**, scopes: [video.list]},
  {path: /staff/**, allow: {usernames: [somebody.else]}},
  {path: /stars/**, creator: {follower_count: {min: 1000000}}, scopes: [user.info.stats], reason: "Big creators only."},
  {path: /**},
]"""


@pytest.fixture
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    simulator.troubles.reset()
    with serve_gateway(simulator, upstream, routes=ROUTES) as running:
        yield running
    simulator.troubles.reset()


@pytest.fixture
def browser(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as browser:
        yield browser


def callback(browser: Browser, target: str = "/x?a=1") -> str:
    return browser.consent(browser.navigate(target).headers["location"])


def links_of(answer: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<a class="button[^"]*" href="([^"]*)"[^>]*>(?:<span[^>]*></span>)?([^<]*)</a>', answer.text)
    return {words: address.replace("&amp;", "&") for address, words in found}


def again(gateway: Running, target: str = "/x?a=1") -> str:
    return f"/oauth2/start?rd={quote(gateway.url + target, safe='/')}"


@pytest.mark.parametrize("signed_in", [False, True])
def test_while_tiktok_is_away(gateway: Running, browser: Browser, signed_in: bool) -> None:
    if signed_in:
        browser.sign_in("/x")
        begun = browser.navigate(again(gateway))
        opened = browser.consent(begun.headers["location"])
    else:
        opened = callback(browser)
    gateway.simulator.troubles.html = True
    answer = browser.navigate(opened)
    assert answer.status_code == 503
    assert "TikTok is not answering" in answer.text
    assert (STILL in answer.text) is signed_in
    assert links_of(answer)["Try again"] == again(gateway)


def test_a_code_that_tiktok_refuses_has_ended_nothing(gateway: Running, browser: Browser) -> None:
    opened = callback(browser)
    gateway.simulator.simulator.codes.clear()
    answer = browser.navigate(opened)
    assert answer.status_code == 400
    assert "<code>code_refused</code>" in answer.text
    assert "TikTok did not complete this sign-in" in answer.text
    assert "has ended" not in answer.text
    assert links_of(answer)["Try again"] == again(gateway)
    begun = browser.navigate(links_of(answer)["Try again"])
    assert browser.navigate(browser.consent(begun.headers["location"])).headers["location"] == gateway.url + "/x?a=1"


def test_who_says_no_at_first_may_try_again_from_where_they_were(gateway: Running, browser: Browser) -> None:
    answer = browser.navigate(browser.consent(browser.navigate("/x?a=1").headers["location"], allow=False))
    assert answer.status_code == 403
    assert "You did not allow the sign-in" in answer.text
    assert STILL not in answer.text
    assert list(links_of(answer)) == ["Try again", "Back to the start page"]
    assert links_of(answer)["Try again"] == again(gateway)


def test_who_says_no_to_more_keeps_everything_else(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x")
    begun = browser.navigate("/oauth2/start?rd=/videos/x&scopes=video.list").headers["location"]
    answer = browser.navigate(browser.consent(begun, allow=False))
    assert answer.status_code == 403
    assert "You did not share any more" in answer.text
    assert "<li>Your public videos</li>" in answer.text
    assert "Your name and profile picture" not in answer.text  # which is shared as before
    assert "Nothing was shared" not in answer.text
    assert STILL in answer.text
    assert links_of(answer)["Back to where you were"] == gateway.url + "/videos/x"
    assert browser.fetch("/x").status_code == 200


def test_a_sign_in_that_has_expired_or_was_used_leads_back_to_where_it_began(
    gateway: Running, browser: Browser
) -> None:
    opened = callback(browser)
    browser.navigate(opened)
    del browser.client.cookies["gateway"]  # signed out since
    answer = browser.navigate(opened)
    assert (answer.status_code, "<code>sign_in_expired</code>" in answer.text) == (400, True)
    assert links_of(answer)["Try again"] == again(gateway)
    # nobody else learns where that was
    with Browser(gateway.url) as other:
        callback(other)
        assert "a%3D1" not in other.navigate(opened).text


def test_the_forbidden_are_told_as_whom_and_how_to_come_as_another(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x", person="plain")
    answer = browser.navigate("/staff/x?a=1")
    assert answer.status_code == 403
    assert "You are signed in as <bdi>Ada Plain</bdi> (<bdi>@ada.plain</bdi>), who may not see this." in answer.text
    switch = links_of(answer)["Use another account"]
    assert switch == f"/oauth2/start?switch=1&rd={quote(gateway.url + '/staff/x?a=1', safe='/')}"
    begun = browser.navigate(switch).headers["location"]
    assert "disable_auto_auth=1" in begun  # TikTok would let the same account pass
    browser.navigate(browser.consent(begun, person="emoji"))
    assert "李小龙" in browser.navigate("/staff/x").text


def test_the_reason_of_a_route_is_given_to_the_forbidden_too(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x")
    begun = browser.navigate("/oauth2/start?rd=/stars/x&scopes=user.info.stats").headers["location"]
    browser.navigate(browser.consent(begun))
    answer = browser.navigate("/stars/x")
    assert answer.status_code == 403
    assert "Big creators only." in answer.text


def test_the_page_with_the_button_knows_who_is_signed_in(gateway: Running, browser: Browser) -> None:
    assert "Use your TikTok account" in browser.navigate("/oauth2/sign_in?rd=/x").text
    browser.sign_in("/x")
    answer = browser.navigate("/oauth2/sign_in?rd=/x%3Fa%3D1")
    assert "as <bdi>Ada Plain</bdi>" in answer.text
    assert "Use your TikTok account" not in answer.text
    assert links_of(answer)["Go on"] == gateway.url + "/x?a=1"
    begun = browser.navigate(links_of(answer)["Use another account"]).headers["location"]
    assert "disable_auto_auth=1" in begun


def test_pressing_that_button_again_and_again_is_no_loop(gateway: Running, browser: Browser) -> None:
    for _ in range(6):
        begun = browser.navigate("/oauth2/start?switch=1&rd=/x")
        assert browser.navigate(browser.consent(begun.headers["location"])).status_code == 302


def test_an_app_that_is_away_may_be_asked_again(simulator: RunningSimulator) -> None:
    with listener() as closed:
        nobody = url_of(closed)
    with serve_gateway(simulator, nobody, routes=ROUTES) as running, Browser(running.url) as browser:
        answer = browser.navigate("/open//x?a=1&b")
        assert answer.status_code == 502
        assert STILL not in answer.text
        assert links_of(answer)["Try again"] == running.url + "/open//x?a=1&b"
        assert STILL in browser.navigate("/open/x", headers={"cookie": "gateway=" + "x" * 43}).text
        assert "Try again" not in browser.navigate("/open/x", method="POST").text


def test_while_redis_is_away_only_who_sent_a_cookie_is_told_that_it_still_counts(
    simulator: RunningSimulator, upstream: str
) -> None:
    with (
        run_redis() as redis,
        serve_gateway(simulator, upstream, routes=ROUTES, redis=redis.url) as running,
        Browser(running.url) as known,
        Browser(running.url) as stranger,
    ):
        known.sign_in("/x")
        redis.stop()
        for browser, target, told in ((known, "/oauth2/account", True), (stranger, "/oauth2/start?rd=/x", False)):
            answer = browser.navigate(target)
            assert answer.status_code == 503
            assert (STILL in answer.text) is told
            assert links_of(answer)["Try again"] == running.url + target
        # a button that works once the store does
        assert stranger.navigate("/oauth2/sign_in").status_code == 200
        assert known.navigate("/oauth2/sign_in").status_code == 200


def test_a_target_with_two_slashes_is_no_link_to_another_site(simulator: RunningSimulator) -> None:
    with listener() as closed:
        nobody = url_of(closed)
    with serve_gateway(simulator, nobody, routes="[{path: /**, access: public}]") as running:
        with httpx.Client(trust_env=False) as client:
            answer = client.send(_raw(running, b"//evil.example/x"))
        assert 'href="//' not in answer.text


def _raw(running: Running, target: bytes) -> httpx.Request:
    return httpx.Request("GET", running.url, headers=NAVIGATION, extensions={"target": target})
