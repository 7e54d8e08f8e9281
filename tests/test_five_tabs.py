"""Five tabs of a browser without any cookie begin to sign in at the same moment, in a real Chromium and on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.asgi import protect
from gateway.core.binding import MOST_BINDINGS
from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Running, echo, listener, read_settings, serve_app, serve_gateway, url_of
from tests.harness import Browser as Visitor

TABS = [f"/private/tab{number}?n={number}" for number in range(5)]
BINDING = "gateway-sign-in-"


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_gateway(simulator, upstream) as running:
        yield running


class Barrier:
    """An ASGI app that lets the first requests of all tabs through to the gateway once they are all there."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._missing = {target.partition("?")[0] for target in TABS}
        self._all_there = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] in self._missing:
            assert not [value for name, value in scope["headers"] if name == b"cookie"]
            self._missing.discard(scope["path"])
            if not self._missing:
                self._all_there.set()
            await self._all_there.wait()
        await self._inner(scope, receive, send)


@contextlib.contextmanager
def opened_at_once(chromium: Browser, simulator: RunningSimulator) -> Generator[tuple[list[Page], str]]:
    """Five tabs whose first requests have all come before any is answered."""
    bound = listener()
    with serve_app(Barrier(protect(echo, read_settings(simulator, url_of(bound)))), bound) as url:
        context = chromium.new_context()
        context.set_default_timeout(20_000)
        pages = [context.new_page() for _ in TABS]
        for page, target in zip(pages, TABS, strict=True):
            page.evaluate("url => { setTimeout(() => { location.href = url }) }", url + target)
        yield pages, url
        context.close()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1)])
def test_each_tab_ends_at_its_own_address(
    chromium: Browser, simulator: RunningSimulator, order: tuple[int, ...]
) -> None:
    with opened_at_once(chromium, simulator) as (pages, url):
        for page in pages:
            expect(page).to_have_title("TikTok simulator")
        names = {cookie.get("name", "") for cookie in pages[0].context.cookies(url)}
        assert len([name for name in names if name.startswith(BINDING)]) == len(TABS)
        for number in order:
            pages[number].click("#allow")
            pages[number].wait_for_url(url + TABS[number])
            expect(pages[number].locator("body")).to_contain_text("x-tiktok-open-id")


def test_each_tab_ends_at_its_own_address_where_tiktok_asks_nothing(
    chromium: Browser, simulator: RunningSimulator, gateway: Running
) -> None:
    """Five callbacks at once, as when a browser comes back with the tabs of yesterday."""
    simulator.troubles.auto_auth = True
    try:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(gateway.url + "/private/x")
        page.click("#allow")  # TikTok knows this browser from now on
        page.wait_for_url(gateway.url + "/private/x")
        context.clear_cookies(name=re.compile("^gateway"))
        tabs = [context.new_page() for _ in TABS]
        for tab, target in zip(tabs, TABS, strict=True):
            tab.evaluate("url => { setTimeout(() => { location.href = url }) }", gateway.url + target)
        for tab, target in zip(tabs, TABS, strict=True):
            tab.wait_for_url(gateway.url + target)
            expect(tab.locator("body")).to_contain_text("x-tiktok-open-id")
        context.close()
    finally:
        simulator.troubles.reset()


def begin(gateway: Running, target: str, cookies: dict[str, str]) -> httpx.Response:
    """Begin with the cookies of one moment, whatever other answers have set since."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = NAVIGATION | ({"cookie": cookie} if cookie else {})
    return httpx.get(gateway.url + target, headers=headers, trust_env=False)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_no_answer_takes_anothers_cookie_away(gateway: Running, order: tuple[int, ...]) -> None:
    begun = [begin(gateway, target, {}) for target in TABS[:3]]
    with Visitor(gateway.url) as visitor:
        for each in begun:
            visitor.client.cookies.update(each.cookies)
        for number in order:
            callback = visitor.consent(begun[number].headers["location"])
            assert visitor.navigate(callback).headers["location"] == gateway.url + TABS[number]


def test_an_attempt_is_bound_to_its_own_browser_all_the_same(gateway: Running) -> None:
    mine, theirs = begin(gateway, TABS[0], {}), begin(gateway, TABS[1], {})
    with Visitor(gateway.url) as visitor:
        visitor.client.cookies.update(mine.cookies)
        redemptions = gateway.simulator.redemptions
        answer = visitor.navigate(visitor.consent(theirs.headers["location"]))
        assert (answer.status_code, gateway.simulator.redemptions) == (400, redemptions)
        assert "sign_in_other_browser" in answer.text
        assert TABS[1] not in answer.text


def test_who_has_a_binding_goes_on_with_it(gateway: Running) -> None:
    first = begin(gateway, TABS[0], {})
    again = begin(gateway, TABS[1], dict(first.cookies))
    assert dict(again.cookies) == dict(first.cookies)


def test_too_many_are_taken_away_the_oldest_first(gateway: Running) -> None:
    cookies: dict[str, str] = {}
    for _ in range(40):
        cookies |= dict(begin(gateway, TABS[0], {}).cookies)
    assert len(cookies) == 40
    left, gone = dict(cookies), []
    for _ in range(3):
        answer = begin(gateway, TABS[1], left)
        gone += [line.partition("=")[0] for line in answer.headers.get_list("set-cookie") if "Max-Age=0" in line]
        left = {name: value for name, value in cookies.items() if name not in gone}
        # what nginx takes of a head, unless it is told to take more (`proxy_buffer_size`)
        assert sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) < 4096 - 500
    assert gone == list(cookies)[: 40 - MOST_BINDINGS]
    assert sum(len(f"{name}={value}; ") for name, value in left.items()) < 800
    # and the newest tab still ends where it should
    last = begin(gateway, TABS[2], cookies)
    with Visitor(gateway.url) as visitor:
        visitor.client.cookies.update(left | dict(last.cookies))
        assert visitor.navigate(visitor.consent(last.headers["location"])).status_code == 302


def test_the_app_sees_none_of_them(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        visitor.sign_in()
        visitor.client.cookies.set("gateway-sign-in-AAAAAAAA", "x", domain="127.0.0.1")
        visitor.client.cookies.set("mine", "1", domain="127.0.0.1")
        told = dict(visitor.fetch("/private/x").json()["headers"])
        assert told["cookie"] == "mine=1"
