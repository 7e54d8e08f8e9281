"""Several sign-ins at once leave a browser with one session, and with the bindings of all."""

from __future__ import annotations

import ssl

import httpx

from tests.device_binding.browser import DeviceBrowser
from tests.device_binding.device import Device
from tests.harness import Running

SESSION = "__Host-gateway"


def test_the_binding_of_a_session_that_was_left_ends(
    running: Running, browser: DeviceBrowser, context: ssl.SSLContext
) -> None:
    with DeviceBrowser(running.url, context) as tab:
        tab.sign_in("/private/x")
        left, kept = browser.bound, tab.bound
        assert left is not None
        assert kept is not None
        ended = renew(browser, left, tab.client.cookies[SESSION], browser.device)
        assert (ended.status_code, ended.json()) == (200, {"continue": False})
        assert "set-cookie" not in ended.headers
        assert renew(browser, kept, tab.client.cookies[SESSION], tab.device).json()["session_identifier"]
    # the session itself goes on, should its browser come after all
    assert renew(browser, left, browser.client.cookies[SESSION], browser.device).status_code == 200
    assert browser.fetch("/private/x").status_code == 200


def renew(browser: DeviceBrowser, bound: dict[str, str], cookie: str, device: Device) -> httpx.Response:
    """Ask for a proof as a browser does that has this session cookie."""
    said = {"cookie": f"{SESSION}={cookie}", "sec-secure-session-id": bound["session_identifier"]}
    with httpx.Client(verify=False, trust_env=False) as client:
        asked = client.post(browser.url + bound["refresh_url"], headers=said)
        if asked.status_code != 403:
            return asked
        challenge = asked.headers["secure-session-challenge"].split('"')[1]
        signed = {"secure-session-response": device.prove(challenge).decode()}
        return client.post(browser.url + bound["refresh_url"], headers=said | signed)
