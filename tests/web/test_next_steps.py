"""Every page leads on: back to the app, to another account, to another try; and what cannot be undone asks first."""

from __future__ import annotations

import json
import re
from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, listener, serve_gateway, url_of

ROUTES = """[
  {path: /open/**, access: public},
  {path: /stars/**, creator: {follower_count: {min: 1000000}}, scopes: [user.info.stats]},
  {path: /verified/**, creator: {is_verified: true}},
  {path: /staff/**, allow: {usernames: [somebody.else]}},
  {path: /, access: deny},
  {path: /**},
]"""
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}


@pytest.fixture
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_gateway(simulator, upstream, routes=ROUTES) as running:
        yield running


@pytest.fixture
def browser(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as browser:
        yield browser


def handles_of(browser: Browser) -> list[str]:
    """Return the handles of the devices that may be ended, as the account page shows them."""
    return re.findall(r'name="session" value="([^"]+)"', browser.navigate("/oauth2/account").text)


def end(browser: Browser, handle: str, **headers: str) -> httpx.Response:
    return browser.navigate(
        "/oauth2/sign_out", method="POST", content=f"session={handle}", headers=FORM | {"origin": browser.url} | headers
    )


def test_one_device_is_ended_and_the_others_go_on(gateway: Running, browser: Browser) -> None:
    with Browser(gateway.url) as phone, Browser(gateway.url) as tablet:
        for each in (browser, phone, tablet):
            each.sign_in("/x", person="plain")
        handle = phone.fetch("/oauth2/userinfo").json()["session_id"]
        assert handle in handles_of(browser)
        answer = end(browser, handle)
        assert (answer.status_code, answer.headers["location"]) == (303, gateway.url + "/oauth2/account")
        assert [each.fetch("/x").status_code for each in (browser, phone, tablet)] == [200, 401, 200]
        assert handle not in handles_of(browser)
        # whoever presses the button again has what they wanted
        assert end(browser, handle).status_code == 303
        for each in (browser, tablet):
            each.navigate("/oauth2/sign_out", method="POST", headers=FORM | {"origin": gateway.url})


def test_the_device_in_hand_has_no_such_button_and_no_cookie_is_on_the_page(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x")
    with Browser(gateway.url) as phone:
        phone.sign_in("/x")
        text = browser.navigate("/oauth2/account").text
        assert browser.fetch("/oauth2/userinfo").json()["session_id"] not in text
        for each in (browser, phone):
            assert each.client.cookies["gateway"] not in text
        assert end(browser, phone.client.cookies["gateway"]).status_code == 303  # a session id is no handle
        assert phone.fetch("/x").status_code == 200


def test_nobody_ends_a_device_of_somebody_else(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x", person="plain")
    with Browser(gateway.url) as other:
        other.sign_in("/x", person="emoji")
        handle = other.fetch("/oauth2/userinfo").json()["session_id"]
        assert end(browser, handle).status_code == 303
        assert other.fetch("/x").status_code == 200


def test_another_site_ends_no_device(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x")
    with Browser(gateway.url) as phone:
        phone.sign_in("/x")
        handle = phone.fetch("/oauth2/userinfo").json()["session_id"]
        said = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        assert end(browser, handle, **said).status_code == 403
        assert phone.fetch("/x").status_code == 200
        with Browser(gateway.url) as stranger:
            assert end(stranger, handle).status_code == 401
        assert phone.fetch("/x").status_code == 200


def test_disconnecting_asks_first(gateway: Running, browser: Browser) -> None:
    assert browser.navigate("/oauth2/disconnect").status_code == 401
    browser.sign_in("/x", person="plain")
    answer = browser.navigate("/oauth2/disconnect")
    assert (answer.status_code, "Ada Plain" in answer.text) == (200, True)
    assert browser.fetch("/x").status_code == 200  # asking has done nothing
    assert 'href="/oauth2/disconnect"' in browser.navigate("/oauth2/account").text
    assert browser.navigate("/oauth2/disconnect", method="POST", headers=FORM).status_code == 200
    assert browser.fetch("/x").status_code == 401


def test_the_account_page_leads_back_to_the_app(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x")
    for rd, link in (("", "/"), ("?rd=/x%3Fa%3D1", "/x?a=1"), ("?rd=//evil.example", "/")):
        assert f'class="button main" href="{gateway.url}{link}"' in browser.navigate("/oauth2/account" + rd).text


@pytest.mark.parametrize(
    ("target", "fact"),
    [("/stars/x", "how many followers the account has"), ("/verified/x", "has verified the account")],
)
def test_a_fact_that_is_not_so_is_named(gateway: Running, browser: Browser, target: str, fact: str) -> None:
    browser.sign_in("/x", person="plain")
    begun = browser.navigate("/oauth2/start?rd=/x&scopes=user.info.stats").headers["location"]
    browser.navigate(browser.consent(begun, person="plain"))
    answer = browser.navigate(target)
    assert (answer.status_code, "<code>forbidden</code>" in answer.text) == (403, True)
    assert "This part is not open to your TikTok account" in answer.text
    assert fact in answer.text
    assert "Ada Plain" in answer.text
    told = browser.fetch(target).json()
    assert (told["code"], told["title"]) == ("forbidden", "This part is not open to your TikTok account")


def test_a_list_is_no_fact(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x", person="plain")
    answer = browser.navigate("/staff/x")
    assert "You may not go there" in answer.text
    assert "It depends on" not in answer.text


def test_no_button_leads_to_where_one_is(gateway: Running, browser: Browser) -> None:
    assert "Back to the start page" not in browser.navigate("/").text
    assert "Back to the start page" in browser.navigate("/oauth2/nothing").text


def test_a_sign_in_of_which_nothing_is_known_may_be_tried_again(gateway: Running, browser: Browser) -> None:
    answer = browser.navigate("/oauth2/callback?code=x&state=" + "x" * 43)
    assert answer.status_code == 400
    assert 'href="/oauth2/start">Try again' in answer.text


def test_what_mends_itself_is_tried_again_by_the_page(simulator: RunningSimulator) -> None:
    with listener() as closed:
        nobody = url_of(closed)
    with serve_gateway(simulator, nobody, routes=ROUTES) as running, Browser(running.url) as browser:
        answer = browser.navigate("/open/x?a=1")
        assert (answer.status_code, answer.headers["refresh"]) == (502, answer.headers["retry-after"])
        assert "tries again by itself" in answer.text
        # never what was sent, nor what a script asked for, nor a refusal
        for other in (browser.navigate("/open/x", method="POST"), browser.fetch("/open/x"), browser.navigate("/")):
            assert "refresh" not in other.headers
            assert "tries again by itself" not in other.text


def test_only_what_could_be_a_session_is_told_that_it_still_counts(simulator: RunningSimulator) -> None:
    with listener() as closed:
        nobody = url_of(closed)
    with serve_gateway(simulator, nobody, routes=ROUTES) as running:
        for cookie, told in (("x" * 43, True), ("x", False), ("deleted", False)):
            said = NAVIGATION | {"cookie": f"gateway={cookie}"}
            answer = httpx.get(running.url + "/open/x", headers=said, trust_env=False)
            assert ("still signed in" in answer.text) is told


def test_a_picture_is_let_in_by_the_policy_of_its_page_alone(gateway: Running, browser: Browser) -> None:
    browser.sign_in("/x", person="plain")
    picture = browser.fetch("/oauth2/userinfo").json()["avatar_url"]
    origin = picture[: picture.index("/", 8)]
    for target in ("/oauth2/account", "/oauth2/sign_in", "/staff/x"):
        answer = browser.navigate(target)
        assert f"img-src 'self' {origin};" in answer.headers["content-security-policy"]
        assert json.dumps(picture)[1:-1].replace("&", "&amp;") in answer.text
    for target in ("/oauth2/sign_out", "/oauth2/nothing"):
        assert "img-src 'self';" in browser.navigate(target).headers["content-security-policy"]


def test_where_there_is_no_app_no_button_leads_to_one(simulator: RunningSimulator) -> None:
    with serve_gateway(simulator, "none", routes=ROUTES) as running, Browser(running.url) as browser:
        answer = browser.navigate("/open/x")
        assert (answer.status_code, "<code>nothing_here</code>" in answer.text) == (404, True)
        assert "<a " not in answer.text
