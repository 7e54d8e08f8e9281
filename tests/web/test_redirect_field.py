"""Where a sign-in leads back to, as fronts of oauth2-proxy's say it: a `rd` as it came, or X-Auth-Request-Redirect."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, serve_gateway

SECRET = "a-secret-of-thirty-two-characters"
DEEP = "/deep/%C3%A4;p=1/x?x=1&y=a%2Fb&z=%26+%20"


@pytest.fixture(scope="module")
def trusting(simulator: RunningSimulator) -> Generator[Running]:
    """A gateway whose front is trusted."""
    with serve_gateway(simulator, "none", trusted_proxies='["127.0.0.1"]') as running:
        yield running


@pytest.fixture(scope="module")
def strange(simulator: RunningSimulator) -> Generator[Running]:
    """A gateway to which anybody is a stranger who does not show the secret."""
    with serve_gateway(simulator, "none", forward_auth__secret=SECRET) as running:
        yield running


def returned(running: Running, target: str, **fields: str) -> str:
    """Return where a sign-in that begins at `target` leads."""
    with Browser(running.url) as browser:
        begun = browser.navigate(target, headers=fields)
        if begun.status_code == 200:  # the page with the button
            start = begun.text.partition('id="start"')[0].rpartition('href="')[2].partition('"')[0]
            begun = browser.navigate(start.replace("&amp;", "&"))
        location = browser.navigate(browser.consent(begun.headers["location"])).headers["location"]
    assert location.startswith(running.url)
    return location.removeprefix(running.url)


@pytest.mark.parametrize("page", ["start", "sign_in"])
@pytest.mark.parametrize(
    ("rd", "target"),
    [
        ("/deep/%C3%A4;p=1", "/deep/%C3%A4;p=1"),
        ("/deep/a%2Bb?x=a+b", "/deep/a+b?x=a+b"),
        ("/deep/a%20b", "/deep/a%20b"),
        ("/deep/%E4", "/deep/%E4"),
        ("/deep/%25C3%25A4%3Fx%3D1%26y=2", "/deep/%C3%A4?x=1&y=2"),
        ("/a&rd=/b", "/"),
        ("/a%0D%0Ab", "/"),
        ("/a&next=/b", "/a"),
        ("https://evil.example/%C3%A4", "/"),
        ("%20//evil.example", "/"),
        ("", "/"),
    ],
)
def test_an_address_that_came_as_it_is_leads_back(trusting: Running, page: str, rd: str, target: str) -> None:
    assert returned(trusting, f"/oauth2/{page}?rd={rd}") == target


@pytest.mark.parametrize("page", ["start", "sign_in"])
@pytest.mark.parametrize(
    ("query", "told", "target"),
    [
        ("", DEEP, DEEP),
        ("", "{url}" + DEEP, DEEP),
        ("?rd=/named", DEEP, "/named"),
        ("?rd=/a&rd=/b", DEEP, "/"),
        ("?rd=", DEEP, "/"),
        ("?next=/named", DEEP, "/named"),
        ("?next=%2Fnamed%3Fx%3D1", "", "/named?x=1"),
        ("?next=/a&next=/b", DEEP, "/"),
        ("?next=https://evil.example/x", "", "/"),
        ("", "/oauth2/sign_in", "/"),
        ("", "https://evil.example/x", "/"),
        ("", "//evil.example/x", "/"),
        ("", "javascript:alert(1)", "/"),
    ],
)
def test_a_front_that_is_trusted_says_where(trusting: Running, page: str, query: str, told: str, target: str) -> None:
    fields = {"X-Auth-Request-Redirect": told.format(url=trusting.url)}
    assert returned(trusting, f"/oauth2/{page}{query}", **fields) == target


@pytest.mark.parametrize("page", ["start", "sign_in"])
def test_a_stranger_says_nothing_and_one_with_the_secret_does(strange: Running, page: str) -> None:
    told = {"X-Auth-Request-Redirect": DEEP}
    assert returned(strange, f"/oauth2/{page}", **told) == "/"
    assert returned(strange, f"/oauth2/{page}", **told, **{"X-Gateway-Check": SECRET}) == DEEP
    wrong = NAVIGATION | told | {"X-Gateway-Check": "another"}
    assert httpx.get(f"{strange.url}/oauth2/{page}", headers=wrong, trust_env=False).status_code == 403


def test_said_twice_is_not_said(trusting: Running) -> None:
    fields = [*NAVIGATION.items(), ("X-Auth-Request-Redirect", "/a"), ("X-Auth-Request-Redirect", "/b")]
    begun = httpx.get(trusting.url + "/oauth2/sign_in", headers=fields, trust_env=False)
    assert "rd=" in begun.text
    assert "/a" not in begun.text.partition('id="start"')[0].rpartition('href="')[2].partition('"')[0]
