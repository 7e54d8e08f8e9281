"""Sign-ins that lead nowhere end on a page that names the likely cause, in real browsers and in apps' own."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.asgi import protect
from gateway.runtime.build import build
from gateway.runtime.sample_app import run_in_thread as run_sample_app
from gateway.simulator import RunningSimulator, consent
from tests.conftest import CHROMIUM_ARGUMENTS
from tests.core.test_in_app import PHONE
from tests.harness import Browser as Visitor
from tests.harness import Closing, Running, echo, listener, read_settings, serve_app, serve_gateway, url_of
from tests.programs import need
from tests.redis_server import RedisServer

IN_TIKTOK = PHONE + "Mobile/22B83 musical_ly_36.5.0 JsSdk/2.0 BytedanceWebview/d8a21c6"
IN_INSTAGRAM = PHONE + "Mobile/22B83 Instagram 402.0.0.21"


@pytest.fixture(autouse=True)
def silent_tiktok(simulator: RunningSimulator) -> Generator[None]:
    """TikTok asks a person once: then nobody but the gateway can stop a loop."""
    simulator.troubles.auto_auth = True
    yield
    simulator.troubles.reset()


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with run_sample_app() as upstream, serve_gateway(simulator, upstream, routes="[{path: /**}]") as running:
        yield running


def app_that_redirects_to(location: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [(b"location", location.encode())]
            await send({"type": "http.response.start", "status": 302, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    return app


def open_and_allow(page: Page, url: str) -> None:
    page.set_default_timeout(15_000)
    page.goto(url)
    expect(page).to_have_title("TikTok simulator")
    page.click("#allow")
    page.wait_for_load_state()


def turn(visitor: Visitor, target: str = "/private/x") -> int:
    """Begin and complete a sign-in; returns the status of the last answer."""
    begun = visitor.navigate(target)
    if begun.status_code != 302:
        return begun.status_code
    return visitor.navigate(visitor.consent(begun.headers["location"])).status_code


def test_an_app_that_sends_people_back(chromium: Browser, simulator: RunningSimulator) -> None:
    with (
        serve_app(app_that_redirects_to("/oauth2/start?rd=/")) as upstream,
        serve_gateway(simulator, upstream) as running,
    ):
        before = simulator.redemptions
        context = chromium.new_context()
        page = context.new_page()
        open_and_allow(page, running.url)
        expect(page.locator("h1")).to_have_text("You are signed in, but the app keeps asking you to")
        expect(page.locator("body")).to_contain_text("app_sends_back")
        assert simulator.redemptions - before == 3
        context.close()


def test_a_return_to_where_the_session_does_not_hold(chromium: Browser, simulator: RunningSimulator) -> None:
    """As behind a front that asks for sign-ins at one host and serves another."""
    bound = listener()
    home = f"http://localhost:{bound.getsockname()[1]}"
    with listener() as elsewhere:
        other = url_of(elsewhere)
        app = app_that_redirects_to(f"{home}/oauth2/start?rd={other}/")
        changes = {"public_url": home, "return_to__allowed_hosts": json.dumps([other.removeprefix("http://")])}
        with serve_app(app, elsewhere), _serve_at(bound, simulator, **changes):
            context = chromium.new_context()
            page = context.new_page()
            open_and_allow(page, other)
            expect(page.locator("h1")).to_have_text("You are signed in at another address of this site")
            expect(page.locator(".site")).to_have_text(home.removeprefix("http://"))
            context.close()


def _serve_at(bound: Any, simulator: RunningSimulator, **changes: str) -> Any:
    return serve_app(protect(echo, read_settings(simulator, **changes)), bound)


def test_another_name_of_the_same_host_is_left_before_it_matters(
    chromium: Browser, simulator: RunningSimulator
) -> None:
    bound = listener()
    port = bound.getsockname()[1]
    with _serve_at(bound, simulator, public_url=f"http://localhost:{port}"):
        context = chromium.new_context()
        page = context.new_page()
        open_and_allow(page, f"http://127.0.0.1:{port}/private/x?a=1")
        assert page.url == f"http://localhost:{port}/private/x?a=1"
        expect(page.locator("body")).to_contain_text("x-tiktok-open-id")
        context.close()


def test_a_session_cookie_that_does_not_come_back(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        for _ in range(3):
            assert turn(visitor) == 302
            del visitor.client.cookies["gateway"]
        answer = visitor.navigate("/private/x")
        assert answer.status_code == 400
        assert "session_cookie_lost" in answer.text
        assert "Allow cookies" in answer.text


def test_a_session_that_is_not_found_again(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        for _ in range(3):
            assert turn(visitor) == 302
            del visitor.client.cookies["gateway"]
            visitor.client.cookies.set("gateway", "x" * 43, domain="127.0.0.1")
        answer = visitor.navigate("/private/x")
        assert answer.status_code == 500
        assert "session_not_kept" in answer.text
        assert answer.text.count("clocks differ") == 1


@pytest.mark.parametrize(
    ("days", "turns", "code"), [(40, [302, 302, 302, 500], "session_not_kept"), (-40, [400], "sign_in_expired")]
)
def test_replicas_whose_clocks_differ(
    simulator: RunningSimulator, redis_server: RedisServer, days: int, turns: list[int], code: str
) -> None:
    """One replica is right and gets the callbacks; the other gets everything else, and finds the sessions expired."""
    far = timedelta(days=days)
    with listener() as bound, listener() as other:
        settings = read_settings(simulator, url_of(bound), redis=redis_server.url)
        right = build(settings, app=echo)
        wrong = build(settings, app=echo, clock=lambda: datetime.now(UTC) + far)
        with serve_app(Closing(right), bound), serve_app(Closing(wrong), other) as url, Visitor(url) as visitor:
            visitor.client.headers["host"] = url_of(bound).removeprefix("http://")
            statuses = [turn(visitor) for _ in turns]
            begun = visitor.navigate("/private/x")
            answer = begun if begun.status_code != 302 else visitor.navigate(visitor.consent(begun.headers["location"]))
    assert statuses == turns
    assert code in answer.text


def test_signing_out_and_in_again_and_again_is_no_loop(gateway: Running) -> None:
    with Visitor(gateway.url) as visitor:
        for _ in range(6):
            assert turn(visitor, "/") == 302
            assert visitor.navigate("/").status_code == 200
            assert (
                visitor.navigate("/oauth2/sign_out", method="POST", headers={"origin": gateway.url}).status_code == 303
            )


@pytest.fixture(scope="module", params=["ordinary", IN_TIKTOK, IN_INSTAGRAM], ids=["ordinary", "tiktok", "instagram"])
def without_cookies(
    request: pytest.FixtureRequest, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Page]:
    """A browser whose owner has forbidden all cookies."""
    profile = tmp_path_factory.mktemp("profile")
    forbidden = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (profile / "Default").mkdir()
    Path(profile / "Default" / "Preferences").write_text(json.dumps(forbidden))
    context = chromium.browser_type.launch_persistent_context(
        profile,
        executable_path=need("chromium"),
        args=CHROMIUM_ARGUMENTS,
        user_agent=None if request.param == "ordinary" else request.param,
    )
    yield context.pages[0]
    context.close()


def test_without_cookies(without_cookies: Page, gateway: Running) -> None:
    page, before = without_cookies, gateway.simulator.redemptions
    open_and_allow(page, gateway.url + "/private/x")
    expect(page.locator("h1")).to_have_text("Your browser did not keep this site's cookie")
    expect(page.locator("body")).to_contain_text("Allow cookies for this site")
    agent = page.evaluate("navigator.userAgent")
    app = "TikTok" if "musical_ly" in agent else "Instagram" if "Instagram" in agent else None
    hint = page.locator(".hint")
    if app is None:
        expect(hint).to_have_count(0)
    else:
        expect(hint).to_contain_text(f"You are in the browser inside {app}")
        expect(hint).to_contain_text("“Open in browser”")
    assert gateway.simulator.redemptions == before
    page.click("main a")
    expect(page.locator("h1")).to_have_text("Sign in")


@pytest.mark.parametrize("agent", [IN_TIKTOK, IN_INSTAGRAM], ids=["tiktok", "instagram"])
def test_a_browser_inside_an_app_that_keeps_cookies(chromium: Browser, gateway: Running, agent: str) -> None:
    context = chromium.new_context(user_agent=agent, is_mobile=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    open_and_allow(page, gateway.url + "/?a=1")
    assert page.url == gateway.url + "/?a=1"
    expect(page.locator("h1")).to_contain_text("Hello")
    context.close()


def test_a_callback_that_comes_back_in_the_systems_browser(chromium: Browser, gateway: Running) -> None:
    """TikTok's app takes the sign-in over and opens the callback elsewhere."""
    inside, outside = chromium.new_context(user_agent=IN_TIKTOK), chromium.new_context()
    page = inside.new_page()
    page.goto(gateway.url)
    expect(page).to_have_title("TikTok simulator")
    other = outside.new_page()
    other.goto(consent(page.url.partition("#")[0]))
    expect(other.locator("h1")).to_have_text("Your browser did not keep this site's cookie")
    other.click("main a")
    other.click("#start")
    other.click("#allow")
    expect(other.locator("h1")).to_contain_text("Hello")
    inside.close()
    outside.close()
