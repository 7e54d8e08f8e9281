"""Visits by another host, or without TLS, are sent to the public address first; deep links survive every way there."""

from __future__ import annotations

import json
from collections.abc import Generator
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, expect

from gateway.asgi import protect
from gateway.core.request import ROOM, Limits
from gateway.simulator import RunningSimulator
from tests.harness import (
    NAVIGATION,
    SAME_ORIGIN,
    WAYS,
    Running,
    echo,
    listener,
    read_settings,
    serve_app,
    serve_gateway,
)
from tests.harness import Browser as Visitor

PUBLIC = "https://app.example.test"
TRUSTING = {"public_url": PUBLIC, "trusted_proxies": '["127.0.0.0/8"]', "qr_sign_in": "true"}
HERE = {"host": "app.example.test"}
OWN_PAGES = [
    "start?rd=/x%3Fy%3D1",
    "start",
    "account",
    "sign_in?rd=/x",
    "sign_out",
    "disconnect",
    "userinfo",
    "kept_post?id=x",
    "qr?rd=/x",
]


@pytest.fixture(scope="module", params=[*WAYS, "asgi"])
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    """A gateway for an https address, behind a front that it trusts."""
    if request.param in WAYS:
        with WAYS[request.param](simulator, upstream, **TRUSTING) as running:
            yield running
    else:
        settings = read_settings(simulator, **TRUSTING)
        with serve_app(protect(echo, settings)) as url:
            yield Running(url, settings, simulator)


def visit(running: Running, target: str, **headers: str) -> httpx.Response:
    said = NAVIGATION | HERE | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(running.url + target, headers=said, trust_env=False)


def location_of(answer: httpx.Response) -> str:
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


HTTP = [{"x_forwarded_proto": "http"}, {"forwarded": "for=192.0.2.1;proto=http"}, {"x_forwarded_proto": "https,http"}]


@pytest.mark.parametrize("said", HTTP)
def test_who_comes_without_tls_is_sent_on_before_any_cookie_is_set(gateway: Running, said: dict[str, str]) -> None:
    answer = visit(gateway, "/private/x?y=1", **said)
    assert location_of(answer) == PUBLIC + "/oauth2/start?rd=/private/x%3Fy%3D1"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("page", OWN_PAGES)
@pytest.mark.parametrize(
    "said", [*HTTP[:2], {"x_forwarded_proto": "https", "host": "www.example.test"}], ids=["http", "forwarded", "host"]
)
def test_every_page_of_ours_is_shown_at_the_public_address(gateway: Running, page: str, said: dict[str, str]) -> None:
    answer = visit(gateway, f"/oauth2/{page}", **said)
    name, _, query = page.partition("?")
    home = f"{PUBLIC}/oauth2/{name}?moved=1" + (f"&{query}" if query else "")
    assert location_of(answer) == home
    assert "set-cookie" not in answer.headers
    # a chain that never says https: whoever was sent once is not sent again
    again = visit(gateway, home.removeprefix(PUBLIC), **said)
    assert again.status_code in {200, 302, 401}
    assert not again.headers.get("location", "").startswith(PUBLIC)


@pytest.mark.parametrize(
    "said",
    [
        {},  # nobody names a scheme: a front that ends TLS and says nothing
        {"x_forwarded_proto": "https"},
        {"forwarded": "for=192.0.2.1"},
    ],
)
def test_where_nothing_is_known_or_all_is_right_nobody_is_sent_anywhere(gateway: Running, said: dict[str, str]) -> None:
    for target in ("/private/x", "/oauth2/start?rd=/private/x", "/oauth2/account"):
        assert location_of(visit(gateway, target, **said)).startswith(gateway.simulator.url)


def test_programs_are_sent_nowhere(gateway: Running) -> None:
    for page in ("userinfo", "account", "start"):
        headers = SAME_ORIGIN | {"x-forwarded-proto": "http", "host": "www.example.test"}
        assert httpx.get(f"{gateway.url}/oauth2/{page}", headers=headers, trust_env=False).status_code == 401


def test_a_front_that_is_not_trusted_is_not_believed(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, public_url=PUBLIC) as running:
        for said in HTTP:
            assert location_of(visit(running, "/private/x", **said)).startswith(simulator.url)


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        ("/oauth2/account", "/oauth2/account?moved=1"),
        ("/oauth2/start?rd=/private/x%3Fa%3D1", "/private/x?a=1"),
        ("/private/x?a=1", "/private/x?a=1"),
    ],
)
def test_chromium_gets_in_by_another_name_of_the_host(
    chromium: Browser, simulator: RunningSimulator, begun: str, ended: str
) -> None:
    bound = listener()
    port = bound.getsockname()[1]
    settings = read_settings(simulator, f"http://localhost:{port}")
    with serve_app(protect(echo, settings), bound):
        context = chromium.new_context()
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"http://127.0.0.1:{port}{begun}")
        expect(page).to_have_title("TikTok simulator")
        page.click("#allow")
        page.wait_for_url(f"http://localhost:{port}{ended}")
        context.close()


DEEP = "/private/x?SAMLRequest=" + "%2Bab" * 1633
"""A target as long as any may be, that grows most where it is encoded again."""


@pytest.mark.parametrize("target", [DEEP, "/private/x?" + "&" * 8181, "/private/" + "a" * 8182])
@pytest.mark.parametrize("way", ["page", "redirect", "host"])
def test_deep_links_as_long_as_any_come_back_byte_for_byte(
    simulator: RunningSimulator, upstream: str, target: str, way: str
) -> None:
    assert 8180 <= len(target) <= 8192
    changes = {"sign_in": "page"} if way == "page" else {}
    with serve_gateway(simulator, upstream, **changes) as running, Visitor(running.url) as visitor:
        told = {"host": "elsewhere.example"} if way == "host" else {}
        answer = visitor.navigate(target, headers=told)
        if way == "page":
            shown = visitor.navigate(answer.headers["location"])
            assert shown.status_code == 200
            answer = visitor.navigate(f"/oauth2/start?rd={quote(target, safe='')}")
        elif way == "host":
            answer = visitor.navigate(answer.headers["location"])
        returned = visitor.navigate(visitor.consent(answer.headers["location"]))
        assert returned.headers["location"] == running.url + target
        assert visitor.navigate(returned.headers["location"]).status_code == 200


def test_what_is_longer_is_told_on_a_page(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream) as running, Visitor(running.url) as visitor:
        for target in ("/private/" + "a" * 8184, "/oauth2/start?rd=/" + "a" * (3 * 8192 + ROOM)):
            answer = visitor.navigate(target)
            assert answer.status_code == 414
            assert "This address is too long" in answer.text


@pytest.mark.parametrize("path", ["/oauth2/starts?", "/oauth2/x/../../private?", "/oauth2//start?", "/x/oauth2/start?"])
def test_only_our_own_pages_take_more(path: str) -> None:
    limits = Limits(own_targets=(b"/oauth2/start?", b"/oauth2/sign_in?"))
    assert not limits.takes_address(path.encode() + b"a" * 9000)
    assert limits.takes_address(b"/oauth2/start?rd=" + b"a" * 9000)
    assert not limits.takes_address(b"/oauth2/start?rd=" + b"a" * (3 * 8192 + ROOM))
    assert not Limits().takes_address(b"/oauth2/start?rd=" + b"a" * 9000)


def test_a_shared_session_returns_to_the_host_it_began_at_from_a_deep_link(
    simulator: RunningSimulator, upstream: str
) -> None:
    changes = {
        "public_url": PUBLIC,
        "session__cookie_domain": "example.test",
        "return_to__allowed_hosts": json.dumps(["tools.example.test"]),
        "trusted_proxies": '["127.0.0.0/8"]',
    }
    with serve_gateway(simulator, upstream, **changes) as running:
        told = {"host": "tools.example.test", "x_forwarded_proto": "https"}
        sent = location_of(visit(running, DEEP, **told))
        assert sent == f"{PUBLIC}/oauth2/start?rd={quote('https://tools.example.test' + DEEP, safe='/')}"
        begun = location_of(visit(running, sent.removeprefix(PUBLIC), x_forwarded_proto="https"))
        assert begun.startswith(simulator.url)
