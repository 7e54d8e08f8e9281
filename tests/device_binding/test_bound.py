"""A session that is bound to a device: its own browser notices nothing, and its cookie is worth nothing elsewhere."""

from __future__ import annotations

import contextlib
import html
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway.core.device_key import DeviceKey
from gateway.core.session import Session
from gateway.errors import StoreUnavailable
from gateway.flows.oversight import view_session
from tests.device_binding.browser import DeviceBrowser
from tests.device_binding.device import Device
from tests.harness import Browser, Running, headers_of

SESSION = "__Host-gateway"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CROSS_SITE = {"sec-fetch-site": "cross-site"}


Steal = Callable[..., Browser]


@pytest.fixture
def steal(browser: DeviceBrowser, context: ssl.SSLContext) -> Generator[Steal]:
    """Copies the cookies into another browser."""
    with contextlib.ExitStack() as stack:

        def copy(*, proof: bool = False) -> Browser:
            thief = stack.enter_context(DeviceBrowser(browser.url, context))  # which knows of no binding
            for name, value in browser.client.cookies.items():
                if proof or not name.startswith("__Host-gateway-device-"):
                    thief.client.cookies.set(name, value, domain="127.0.0.1")
            return thief

        yield copy


def test_a_sign_in_binds_the_session(running: Running, context: ssl.SSLContext) -> None:
    with DeviceBrowser(running.url, context) as browser:
        arrived = browser.sign_in("/private/x")
        assert arrived.status_code == 200
        (registered,) = browser.asked
        assert registered.status_code == 200
        assert registered.headers["cache-control"] == "no-store"
        cookie = registered.headers["set-cookie"]
        attributes = browser.bound["credentials"][0]["attributes"] if browser.bound else ""
        assert cookie.partition("; ")[2] == f"Max-Age=600; {attributes}"  # else every request would be held back
        assert attributes == "Path=/; HttpOnly; SameSite=Lax; Secure"


def test_its_browser_comes_and_goes(browser: DeviceBrowser) -> None:
    for _ in range(3):
        assert browser.fetch("/private/x").status_code == 200
    browser.lose_proof()
    for target in ("/private/x", "/oauth2/userinfo", "/oauth2/account"):
        assert browser.navigate(target).status_code == 200
    assert len(browser.asked) == 2  # registered, and refreshed once: the challenge was known


def test_the_account_page_and_operators_are_told(running: Running, browser: DeviceBrowser) -> None:
    assert "bound to the device" in browser.navigate("/oauth2/account").text
    assert running.generation is not None
    view = view_session(
        "k",
        Session(
            subject="s",
            grant_key="g",
            signed_in_at=NOW,
            last_seen_at=NOW,
            user_agent="",
            device=DeviceKey("ES256", b"", NOW),
        ),
        None,
        running.generation.records.limits,
    )
    assert view.bound_at == NOW


def test_the_app_sees_no_proof(browser: DeviceBrowser) -> None:
    browser.client.cookies.set("app", "1", domain="127.0.0.1")
    said = {"secure-session-skipped": "unreachable", "sec-secure-session-id": "x", "secure-session-response": "a.b.c"}
    for _ in range(3):
        seen = headers_of(browser.fetch("/private/x", headers=said))
        assert seen["cookie"] == "app=1"
        assert not [name for name in seen if "secure-session" in name]


def test_a_stolen_session_cookie_opens_nothing(browser: DeviceBrowser, steal: Steal) -> None:
    thief = steal()
    for target in ("/private/x", "/", "/oauth2/userinfo"):
        refused = thief.fetch(target)
        assert (refused.status_code, refused.json()["code"]) == (401, "device_proof_missing")
        assert "set-cookie" not in refused.headers
    shown = thief.navigate("/private/x")
    assert shown.status_code == 401
    assert shown.headers["refresh"] == "15"
    assert "Confirming your device" in shown.text
    posted = thief.fetch("/private/x", method="POST", content=b"a=1")
    assert posted.status_code == 401
    page = thief.navigate("/oauth2/account")
    assert page.status_code == 401
    assert thief.navigate("/oauth2/sign_in").text.count("Continue as") == 0
    assert thief.fetch("/public/x").status_code == 200
    assert browser.fetch("/private/x").status_code == 200  # and nobody is signed out by it


def test_a_route_for_everybody_takes_a_thief_for_nobody(browser: DeviceBrowser, steal: Steal) -> None:
    assert "x-tiktok-open-id" in headers_of(browser.fetch("/optional/x"))
    assert "x-tiktok-open-id" not in headers_of(steal().fetch("/optional/x"))


def count_skips(running: Running) -> Counter[str]:
    """Return how many requests came without a proof, by what was said of it."""
    assert running.generation is not None
    told = running.generation.metrics.exposition().decode()
    pattern = r'gateway_device_bindings_total{outcome="proof_missing",skipped="([a-z_]+)"} ([0-9]+)'
    return Counter({skipped: int(number) for skipped, number in re.findall(pattern, told)})


def test_no_word_of_a_browser_lets_it_in_and_each_is_counted(
    running: Running, browser: DeviceBrowser, steal: Steal
) -> None:
    thief, name = steal(), browser.bound["session_identifier"] if browser.bound else ""
    before = count_skips(running)
    for cause in ("quota_exceeded", "unreachable", "server_error", "whim"):
        skipped = {"secure-session-skipped": f'{cause};session_identifier="{name}"'}
        for target in ("/private/x", "/oauth2/account"):  # the gate, and a page of the gateway's own
            assert thief.fetch(target, headers=skipped).status_code == 401
    assert thief.fetch("/private/x").status_code == 401
    said = count_skips(running) - before
    assert said == {"quota_exceeded": 2, "unreachable": 2, "server_error": 2, "other": 2, "none": 1}
    for value in ("", "x" * 43, "A" * 43):
        thief.client.cookies.set(browser.proof, value, domain="127.0.0.1")
        assert thief.fetch("/private/x").status_code == 401


def test_the_proof_of_another_session_does_not_do(
    running: Running, browser: DeviceBrowser, context: ssl.SSLContext, steal: Steal
) -> None:
    with DeviceBrowser(running.url, context) as other:
        other.sign_in("/private/x")
        own = other.client.cookies[other.proof]
    thief = steal()
    for name in (browser.proof, other.proof):
        thief.client.cookies.set(name, own, domain="127.0.0.1")
    assert thief.fetch("/private/x").status_code == 401


def test_a_stolen_pair_opens_till_the_proof_ends(
    running: Running, browser: DeviceBrowser, steal: Steal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.generation is not None
    records = running.generation.records
    monkeypatch.setattr("gateway.core.device_binding.SKEW", timedelta())
    monkeypatch.setattr(records.device_binding, "_lasts", timedelta(seconds=2))
    browser.refresh()
    until = time.time() + 2  # or a little before
    thief = steal(proof=True)
    answers = []
    while time.time() < until:  # as often as requests are known again by their bytes
        answers.append(thief.fetch("/private/x").status_code)
    assert answers[:1] == [200]
    for _ in range(4):
        assert thief.fetch("/private/x").status_code == 401
    browser.lose_proof()
    assert browser.fetch("/private/x").status_code == 200


def test_a_thief_cannot_bind_it_to_a_key_of_theirs(browser: DeviceBrowser, context: ssl.SSLContext) -> None:
    assert browser.bound is not None
    with DeviceBrowser(browser.url, context) as thief:
        thief.bound, thief.device = dict(browser.bound), Device()
        refused = thief.refresh()
    assert (refused.status_code, len(thief.asked)) == (403, 5)
    assert "set-cookie" not in refused.headers
    assert browser.refresh().status_code == 200


def test_another_site_s_link_leads_in(browser: DeviceBrowser) -> None:
    browser.lose_proof()
    first = browser.navigate("/private/x", headers=CROSS_SITE)  # which a browser does not always hold back
    assert (first.status_code, first.headers["refresh"]) == (401, "0")
    again = browser.navigate("/private/x", headers={"sec-fetch-site": "same-origin"})
    assert again.status_code == 200


def test_a_browser_that_was_never_told_of_the_binding_is_asked_to_sign_in(browser: DeviceBrowser) -> None:
    browser.bound = None  # its profile was restored, or the app has cleared its storage
    for name in [each for each in browser.client.cookies if each.startswith("__Host-gateway-device-")]:
        browser.client.cookies.delete(name)
    shown = browser.navigate("/private/x")
    (way_on,) = re.findall(r'href="(/oauth2/start[^"]*)"', shown.text)
    begun = browser.navigate(html.unescape(way_on))
    assert begun.status_code == 302
    back = browser.navigate(browser.consent(begun.headers["location"]))
    assert browser.navigate(back.headers["location"]).status_code == 200


def test_a_second_sign_in_ends_the_first_and_takes_its_proof_away(browser: DeviceBrowser) -> None:
    before, proof = browser.bound, browser.proof
    begun = browser.navigate("/oauth2/start?rd=/private/x")
    browser.navigate(browser.consent(begun.headers["location"]))
    assert browser.bound is not None
    assert proof not in browser.client.cookies
    assert browser.proof in browser.client.cookies
    assert browser.fetch("/private/x").status_code == 200
    assert before is not None
    ended = browser.ask(before["refresh_url"], binding=before["session_identifier"])
    assert (ended.status_code, ended.json()) == (200, {"continue": False})


def test_whoever_signs_out_is_signed_out(browser: DeviceBrowser) -> None:
    bound = browser.bound
    assert bound is not None
    out = browser.navigate("/oauth2/sign_out", method="POST", headers={"origin": browser.url})
    assert out.status_code == 303
    assert list(browser.client.cookies) == [name for name in browser.client.cookies if "sign-in" in name]
    late = browser.refresh()  # one that was under way
    assert (late.status_code, late.json()) == (200, {"continue": False})
    assert "set-cookie" not in late.headers


def test_a_store_that_is_away_ends_no_binding(
    running: Running, browser: DeviceBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.lose_proof()
    with monkeypatch.context() as patched:
        take_store_away(running, patched)
        assert browser.refresh().status_code == 503
        assert browser.fetch("/private/x").status_code in {401, 503}
    assert browser.bound is not None
    assert browser.fetch("/private/x").status_code == 200


def take_store_away(running: Running, patched: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("it is away")

    assert running.generation is not None
    patched.setattr(running.generation.records.sessions, "read", fail)


@pytest.mark.parametrize("path", ["register", "refresh"])
@pytest.mark.parametrize("token", [b"", b"x", b"a.b.c", b"a" * 5000 + b".b.c"])
def test_nonsense_is_answered_as_browsers_can_read_it(browser: DeviceBrowser, path: str, token: bytes) -> None:
    binding = browser.bound["session_identifier"] if browser.bound and path == "refresh" else None
    answer = browser.ask(f"/oauth2/device/{path}", token=token, binding=binding)
    assert (answer.status_code, "secure-session-challenge" in answer.headers) in {(200, False), (403, True)}
    assert "set-cookie" not in answer.headers


def test_a_websocket_is_refused_without_a_proof(browser: DeviceBrowser, request: pytest.FixtureRequest) -> None:
    handshake = "GET /private/ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    keys = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    session, proof = (f"{name}={browser.client.cookies[name]}" for name in (SESSION, browser.proof))
    url = httpx.URL(browser.url)
    served = b"101" if request.node.callspec.params["running"] == "fast" else b"200"  # none are there on the slow way
    for cookies, status in ((session, b"401"), (f"{session}; {proof}", served)):
        raw = handshake.format(host=f"{url.host}:{url.port}") + keys + f"Cookie: {cookies}\r\n\r\n"
        assert say(browser, raw.encode()).split(b" ")[1] == status


def say(browser: DeviceBrowser, raw: bytes) -> bytes:
    """Return the first line of the answer to raw bytes, over TLS."""
    url = httpx.URL(browser.url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((url.host, url.port or 443), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.sendall(raw)
        return secured.recv(4096).partition(b"\r\n")[0]
