"""Attacks on the sign-in by QR code: what is confirmed on a phone is worth something to one browser, once.

What cannot be told is whose screen a person scans (docs/qr.md): that attack is not among these.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.flows import qr_sign_in
from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, serve_gateway
from tests.qr import confirm, read_qr
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_gateway(simulator, upstream, qr_sign_in="true") as running:
        yield running


@pytest.fixture
def screen(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> Generator[Browser]:
    monkeypatch.setattr(qr_sign_in, "PAUSE", timedelta(milliseconds=1))
    with Browser(gateway.url) as browser:
        yield browser
    gateway.simulator.troubles.reset()


def show(screen: Browser) -> tuple[str, str]:
    """Have a code shown; returns the page's address and what the code says."""
    address = screen.url + screen.navigate("/oauth2/qr?rd=/private/x").headers["location"]
    return address, read_qr(screen.navigate(address).text)


def confirmed(screen: Browser, *, person: str = "plain") -> str:
    """Have a code shown and confirmed; returns the page's address, not yet opened again."""
    address, code = show(screen)
    confirm(code, person=person)
    status = address.replace("/qr?", "/qr/status?")
    wait_for(lambda: screen.fetch(status).json()["status"] == "confirmed", "the code is confirmed")
    return address


def is_signed_in(browser: Browser) -> bool:
    return browser.fetch("/oauth2/userinfo").status_code == 200


def test_another_browser_cannot_take_the_result_nor_end_it(gateway: Running, screen: Browser) -> None:
    address = confirmed(screen)
    before = gateway.simulator.redemptions
    with Browser(gateway.url) as thief, Browser(gateway.url) as bound:
        bound.navigate("/oauth2/qr")  # has a binding cookie, of its own
        for other, code in ((thief, "sign_in_cookie_missing"), (bound, "sign_in_other_browser")):
            taken = other.navigate(address)
            assert (taken.status_code, code in taken.text) == (400, True)
            assert other.fetch(address.replace("/qr?", "/qr/status?")).json() == {"status": "ended"}
            assert not is_signed_in(other)
    assert gateway.simulator.redemptions == before
    assert screen.navigate(address).status_code == 302
    assert is_signed_in(screen)


def test_another_browser_sees_neither_the_code_nor_that_there_is_one(gateway: Running, screen: Browser) -> None:
    address, _ = show(screen)
    with Browser(gateway.url) as other:
        other.navigate("/oauth2/qr")
        assert "<svg" not in other.navigate(address).text


def test_an_answer_with_another_ticket_is_refused_and_ends_the_attempt(gateway: Running, screen: Browser) -> None:
    gateway.simulator.troubles.qr_ticket = "of-another-code"
    address = confirmed(screen)
    before = gateway.simulator.redemptions
    refused = screen.navigate(address)
    assert (refused.status_code, "sign_in_refused" in refused.text) == (400, True)
    assert gateway.simulator.redemptions == before
    assert not is_signed_in(screen)
    gateway.simulator.troubles.reset()
    assert screen.navigate(address).status_code == 400
    assert gateway.simulator.redemptions == before


def test_an_answer_with_another_state_is_refused(gateway: Running, screen: Browser) -> None:
    address, code = show(screen)
    token = parse_qs(urlsplit(code).query)["token"][0]
    gateway.simulator.simulator.qr_codes[token].state = "of-another-attempt"
    confirm(code)
    before = gateway.simulator.redemptions
    wait_for(lambda: screen.navigate(address).status_code == 400, "it is refused")
    assert gateway.simulator.redemptions == before
    assert not is_signed_in(screen)


def test_twenty_at_once_redeem_once(gateway: Running, screen: Browser) -> None:
    address = confirmed(screen)
    before = gateway.simulator.redemptions
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in screen.client.cookies.items())}
    sessions: list[str] = []

    def open_page() -> None:
        answer = httpx.get(address, headers=NAVIGATION | cookies, trust_env=False, timeout=20)
        sessions.extend(each for each in answer.headers.get_list("set-cookie") if each.startswith("gateway="))

    threads = [threading.Thread(target=open_page) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert gateway.simulator.redemptions == before + 1
    assert len(sessions) == 1


def test_no_callback_completes_a_code(gateway: Running, screen: Browser) -> None:
    """The name in the page's address is the state; a code of somebody else's would be planted with it."""
    address, _ = show(screen)
    name = parse_qs(urlsplit(address).query)["id"][0]
    with Browser(gateway.url) as attacker:
        begun = attacker.navigate("/private/x").headers["location"]
        stolen = parse_qs(urlsplit(attacker.consent(begun, person="dash")).query)["code"][0]
    before = gateway.simulator.redemptions
    answer = screen.navigate(f"/oauth2/callback?code={stolen}&state={name}")
    assert answer.status_code == 400
    assert gateway.simulator.redemptions == before
    assert not is_signed_in(screen)


def test_a_code_that_an_attacker_has_confirmed_signs_nobody_else_in(gateway: Running, screen: Browser) -> None:
    with Browser(gateway.url) as attacker:
        address = confirmed(attacker, person="dash")
        before = gateway.simulator.redemptions
        assert screen.navigate(address).status_code == 400
        assert not is_signed_in(screen)
        assert gateway.simulator.redemptions == before


def test_the_state_of_a_usual_sign_in_is_no_code(gateway: Running, screen: Browser) -> None:
    begun = screen.navigate("/private/x").headers["location"]
    state = parse_qs(urlsplit(begun).query)["state"][0]
    assert screen.navigate(f"/oauth2/qr?id={state}").status_code == 400
    callback = screen.consent(begun)
    assert screen.navigate(callback).status_code == 302  # and was left alone


def test_the_session_is_a_new_one_and_the_one_before_ends(gateway: Running, screen: Browser) -> None:
    screen.sign_in(person="dash")
    old = screen.client.cookies["gateway"]
    assert screen.navigate(confirmed(screen, person="plain")).status_code == 302
    assert screen.client.cookies["gateway"] != old
    with Browser(gateway.url) as thief:
        thief.client.cookies.set("gateway", old)
        assert not is_signed_in(thief)


@pytest.mark.parametrize("name", ["x", "A" * 43, "%00", "A" * 5000, "..%2f.."])
def test_a_name_that_is_none_asks_tiktok_nothing(gateway: Running, screen: Browser, name: str) -> None:
    screen.navigate("/oauth2/qr")
    before = gateway.simulator.simulator.calls["check_qrcode"]
    assert screen.navigate(f"/oauth2/qr?id={httpx.QueryParams({'id': name})['id']}").status_code == 400
    assert screen.fetch(f"/oauth2/qr/status?id={name}").json() == {"status": "ended"}
    assert gateway.simulator.simulator.calls["check_qrcode"] == before


def test_no_secret_is_in_the_pages_text_or_in_the_log(
    gateway: Running, screen: Browser, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    address, code = show(screen)
    query = parse_qs(urlsplit(code).query)
    page = screen.navigate(address).text
    confirm(code)
    wait_for(lambda: screen.navigate(address).status_code == 302, "it is complete")
    name = parse_qs(urlsplit(address).query)["id"][0]
    ours = [each.getMessage() for each in caplog.records if each.name.startswith("gateway")]
    told = "\n".join([*ours, *capsys.readouterr()])
    assert "/oauth2/qr" in told
    for secret in (query["client_ticket"][0], query["token"][0]):
        assert secret not in page
        assert secret not in told
    assert name not in told
