"""What was given once is not lost at the next ordinary sign-in, on another device."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

from gateway.core.tiktok import TokenSet
from gateway.errors import ProviderUnavailable
from gateway.simulator import RunningSimulator
from tests.harness import WAYS, Browser, Running

ROUTES = "[{path: /videos/**, scopes: [video.list]}, {path: /upload/**, scopes: [video.upload]}, {path: /**}]"
USUAL = {"user.info.basic", "user.info.profile"}


@pytest.fixture(params=WAYS)
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    simulator.simulator.reset()
    with WAYS[request.param](simulator, upstream, routes=ROUTES) as running:
        yield running
    simulator.simulator.reset()


@pytest.fixture
def laptop(gateway: Running) -> Generator[Browser]:
    """Ada is signed in, and has granted `video.list`."""
    with Browser(gateway.url) as laptop:
        laptop.sign_in("/x")
        give(laptop, "video.list")
        assert scopes_of(laptop) == {*USUAL, "video.list"}
        yield laptop


@pytest.fixture
def phone(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as phone:
        yield phone


def give(browser: Browser, scope: str, **choices: Any) -> None:
    begun = browser.navigate(f"/oauth2/start?rd=/x&scopes={scope}")
    assert browser.navigate(browser.consent(begun.headers["location"], **choices)).status_code in {302, 403}


def scopes_of(browser: Browser) -> set[str]:
    """Return what the app is told, which must be what the token in use has at TikTok."""
    told = dict(browser.fetch("/x").json()["headers"])
    return set(told["x-tiktok-scopes"].split(","))


def of_token(gateway: Running, browser: Browser) -> set[str]:
    token = dict(browser.fetch("/x").json()["headers"])["x-tiktok-access-token"]
    simulator = gateway.simulator.simulator
    live = simulator.live(simulator.access_tokens, token)
    assert live is not None
    return set(live.scopes)


def kill_tokens(gateway: Running) -> None:
    """As a TikTok would that ends the tokens of an earlier sign-in at a new one."""
    simulator = gateway.simulator.simulator
    for token in (*simulator.access_tokens.values(), *simulator.refresh_tokens.values()):
        token.dead = True


def begin(browser: Browser, **choices: Any) -> str:
    """Begin an ordinary sign-in and consent; returns the callback."""
    return browser.consent(browser.navigate("/x?a=1").headers["location"], **choices)


def test_where_tiktok_keeps_earlier_tokens_they_stay(gateway: Running, laptop: Browser, phone: Browser) -> None:
    assert phone.sign_in("/x").status_code == 200
    for browser in (laptop, phone):
        assert browser.fetch("/videos/list").status_code == 200
        assert scopes_of(browser) == of_token(gateway, browser) == {*USUAL, "video.list"}
    # and they go on: the grant is renewed with them
    assert phone.fetch("/oauth2/refresh", method="POST").status_code == 200
    assert of_token(gateway, laptop) == {*USUAL, "video.list"}


def test_where_tiktok_ends_them_it_is_asked_once_more_for_all(
    gateway: Running, laptop: Browser, phone: Browser
) -> None:
    callback = begin(phone)
    kill_tokens(gateway)
    once_more = phone.navigate(callback)
    assert once_more.headers["location"].startswith(gateway.simulator.authorize_url)
    assert "disable_auto_auth" not in once_more.headers["location"]
    # signed in already, with what these tokens have
    assert scopes_of(phone) == of_token(gateway, phone) == USUAL
    assert laptop.fetch("/videos/list").status_code == 403
    done = phone.navigate(phone.consent(once_more.headers["location"]))
    assert done.headers["location"] == gateway.url + "/x?a=1"
    for browser in (laptop, phone):
        assert browser.fetch("/videos/list").status_code == 200
        assert of_token(gateway, browser) == {*USUAL, "video.list"}


@pytest.mark.parametrize("choice", [{"allow": False}, {"untick": ["video.list"]}], ids=["refused", "unticked"])
def test_who_says_no_then_stays_signed_in_and_is_not_asked_again(
    gateway: Running, laptop: Browser, phone: Browser, choice: dict[str, Any]
) -> None:
    callback = begin(phone)
    kill_tokens(gateway)
    once_more = phone.navigate(callback).headers["location"]
    done = phone.navigate(phone.consent(once_more, **choice))
    assert (done.status_code, done.headers["location"]) == (302, gateway.url + "/x?a=1")
    assert scopes_of(phone) == of_token(gateway, phone) == USUAL
    with Browser(gateway.url) as third:
        assert third.navigate(begin(third)).headers["location"] == gateway.url + "/x?a=1"


def test_whoever_else_passes_there_does_not_take_the_place(gateway: Running, laptop: Browser, phone: Browser) -> None:
    callback = begin(phone)
    kill_tokens(gateway)
    once_more = phone.navigate(callback).headers["location"]
    done = phone.navigate(phone.consent(once_more, person="emoji"))
    assert done.headers["location"] == gateway.url + "/x?a=1"
    told = dict(phone.fetch("/x").json()["headers"])
    assert told["x-tiktok-open-id"] == gateway.simulator.people["plain"].open_id


def test_a_scope_that_is_unticked_at_an_ordinary_sign_in_is_given_up(
    gateway: Running, laptop: Browser, phone: Browser
) -> None:
    callback = begin(phone, untick=["user.info.profile"])
    once_more = phone.navigate(callback).headers["location"]
    # the earlier tokens have what was given up, so they must go
    assert "scope=user.info.basic,video.list&" in once_more
    phone.navigate(phone.consent(once_more))
    for browser in (laptop, phone):
        assert scopes_of(browser) == of_token(gateway, browser) == {"user.info.basic", "video.list"}


def test_what_is_asked_for_anew_brings_along_what_was_given(gateway: Running, laptop: Browser, phone: Browser) -> None:
    phone.sign_in("/x")
    give(phone, "video.upload")
    assert scopes_of(laptop) == of_token(gateway, laptop) == {*USUAL, "video.list", "video.upload"}
    # each may be given up on its own
    give(laptop, "video.upload", untick=["video.list"])
    assert scopes_of(phone) == of_token(gateway, phone) == {*USUAL, "video.upload"}


def test_while_tiktok_renews_nothing_the_new_tokens_serve(
    gateway: Running, laptop: Browser, phone: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(tokens: TokenSet) -> TokenSet:
        raise ProviderUnavailable("TikTok renews nothing today")

    assert gateway.generation is not None
    monkeypatch.setattr(gateway.generation.records.provider, "refresh", refuse)
    once_more = phone.navigate(begin(phone))
    assert once_more.headers["location"].startswith(gateway.simulator.authorize_url)
    for browser in (laptop, phone):
        assert scopes_of(browser) == of_token(gateway, browser) == USUAL


@pytest.mark.parametrize("gateway", ["fast"], indirect=True)
def test_with_the_usual_scopes_the_new_tokens_serve_at_once(gateway: Running, phone: Browser) -> None:
    simulator = gateway.simulator.simulator
    with Browser(gateway.url) as tablet:
        tablet.sign_in("/x")
        kill_tokens(gateway)
        phone.sign_in("/x")
        assert simulator.calls["token:refresh_token"] == 0
        for browser in (tablet, phone):
            assert scopes_of(browser) == of_token(gateway, browser) == USUAL


@pytest.mark.parametrize("gateway", ["fast"], indirect=True)
def test_earlier_tokens_that_may_not_be_tried_again_yet_are_not_trusted(
    gateway: Running, laptop: Browser, phone: Browser
) -> None:
    assert laptop.fetch("/oauth2/refresh", method="POST").status_code == 200  # no more within this minute
    callback = begin(phone)
    kill_tokens(gateway)
    once_more = phone.navigate(callback).headers["location"]
    assert once_more.startswith(gateway.simulator.authorize_url)
    for browser in (laptop, phone):
        assert scopes_of(browser) == of_token(gateway, browser) == USUAL


def test_settings_that_no_longer_name_a_scope_do_not_bring_it_back(simulator: RunningSimulator, upstream: str) -> None:
    simulator.simulator.reset()
    with WAYS["fast"](simulator, upstream, routes="[{path: /**}]") as running, Browser(running.url) as laptop:
        laptop.sign_in("/x")
        give(laptop, "video.list")  # which is not asked for
        assert scopes_of(laptop) == USUAL


def asking_for(scopes: str, authorization_url: str) -> str:
    """Return TikTok's address with other scopes, as if the person had unticked the rest of many."""
    return re.sub(r"scope=[^&]*", f"scope={scopes}", authorization_url)


def test_a_grant_without_any_field_of_user_info_is_one(simulator: RunningSimulator, upstream: str) -> None:
    before = simulator.simulator.calls["user_info"]
    with WAYS["fast"](simulator, upstream, routes=ROUTES) as running, Browser(running.url) as browser:
        begun = browser.navigate("/x").headers["location"]
        returned = browser.navigate(browser.consent(asking_for("video.list", begun)))
        assert returned.headers["location"] == running.url + "/x"
        told = dict(browser.fetch("/x").json()["headers"])
        assert told["x-tiktok-open-id"] == simulator.people["plain"].open_id
        assert told["x-tiktok-scopes"] == "video.list"
        assert "x-tiktok-display-name" not in told
        for page in ("account", "sign_in"):
            assert browser.navigate(f"/oauth2/{page}").status_code == 200
    assert simulator.simulator.calls["user_info"] == before


def test_a_profile_without_the_basic_scope_is_read(simulator: RunningSimulator, upstream: str) -> None:
    with WAYS["fast"](simulator, upstream, routes=ROUTES) as running, Browser(running.url) as browser:
        begun = browser.navigate("/x").headers["location"]
        browser.navigate(browser.consent(asking_for("user.info.profile", begun)))
        assert dict(browser.fetch("/x").json()["headers"])["x-tiktok-username"] == "ada.plain"
