"""Where a sign-in may return to, judged by a real Chromium: what `check_return_to` lets through stays with us."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.core.urls import MAX_LENGTH, check_return_to
from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.simulator import RunningSimulator
from tests.harness import Browser as Visitor
from tests.harness import Running, serve_gateway

OURS = "https://app.example.com"
ALLOWED = frozenset({"other.example.com", "tools.example.com:8443"})
HOSTS = {"app.example.com", *ALLOWED}

SLASHES = [
    "/",
    "//",
    "///",
    "\\",
    "/\\",
    "\\/",
    "\\\\",
    "/%2f",
    "%2f%2f",
    "/%5c",
    "/%09/",
    "/\t/",
    "/\n/",
    "/\r\n/",
    "/\x00/",
]
SLASHES += [
    "\u2215\u2215",
    "\uff0f\uff0f",
    "\u29f8\u29f8",
    "/.//",
    "/..//",
    "/;//",
    "/?//",
    "/#//",
    "/\u00a0/",
    "/\ufeff/",
    "/\u200b/",
]
LEADS = ["", " ", "\t", "\n", "\x00", "\x1f", "\x7f", "\u00a0", "\ufeff", "\u2028"]
SCHEMES = [
    "",
    "https:",
    "HTTPS:",
    "http:",
    "hTtPs:",
    "https\t:",
    "ht\ntps:",
    "ftp:",
    "ws:",
    "javascript:",
    "jAvAsCrIpT:",
]
SCHEMES += ["java\tscript:", "data:text/html,", "vbscript:", "blob:https:", "view-source:https:", "about:", "file:"]
AUTHORITIES = [
    "evil.example",
    "app.example.com@evil.example",
    "app.example.com:443@evil.example",
    "app.example.com%40evil.example",
]
AUTHORITIES += [
    "evil.example\\@app.example.com",
    "app.example.com\\@evil.example",
    "evil.example#@app.example.com",
    "@app.example.com",
]
AUTHORITIES += [
    "evil.example?@app.example.com",
    "app.example.com.evil.example",
    "app.example.com.",
    "app.example.com:8443",
    "xapp.example.com",
]
AUTHORITIES += [
    "evil\u3002example",
    "\uff45vil.example",
    "app.example.com\u3002evil.example",
    "app.example.com%00.evil.example",
    "%61pp.example.com",
]
AUTHORITIES += [
    "[::1]",
    "[::ffff:7f00:1]",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "app.example.com",
    "other.example.com",
    "",
]
TAILS = [
    "",
    "/",
    "/%2e%2e",
    "/..//evil.example",
    "?x",
    "#x",
    "/a?b=//evil.example",
    "/oauth2/start",
    "/;@evil.example",
    "/\u202e",
]


def attempts() -> list[str]:
    """Return known tricks, every lead, scheme, slash and host of the grammar once, and mixtures; each time the same."""
    dice = random.Random(3986)
    plain = [
        lead + scheme + slash + authority
        for lead, scheme, slash, authority in itertools.product(LEADS[:3], SCHEMES, SLASHES[:7], AUTHORITIES[:3])
    ]
    mixed = ["".join(dice.choice(kind) for kind in (LEADS, SCHEMES, SLASHES, AUTHORITIES, TAILS)) for _ in range(3_000)]
    starts = ("/a", "/?a=", "/", OURS, OURS + "/", "https://other.example.com/", "https://other.example.com")
    kinds = [[piece for piece in kind if re.fullmatch(r"[!-\[\]-~]*", piece)] for kind in (SCHEMES, AUTHORITIES, TAILS)]
    inside = [
        dice.choice(starts) + "".join(dice.choice(kind) for kind in ([*SLASHES[:3], "@", ":", "?", ""], *kinds))
        for _ in range(3_000)
    ]
    return list(dict.fromkeys(plain + mixed + inside + [mutate(each, dice) for each in mixed + inside]))


def mutate(text: str, dice: random.Random) -> str:
    """Put in, double, leave out or encode one character."""
    at = dice.randrange(len(text) + 1)
    rest = text[at:]
    return dice.choice(
        [
            text[:at] + dice.choice("\\/\t\n@:?#;.%\u3002\uff0f") + rest,
            text[:at] + rest[:1] + rest,
            text[:at] + rest[1:],
            text[:at] + quote(rest[:1], safe="") + rest[1:],
            text[:at] + rest.swapcase(),
        ]
    )


DEEP_LINKS = [
    "/",
    "/?",
    "/a/b/c?x=1&y=2&x=3",
    "/a?next=https://evil.example//x",
    "/search?q=//evil.example&r=\\\\evil",
    "/%e6%9d%8e/%F0%9F%A6%8A?%E6=%9D%8E",
    "/a%20b+c?d=e+f%2Bg",
    "/~me/(x)/[y]/{z}|^`?'\"<>",
    "/a;b=c/d,e:f@g!h$i&j=k",
    "/a?url=http%3A%2F%2Fevil.example%2F",
    "/a?" + "b" * 4096,
    "/x/" + "%C3%A9" * 680,
]
"""As a browser's request line has them: they come back byte for byte."""


def judge(rd: str) -> str | None:
    found = check_return_to(rd, public_url=OURS, allowed_hosts=ALLOWED, prefix="/oauth2")
    return found.url if found else None


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Generator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


RESOLVE = """(links) => links.map((link) => {
  const a = document.createElement("a");
  a.href = link;
  const url = new URL(link, "https://app.example.com/oauth2/callback");
  return {href: a.href, protocol: url.protocol, host: url.host, user: url.username + url.password, path: url.pathname};
})"""


def resolve(page: Page, links: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(RESOLVE, links)
    return found


def test_chromium_finds_no_way_out(page: Page) -> None:
    everything = attempts()
    accepted = [url for url in map(judge, everything) if url is not None]
    assert len(everything) > 9_000
    assert len(accepted) > 500
    for url, seen in zip(accepted, resolve(page, accepted), strict=True):
        assert seen["protocol"] == "https:", url
        assert seen["host"] in HOSTS, url
        assert seen["user"] == "", url
        assert seen["href"].startswith("https://"), url
        assert seen["host"] != "app.example.com" or not seen["path"].startswith("/oauth2/"), url


def test_the_attempts_are_attempts(page: Page) -> None:
    """Taken as they are, many of them lead a browser away: a judge that passes all would be found out."""
    links = [link for link in attempts() if not link.startswith(("javascript", "data", "about"))][:2_000]
    away = page.evaluate(
        """(links) => links.filter((link) => {
          try { return new URL(link, "https://app.example.com/").hostname === "evil.example"; } catch { return false; }
        })""",
        links,
    )
    assert len(away) > 300
    assert [link for link in away if judge(link) is not None] == []


@pytest.mark.parametrize("link", DEEP_LINKS, ids=lambda link: link[:24])
def test_no_deep_link_is_lost(page: Page, link: str) -> None:
    assert judge(link) == OURS + link


@pytest.mark.parametrize("rd", ["/" + "a" * 65536, "/a" * MAX_LENGTH, "/a\nb", "/a\x00", "/\x1b[0m"])
def test_what_no_browser_sends_is_refused(rd: str) -> None:
    assert judge(rd) is None


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    simulator.troubles.auto_auth = True
    with run_sample_app() as upstream, serve_gateway(simulator, upstream, routes="[{path: /**}]") as running:
        yield running


def test_following_them_for_real(page: Page, gateway: Running) -> None:
    """A whole sign-in for each of a sample, and every address that the browser then asks for is ours."""
    page.goto(gateway.url)
    page.click("#allow")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sample = [*attempts()[::400], "//evil.example", "/\\evil.example", "https:evil.example", "/%09/evil.example"]
    for rd in sample:
        page.context.clear_cookies(name="gateway")
        page.goto(f"{gateway.url}/oauth2/start?rd={quote(rd.encode('utf-8', 'replace'), safe='')}")
        assert page.url.startswith(gateway.url + "/"), rd
    assert asked
    assert [url for url in asked if not url.startswith((gateway.url, gateway.simulator.url))] == []


@pytest.mark.parametrize("link", DEEP_LINKS, ids=lambda link: link[:24])
def test_a_sign_in_ends_at_the_very_address(gateway: Running, link: str) -> None:
    with Visitor(gateway.url) as visitor:
        begun = visitor.navigate("/oauth2/start?rd=" + quote(link, safe=""))
        returned = visitor.navigate(visitor.consent(begun.headers["location"]))
    assert returned.headers["location"] == gateway.url + link


@pytest.mark.parametrize("page_of_ours", ["sign_out", "start?rd=/", "callback?code=x&state=y", "disconnect", "refresh"])
def test_pages_that_act_are_not_returned_to(gateway: Running, page_of_ours: str) -> None:
    with Visitor(gateway.url) as visitor:
        begun = visitor.navigate("/oauth2/start?rd=" + quote(f"/oauth2/{page_of_ours}", safe=""))
        returned = visitor.navigate(visitor.consent(begun.headers["location"]))
    assert returned.headers["location"] == gateway.url + "/"


def test_two_addresses_are_none(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        begun = visitor.navigate("/oauth2/start?rd=/a&rd=/b")
        returned = visitor.navigate(visitor.consent(begun.headers["location"]))
    assert returned.headers["location"] == gateway.url + "/"


def test_the_page_with_the_button_carries_the_fragment(chromium: Browser, simulator: RunningSimulator) -> None:
    """Whatever TikTok's page does with it: here it is taken off before the browser goes there."""
    simulator.troubles.auto_auth = False
    with run_sample_app() as upstream, serve_gateway(simulator, upstream, sign_in="page") as running:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(running.url + "/?a=1#/inbox/%C3%A9?x=1&y=#z")
        expect(page.locator("h1")).to_have_text("Sign in")
        page.click("#start")
        expect(page).to_have_title("TikTok simulator")
        page.goto(page.url.partition("#")[0])  # as a consent page does that navigates by itself
        page.click("#allow")
        page.wait_for_url(running.url + "/**")
        assert page.url == running.url + "/?a=1#/inbox/%C3%A9?x=1&y=#z"
        context.close()


def test_a_fragment_named_in_rd_is_kept(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        begun = visitor.navigate("/oauth2/start?rd=" + quote("/a#b?c", safe=""))
        returned = visitor.navigate(visitor.consent(begun.headers["location"]))
    assert returned.headers["location"] == gateway.url + "/a#b?c"
