"""Signing in as a browser does, for the cookie."""

from __future__ import annotations

import httpx

from gateway.simulator import consent

_NAVIGATION = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def sign_in_with_openid(url: str) -> str:
    """Follow every redirect, through the OpenID provider and back."""
    return sign_in_often(url, 1)


def sign_in_often(url: str, times: int) -> str:
    """Sign in so many times, each time as a browser without cookies; returns the last one's."""
    with httpx.Client(trust_env=False, headers=_NAVIGATION, follow_redirects=True, timeout=10) as browser:
        for _ in range(times):
            browser.cookies.clear()
            answer = browser.get(url + "/")
            if answer.status_code != 200:
                raise AssertionError(f"no sign-in: {answer.status_code} {answer.text[:300]} at {answer.url}")
        return _read_cookies(browser)


def sign_in_with_tiktok(url: str) -> str:
    """Follow the redirect to the simulator, consent, and go back."""
    with httpx.Client(trust_env=False, headers=_NAVIGATION, timeout=10) as browser:
        begun = browser.get(url + "/")
        if begun.status_code != 302:
            raise AssertionError(f"no sign-in: {begun.status_code} {begun.text[:300]}")
        browser.get(consent(begun.headers["location"]))
        return _read_cookies(browser)


def _read_cookies(browser: httpx.Client) -> str:
    """The cookies that a browser would send with every request."""
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar if cookie.path == "/")
