"""The page with a code to scan: from the first look to the session, in every state between."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway import provider
from gateway.errors import SettingsError
from gateway.flows import qr_sign_in
from gateway.runtime.build import build
from gateway.simulator import RunningSimulator
from tests.harness import PROGRAMS, Browser, Running, headers_of, read_settings, serve_gateway, serve_in
from tests.qr import confirm, read_qr, scan
from tests.waiting import wait_for as wait_until

ON = {"qr_sign_in": "true", "sign_in": "page"}


@pytest.fixture(scope="module", params=PROGRAMS)
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_in(request.param, simulator, upstream, **ON) as running:
        yield running


@pytest.fixture
def browser(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as browser:
        yield browser


def show(browser: Browser, rd: str = "/private/x") -> tuple[str, str]:
    """Open the page; returns its address and what its code says."""
    begun = browser.navigate(f"/oauth2/qr?rd={rd}")
    assert begun.status_code == 302, begun.text
    address = browser.url + begun.headers["location"]
    shown = browser.navigate(address)
    assert shown.status_code == 200, shown.text
    return address, read_qr(shown.text)


def ask(browser: Browser, address: str) -> str:
    """Ask as the page's script does; returns the status."""
    answer = browser.fetch(address.replace("/qr?", "/qr/status?"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["status"])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr_sign_in, "PAUSE", timedelta(milliseconds=1))


def wait_for(browser: Browser, address: str, status: str) -> None:
    """Ask until the status is there; the gateway asks TikTok once in a while only."""
    wait_until(lambda: ask(browser, address) == status, f"the code is {status}")


def test_from_the_code_to_the_app(gateway: Running, browser: Browser) -> None:
    address, code = show(browser, "/private/x%3Fdeep%3D1")
    assert ask(browser, address) == "new"
    scan(code)
    wait_for(browser, address, "scanned")
    waiting = browser.navigate(address)
    assert "Now confirm on your phone" in waiting.text
    assert "<svg" not in waiting.text  # nobody else can scan it any more
    confirm(code, person="emoji")
    wait_for(browser, address, "confirmed")
    before = gateway.simulator.redemptions
    done = browser.navigate(address)
    assert (done.status_code, done.headers["location"]) == (302, gateway.url + "/private/x?deep=1")
    assert gateway.simulator.redemptions == before + 1
    headers = headers_of(browser.navigate("/private/x"))
    assert headers["x-tiktok-username"] == "fox_lee"
    assert headers["x-tiktok-scopes"] == "user.info.basic,user.info.profile"


def test_without_script_the_page_alone_leads_on(gateway: Running, browser: Browser) -> None:
    address, code = show(browser)
    page = browser.navigate(address).text
    assert '<noscript><meta http-equiv="refresh"' in page
    confirm(code)
    answers: list[httpx.Response] = []

    def reload() -> bool:
        answers.append(browser.navigate(address))
        return answers[-1].status_code == 302

    wait_until(reload, "the page leads on")
    assert answers[-1].headers["location"] == gateway.url + "/private/x"
    assert browser.navigate("/private/x").status_code == 200


def test_a_page_that_is_opened_again_leads_to_the_app(browser: Browser, gateway: Running) -> None:
    address, code = show(browser)
    confirm(code)
    wait_for(browser, address, "confirmed")
    assert browser.navigate(address).status_code == 302
    again = browser.navigate(address)
    assert (again.status_code, again.headers["location"]) == (302, gateway.url + "/private/x")
    assert ask(browser, address) == "ended"


def test_whatever_shape_the_answer_has(browser: Browser, gateway: Running) -> None:
    troubles = gateway.simulator.troubles
    try:
        for wrapped in (False, True):
            for place in ("code", "redirect_uri"):
                troubles.update({"qr_wrapped": wrapped, "qr_code_in": place})
                address, code = show(browser)
                confirm(code)
                wait_for(browser, address, "confirmed")
                assert browser.navigate(address).headers["location"] == gateway.url + "/private/x", (wrapped, place)
    finally:
        troubles.reset()


def test_a_code_that_expires_offers_another(browser: Browser, gateway: Running) -> None:
    gateway.simulator.troubles.qr_lifetime = 0
    try:
        begun = browser.navigate("/oauth2/qr?rd=/private/x")
        expired = browser.navigate(begun.headers["location"])
    finally:
        gateway.simulator.troubles.reset()
    assert "This code has expired" in expired.text
    assert f'href="{gateway.url}/oauth2/qr?rd={gateway.url.replace(":", "%3A")}/private/x"' in expired.text
    assert "<script" not in expired.text  # nothing asks any more


REFUSALS = [("expired", 200, "This code has expired"), ("access_denied", 403, "You did not allow the sign-in")]


@pytest.mark.parametrize(("refusal", "status", "words"), REFUSALS)
def test_who_says_no_is_not_signed_in(
    browser: Browser, gateway: Running, refusal: str, status: int, words: str
) -> None:
    gateway.simulator.troubles.update({"qr_refusal": refusal})
    try:
        begun = browser.navigate("/oauth2/qr?rd=/private/x")
        address = begun.headers["location"]
        confirm(read_qr(browser.navigate(address).text), allow=False)
        wait_for(browser, address, {"expired": "expired", "access_denied": "refused"}[refusal])
        answer = browser.navigate(address)
        assert (answer.status_code, words in answer.text) == (status, True)
    finally:
        gateway.simulator.troubles.reset()
    assert browser.navigate("/oauth2/userinfo", headers={"accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("trouble", [{"html": True}, {"plain_text": True}, {"token_error": "server_error"}])
def test_a_tiktok_that_is_away_ends_nothing(browser: Browser, gateway: Running, trouble: dict[str, object]) -> None:
    address, code = show(browser)
    gateway.simulator.troubles.update(trouble)
    try:
        assert ask(browser, address) == "new"
        assert browser.navigate(address).status_code == 200
        assert browser.navigate("/oauth2/qr").status_code == 503
    finally:
        gateway.simulator.troubles.reset()
    confirm(code)
    wait_for(browser, address, "confirmed")
    assert browser.navigate(address).status_code == 302


def test_a_tiktok_that_hangs_does_not_hold_the_page_up(
    browser: Browser, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = show(browser)
    monkeypatch.setattr(provider, "CHECK_TIMEOUT", timedelta(milliseconds=50))
    gateway.simulator.troubles.update({"hang": True})
    try:
        assert ask(browser, address) == "new"
        assert "<svg" in browser.navigate(address).text
    finally:
        gateway.simulator.troubles.reset()


def test_a_wrong_client_key_is_told_as_such(browser: Browser, gateway: Running) -> None:
    gateway.simulator.troubles.update({"token_error": "invalid_client", "error_status": 200})
    try:
        answer = browser.navigate("/oauth2/qr")
    finally:
        gateway.simulator.troubles.reset()
    assert "provider_misconfigured" in answer.text


def test_the_page_may_do_what_it_needs_and_no_more(browser: Browser) -> None:
    address, _ = show(browser)
    policy = browser.navigate(address).headers["content-security-policy"]
    host = urlsplit(address).netloc
    found = re.search(rf"script-src {re.escape(host)}(/oauth2/static/qr-\w+\.js); connect-src (\S+)", policy)
    assert found is not None
    assert found[2] == f"{host}/oauth2/qr/status"
    assert browser.fetch(found[1]).status_code == 200
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert browser.navigate(address).headers["x-frame-options"] == "DENY"


def test_the_page_with_the_button_has_a_link(browser: Browser) -> None:
    page = browser.navigate("/oauth2/sign_in?rd=/private/x%3Fa%3D1").text
    assert 'href="/oauth2/qr?rd=' in page
    assert "private/x%3Fa%3D1" in page


def test_only_a_persons_own_navigation_begins_or_ends_it(browser: Browser, gateway: Running) -> None:
    address, code = show(browser)
    confirm(code)
    wait_for(browser, address, "confirmed")
    before = (gateway.simulator.redemptions, gateway.simulator.simulator.calls["get_qrcode"])
    assert browser.fetch(address).status_code == 401
    assert browser.navigate(address, method="HEAD").status_code == 405
    assert browser.navigate(address, headers={"sec-purpose": "prefetch"}).status_code == 405
    assert browser.navigate("/oauth2/qr", method="HEAD").status_code == 405
    assert browser.fetch("/oauth2/qr").status_code == 401
    assert browser.navigate(address, method="POST").status_code == 405
    assert (gateway.simulator.redemptions, gateway.simulator.simulator.calls["get_qrcode"]) == before
    assert browser.navigate(address).status_code == 302


def test_it_is_off_unless_asked_for(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, sign_in="page") as running, Browser(running.url) as browser:
        assert browser.navigate("/oauth2/qr").status_code == 404
        assert browser.fetch("/oauth2/qr/status?id=x").status_code == 404
        assert "/qr" not in browser.navigate("/oauth2/sign_in").text


def test_what_it_is_drawn_with_is_an_extra(simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gateway.web.answers.qr_drawing", None)
    settings = read_settings(simulator, "http://127.0.0.1:1", **ON)
    with pytest.raises(SettingsError, match=r"tiktok-gateway\[qr\]"):
        build(settings)


def test_limits_hold_as_for_any_sign_in(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, **ON, limits__sign_in_attempts="2") as running, Browser(running.url) as one:
        before = simulator.simulator.calls["get_qrcode"]
        statuses = [one.navigate("/oauth2/qr").status_code for _ in range(4)]
        assert statuses == [302, 302, 429, 429]
        assert simulator.simulator.calls["get_qrcode"] == before + 2


def test_tiktok_is_given_what_it_asks_for(browser: Browser, gateway: Running) -> None:
    _, code = show(browser)
    query = parse_qs(urlsplit(code).query)
    assert query["client_key"] == [gateway.simulator.settings.client_key]
    assert len(query["client_ticket"][0]) == 43
    (shown,) = [each for token, each in gateway.simulator.simulator.qr_codes.items() if token == query["token"][0]]
    assert shown.scopes == ("user.info.basic", "user.info.profile")
