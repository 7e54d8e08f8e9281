"""Attacks on the sign-in: each is refused, and the token endpoint is not called."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

import httpx
import pytest

from gateway.core.sign_in import new_state
from tests.harness import Browser, Running, headers_of


@contextlib.contextmanager
def no_redemption(gateway: Running) -> Generator[None]:
    before = gateway.simulator.redemptions
    yield
    assert gateway.simulator.redemptions == before


@pytest.fixture
def browser(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as browser:
        yield browser


def begin(browser: Browser, target: str = "/private/x") -> str:
    """Begin a sign-in and consent; returns the callback, not yet opened."""
    return browser.consent(browser.navigate(target).headers["location"])


def test_a_callback_works_once(gateway: Running, browser: Browser) -> None:
    callback = begin(browser)
    assert browser.navigate(callback).status_code == 302
    with no_redemption(gateway):
        # the same browser, now signed in, is led to where it went
        again = browser.navigate(callback)
        assert (again.status_code, again.headers["location"]) == (302, gateway.url + "/private/x")
    with no_redemption(gateway), Browser(gateway.url) as other:
        assert other.navigate(callback).status_code == 400


def test_twenty_callbacks_at_once_redeem_once(gateway: Running, browser: Browser) -> None:
    callback = begin(browser)
    before = gateway.simulator.redemptions
    statuses: list[int] = []

    def open_callback() -> None:
        statuses.append(httpx.get(callback, headers=cookies | {"accept": "text/html"}, trust_env=False).status_code)

    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())}
    threads = [threading.Thread(target=open_callback) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert gateway.simulator.redemptions == before + 1
    assert statuses.count(302) == 1


def test_another_browser_is_refused_and_burns_nothing(gateway: Running, browser: Browser) -> None:
    callback = begin(browser)
    with no_redemption(gateway), Browser(gateway.url) as victim:
        begin(victim)  # it has a binding cookie, of its own
        assert victim.navigate(callback).status_code == 400
        assert victim.fetch("/private/x").status_code == 401
    assert browser.navigate(callback).status_code == 302


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("state=", "state=x"),
        lambda url: url.replace("state=", "nostate="),
        lambda url: url + "&state=" + new_state(),
        lambda url: url + "&code=other",
        lambda url: url.partition("?")[0] + "?code=abc&state=" + new_state(),
        lambda url: url.partition("?")[0],
    ],
    ids=["tampered", "missing", "two states", "two codes", "unknown", "bare"],
)
def test_a_state_that_does_not_prove_anything_is_refused(gateway: Running, browser: Browser, change: object) -> None:
    assert callable(change)
    callback = begin(browser)
    with no_redemption(gateway):
        assert browser.navigate(change(callback)).status_code == 400
        assert browser.fetch("/private/x").status_code == 401


def test_head_and_prefetch_use_nothing_up(gateway: Running, browser: Browser) -> None:
    callback = begin(browser)
    with no_redemption(gateway):
        assert browser.navigate(callback, method="HEAD").status_code == 405
        assert browser.navigate(callback, headers={"sec-purpose": "prefetch"}).status_code == 400
    assert browser.navigate(callback).status_code == 302


def test_foreign_error_text_is_not_reflected(gateway: Running, browser: Browser) -> None:
    text = "%3Cscript%3Ealert(1)%3C/script%3E"
    state = begin(browser).partition("state=")[2].partition("&")[0]
    with no_redemption(gateway):
        for query in (
            f"error={text}&error_description={text}",
            f"error=x&error_description={text}&state={state}",
        ):
            page = browser.navigate(f"/oauth2/callback?{query}")
            assert page.status_code in {400, 403}
            assert "alert(1)" not in page.text


def test_a_refusal_at_tiktok_is_told_kindly(gateway: Running, browser: Browser) -> None:
    with no_redemption(gateway):
        callback = browser.consent(browser.navigate("/private/x").headers["location"], allow=False)
        page = browser.navigate(callback)
        assert page.status_code == 403
        assert "did not allow" in page.text


def test_five_tabs_each_end_at_their_own_address(gateway: Running, browser: Browser) -> None:
    targets = [f"/private/tab{n}?n={n}" for n in range(5)]
    callbacks = [begin(browser, target) for target in targets]
    for target, callback in reversed(list(zip(targets, callbacks, strict=True))):
        assert browser.navigate(callback).headers["location"] == gateway.url + target


def test_the_session_id_is_new_at_each_sign_in_and_the_old_one_dies(gateway: Running, browser: Browser) -> None:
    browser.sign_in()
    old = browser.client.cookies["gateway"]
    browser.navigate(browser.consent(browser.navigate("/oauth2/start?rd=/private/x").headers["location"]))
    assert browser.client.cookies["gateway"] != old
    answer = httpx.get(gateway.url + "/private/x", headers={"cookie": f"gateway={old}"}, trust_env=False)
    assert answer.status_code == 401


def test_a_session_id_of_the_visitors_choice_is_never_adopted(gateway: Running, browser: Browser) -> None:
    chosen = "A" * 43
    browser.client.cookies.set("gateway", chosen, domain="127.0.0.1")
    browser.sign_in()
    values = [cookie.value for cookie in browser.client.cookies.jar if cookie.name == "gateway"]
    assert chosen not in values or len(values) == 1


@pytest.mark.parametrize(
    "rd",
    [
        "//evil.example/x",
        "/\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "/%09/evil.example",
        "http://127.0.0.1@evil.example/",
        "http://2130706433/",
        "\t//evil.example",
        "/oauth2/sign_out",
        "/oauth2/start?rd=/",
        "https://。evil.example",
        "/" + "a" * 9000,
    ],
)
def test_a_return_address_never_leaves(gateway: Running, browser: Browser, rd: str) -> None:
    begun = browser.client.get(
        gateway.url + "/oauth2/start",
        params={"rd": rd},
        headers={"accept": "text/html"},
        follow_redirects=False,
    )
    if begun.status_code == 414:
        return
    returned = browser.navigate(browser.consent(begun.headers["location"]))
    location = httpx.URL(returned.headers["location"])
    assert (location.host, location.port) == gateway.address
    assert not location.path.startswith("/oauth2/s")


@pytest.mark.parametrize("person", ["emoji", "crlf", "no_union_id", "dash"])
def test_awkward_people_pass(gateway: Running, browser: Browser, person: str) -> None:
    found = gateway.simulator.people[person]
    told = headers_of(browser.sign_in(person=person))
    assert told["x-tiktok-open-id"] == found.open_id
    assert "\n" not in str(told.values())
    assert ("x-tiktok-union-id" in told) is (found.union_id is not None)


@pytest.mark.parametrize("path", ["sign_in", "sign_out", "account", "callback?state=x"])
def test_pages_are_armoured(gateway: Running, browser: Browser, path: str) -> None:
    browser.sign_in()
    headers = browser.navigate(f"/oauth2/{path}").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_an_image_cannot_sign_anybody_out(gateway: Running, browser: Browser) -> None:
    browser.sign_in()
    browser.fetch("/oauth2/sign_out", headers={"sec-fetch-dest": "image", "sec-fetch-mode": "no-cors"})
    assert browser.fetch("/private/x").status_code == 200


def test_identity_bearing_answers_are_private(gateway: Running, browser: Browser) -> None:
    answer = browser.sign_in()
    assert "private" in answer.headers["cache-control"]
    assert "cookie" in answer.headers["vary"].lower()
