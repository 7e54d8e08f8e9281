"""Two cookies of the session cookie's name: one of them may be an old one, of another domain or path."""

from __future__ import annotations

import json
from collections.abc import Generator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from gateway.core.cookies import CookieSpec
from gateway.flows.authentication import MOST_NAMED
from gateway.simulator import RunningSimulator
from gateway.web.answers.browser_cookies import BrowserCookies
from tests.core.test_challenge import head
from tests.doors.conftest import wsgi
from tests.harness import NAVIGATION, WAYS, Browser, Running, asgi_form, serve_gateway

ROUTES = "[{path: /public/**, access: public}, {path: /optional/**, access: optional}, {path: /private/**}]"
OLD = "x" * 43


@pytest.fixture(scope="module", params=[*WAYS, "asgi", "wsgi"])
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    match request.param:
        case "asgi":
            form = asgi_form(simulator, routes=ROUTES)
        case "wsgi":
            form = wsgi(simulator, routes=ROUTES)
        case way:
            form = WAYS[way](simulator, upstream, routes=ROUTES)
    with form as running:
        yield running


def session_of(gateway: Running, person: str = "plain") -> str:
    with Browser(gateway.url) as browser:
        browser.sign_in(person=person)
        return str(browser.client.cookies["gateway"])


def ask(gateway: Running, target: str, *values: str, method: str = "GET", **headers: str) -> httpx.Response:
    cookie = "; ".join(f"gateway={value}" for value in values)
    said = {"cookie": cookie} | headers
    return httpx.request(method, gateway.url + target, headers=said, trust_env=False)


@pytest.mark.parametrize("old", [OLD, "", "nothing of ours", "x" * 44])
def test_the_one_that_opens_a_live_session_counts(gateway: Running, old: str) -> None:
    live = session_of(gateway)
    for values in ((old, live), (live, old), (live, live), (old, live, old), (OLD, "y" * 43, live)):
        answer = ask(gateway, "/private/x", *values)
        assert answer.status_code == 200, values
        assert "cookie" not in dict(answer.json()["headers"])
        assert "x-tiktok-open-id" in dict(ask(gateway, "/optional/x", *values).json()["headers"])
        assert ask(gateway, "/oauth2/userinfo", *values).status_code == 200
    # again and again, also once all is known
    assert [ask(gateway, "/private/x", OLD, live).status_code for _ in range(3)] == [200] * 3
    assert ask(gateway, "/private/x", OLD, "y" * 43).status_code == 401


def test_two_that_open_different_sessions_are_told_apart_by_nobody(gateway: Running) -> None:
    one, other = session_of(gateway), session_of(gateway, "emoji")
    for values in ((one, other), (other, one), (one, other, OLD)):
        told = ask(gateway, "/private/x", *values)
        assert (told.status_code, told.json()["code"]) == (401, "sessions_differ")
        shown = ask(gateway, "/private/x?a=1", *values, **NAVIGATION)
        assert shown.status_code == 401
        assert "You are signed in twice in this browser" in shown.text
        assert 'href="/oauth2/start?rd=' in shown.text
        assert "x-tiktok-open-id" not in dict(ask(gateway, "/optional/x", *values).json()["headers"])
        assert ask(gateway, "/public/x", *values).status_code == 200
        assert ask(gateway, "/oauth2/account", *values, **NAVIGATION).status_code == 401
        assert ask(gateway, "/oauth2/sign_in", *values, **NAVIGATION).status_code == 200


def test_a_sign_in_ends_both_and_leaves_one(gateway: Running) -> None:
    one, other = session_of(gateway), session_of(gateway, "emoji")
    with Browser(gateway.url) as browser:
        begun = browser.navigate("/oauth2/start?rd=/private/x")
        callback = browser.consent(begun.headers["location"])
        bound = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
        returned = httpx.get(
            callback,
            headers=NAVIGATION | {"cookie": f"gateway={one}; gateway={other}; {bound}"},
            trust_env=False,
        )
        new = returned.cookies["gateway"]
    assert returned.headers["location"] == gateway.url + "/private/x"
    assert ask(gateway, "/private/x", one).status_code == ask(gateway, "/private/x", other).status_code == 401
    assert ask(gateway, "/private/x", one, new, other).status_code == 200


def test_a_sign_out_ends_both(gateway: Running) -> None:
    one, other = session_of(gateway), session_of(gateway, "emoji")
    answer = ask(gateway, "/oauth2/sign_out", one, other, method="POST", origin=gateway.url)
    assert answer.status_code == 204
    assert ask(gateway, "/private/x", one).status_code == ask(gateway, "/private/x", other).status_code == 401


def test_nobody_has_the_store_search_for_long(gateway: Running) -> None:
    live = session_of(gateway)
    many = [f"{number:043}" for number in range(MOST_NAMED)]
    assert ask(gateway, "/private/x", live, *many[1:]).status_code == 200
    answer = ask(gateway, "/private/x", live, *many)
    assert (answer.status_code, answer.json()["code"]) == (401, "sessions_differ")


def test_a_websocket_and_a_check_ask_the_same(gateway: Running) -> None:
    live = session_of(gateway)
    handshake = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert ask(gateway, "/private/x", OLD, "y" * 43, **handshake, **key).status_code in {401, 403}
    assert ask(gateway, "/oauth2/auth", OLD, live).status_code == 202


@pytest.mark.parametrize("way", WAYS)
def test_a_websocket_opens_for_the_one_that_counts(simulator: RunningSimulator, upstream: str, way: str) -> None:
    with WAYS[way](simulator, upstream, routes=ROUTES) as running:
        live, other = session_of(running), session_of(running, "emoji")
        for values in ((OLD, live), (live, OLD)):
            with dial(running, *values, origin=running.url) as websocket:
                assert "x-tiktok-open-id" in dict(json.loads(websocket.recv(timeout=10)))
            assert refusal(running, *values, origin="https://evil.example") == 403
        assert refusal(running, live, other) == 401


def dial(gateway: Running, *values: str, **headers: str) -> ClientConnection:
    url = gateway.url.replace("http://", "ws://") + "/private/socket"
    cookie = "; ".join(f"gateway={value}" for value in values)
    return connect(url, additional_headers={"cookie": cookie} | headers, proxy=None, open_timeout=10)


def refusal(gateway: Running, *values: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        dial(gateway, *values, **headers)
    return refused.value.response.status_code


def cookies(host: str, **spec: str) -> BrowserCookies:
    session = CookieSpec(name=spec.get("name", "__Secure-gateway"), secure=True, domain=spec.get("domain"))
    binding = CookieSpec(name="__Host-gateway-sign-in", secure=True)
    return BrowserCookies(session=session, binding=binding, host=host)


def deleted(found: BrowserCookies, cookie: str) -> list[str]:
    lines = [value.decode() for _, value in found.forget_others(head({"cookie": cookie}))]
    assert all("Max-Age=0" in line and "Path=/" in line for line in lines)
    return [line.partition("Domain=")[2].partition(";")[0] for line in lines]


@pytest.mark.parametrize(
    ("host", "domain", "others"),
    [
        ("app.example.com", "example.com", ["", "app.example.com"]),
        ("app.example.com:8443", None, ["app.example.com", "example.com"]),
        ("app.example.com", "app.example.com", ["", "example.com"]),
        ("localhost:8080", None, []),
        ("127.0.0.1:8080", None, []),
        ("[::1]:8080", None, []),
        ("192.0.2.1", None, []),
    ],
)
def test_cookies_of_the_name_but_of_another_domain_are_deleted(
    host: str, domain: str | None, others: list[str]
) -> None:
    found = cookies(host, domain=domain) if domain else cookies(host)
    twice = "__Secure-gateway=a; __Secure-gateway=b"
    assert deleted(found, twice) == others
    assert deleted(found, "__Secure-gateway=a") == []


def test_a_cookie_bound_to_its_host_has_no_others() -> None:
    assert deleted(cookies("app.example.com", name="__Host-gateway"), "__Host-gateway=a; __Host-gateway=b") == []


def test_they_go_with_the_page_the_sign_in_and_the_sign_out(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"public_url": "https://app.example.com", "session__cookie_domain": "app.example.com"}
    changes["return_to__allowed_hosts"] = json.dumps([])
    with serve_gateway(simulator, upstream, **changes) as running:
        twice = {"cookie": f"__Secure-gateway={OLD}; __Secure-gateway={'y' * 43}", "host": "app.example.com"}
        twice |= {"sec-fetch-site": "same-origin"}
        answer = httpx.post(running.url + "/oauth2/sign_out", headers=twice, trust_env=False)
        lines = answer.headers.get_list("set-cookie")
        assert [line for line in lines if "Domain=example.com" in line and line.startswith("__Secure-gateway=;")]
        assert [line for line in lines if "Domain=app.example.com" in line and line.startswith("__Secure-gateway=;")]
        assert [line for line in lines if "Domain" not in line and line.startswith("__Secure-gateway=;")]
