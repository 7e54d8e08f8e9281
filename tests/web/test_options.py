"""Every setting that changes what people or the app see, seen from outside: a key that does nothing is a lie."""

from __future__ import annotations

import re
import time

import httpx

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, Browser, Running, headers_of, serve_gateway


def get(running: Running, path: str, **headers: str) -> httpx.Response:
    return httpx.get(running.url + path, headers=headers, trust_env=False)


def test_a_page_may_come_before_tiktok(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, sign_in="page") as running, Browser(running.url) as browser:
        asked = browser.navigate("/private/x?a=b")
        assert asked.headers["location"] == f"{running.url}/oauth2/sign_in?rd=/private/x%3Fa%3Db"
        page = browser.navigate(asked.headers["location"])
        assert "Continue with TikTok" in page.text
        start = page.text.partition('class="button main" href="')[2].partition('"')[0]
        begun = browser.navigate(start.replace("&amp;", "&"))
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        assert returned.headers["location"] == f"{running.url}/private/x?a=b"


def test_the_prefix_moves_every_page(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, prefix="/-/gate") as running, Browser(running.url) as browser:
        assert browser.sign_in("/private/x").status_code == 200
        assert browser.navigate("/-/gate/account").status_code == 200
        # what was ours is now the app's, and no route of it
        assert browser.navigate("/oauth2/account").status_code == 403


def test_sign_ins_are_limited_by_address(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, limits__sign_in_attempts="3") as running, Browser(running.url) as browser:
        answers = [browser.navigate("/private/x").status_code for _ in range(8)]
        assert (answers[:3], answers[7]) == ([302, 302, 302], 429)  # a minute may end within: then there are three more
        page = browser.navigate("/oauth2/start")
        assert page.status_code == 429
        assert page.headers["retry-after"] == "60"


def test_a_405_says_what_is_allowed(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream) as running:
        answer = httpx.put(running.url + "/oauth2/sign_out", trust_env=False)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_limits_of_the_request_head(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"limits__header_count": "12", "limits__header_bytes": "1KiB", "limits__target_bytes": "64"}
    with serve_gateway(simulator, upstream, **changes) as running:
        assert get(running, "/public/x").status_code == 200
        assert get(running, "/public/" + "x" * 64).status_code == 414
        assert get(running, "/public/x", a="x" * 1024).status_code == 431
        assert get(running, "/public/x", **{f"a{n}": "1" for n in range(12)}).status_code == 431


def test_a_sign_in_may_return_to_allowed_hosts_only(simulator: RunningSimulator, upstream: str) -> None:
    with (
        serve_gateway(simulator, upstream, return_to__allowed_hosts='["other.example"]') as running,
        Browser(running.url) as browser,
    ):
        for host, reached in (("other.example", True), ("evil.example", False), ("a.other.example", False)):
            begun = browser.navigate(f"/oauth2/start?rd=http://{host}/x")
            returned = browser.navigate(browser.consent(begun.headers["location"]))
            assert (returned.headers["location"] == f"http://{host}/x") is reached


def test_a_program_is_never_redirected_where_a_route_says_so(simulator: RunningSimulator, upstream: str) -> None:
    routes = "[{path: /api/**, on_unauthenticated: unauthorized}, {path: /old/**, on_unauthenticated: redirect}]"
    with serve_gateway(simulator, upstream, routes=routes) as running, Browser(running.url) as browser:
        assert browser.navigate("/api/x").status_code == 401
        assert get(running, "/old/x").status_code == 302
        assert browser.fetch("/old/x").status_code == 401


def test_a_form_that_arrives_too_late_is_told_on_a_page(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream) as running, Browser(running.url) as browser:
        page = browser.navigate("/private/form", method="POST", content=b"a=b")
        assert page.status_code == 401
        assert "was not delivered" in page.text
        assert page.headers["www-authenticate"]


def test_presets_and_own_headers(simulator: RunningSimulator, upstream: str) -> None:
    changes = {
        "identity__presets": '["oauth2-proxy", "remote-user", "grafana", "bearer"]',
        "identity__headers": '{X-Me: "{username}@{session_id}", X-Union: "{union_id}"}',
    }
    with serve_gateway(simulator, upstream, **changes) as running, Browser(running.url) as browser:
        answer = browser.sign_in("/private/x", person="no_union_id")
        told, person = headers_of(answer), simulator.people["no_union_id"]
        for name in ("x-forwarded-user", "remote-user", "x-webauth-user"):
            assert told[name] == person.open_id
        assert told["remote-name"] == told["x-webauth-name"] == "Uma%20Alone"
        assert told["authorization"] == f"Bearer {told['x-forwarded-access-token']}"
        assert told["x-me"].startswith("uma@")
        assert browser.client.cookies["gateway"] not in told["x-me"]
        assert "x-union" not in told
        assert "x-tiktok-open-id" not in told
        # a name that no preset in use sets is still nobody's to send
        forged = browser.fetch("/private/x", headers={"X-TikTok-Open-Id": "evil", "Authorization": "evil"})
        assert "evil" not in str(forged.json()["headers"])


def test_an_apps_own_authorization_passes_without_the_bearer_preset(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream) as running:
        told = headers_of(get(running, "/public/x", authorization="Basic eDp5"))
        assert told["authorization"] == "Basic eDp5"


def test_a_trusted_proxy_is_believed(simulator: RunningSimulator, upstream: str) -> None:
    said = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example"}
    with serve_gateway(simulator, upstream, trusted_proxies='["127.0.0.1"]') as running:
        told = headers_of(get(running, "/public/x", **said))
        assert told["x-forwarded-for"] == "203.0.113.7"
        assert (told["x-forwarded-proto"], told["x-forwarded-host"]) == ("https", "app.example")
        assert get(running, "/public/x", **{"X-Forwarded-For": "nonsense address"}).status_code == 400


def test_the_upstreams_own_host(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, f"{{url: '{upstream}', pass_host: false}}") as running:
        told = headers_of(get(running, "/public/x"))
        assert told["host"] == upstream.removeprefix("http://")
        assert told["x-forwarded-host"] == running.url.removeprefix("http://")


def test_behind_https_the_cookie_is_bound_to_the_host(simulator: RunningSimulator, upstream: str) -> None:
    public = "https://app.example"
    with serve_gateway(simulator, upstream, public_url=public) as running, Browser(running.url) as browser:
        begun = browser.navigate("/private/x")
        binding = begun.headers["set-cookie"]
        assert re.match(r"__Host-gateway-sign-in-([A-Za-z0-9_-]{8})=\1[A-Za-z0-9_-]{35};", binding)
        assert "; Secure" in binding
        callback = browser.consent(begun.headers["location"])
        assert callback.startswith(public + "/oauth2/callback?")
        returned = httpx.get(
            running.url + callback.removeprefix(public),
            headers={**NAVIGATION, "cookie": binding.partition(";")[0]},
            trust_env=False,
        )
        cookie = returned.headers["set-cookie"]
        assert returned.headers["location"] == public + "/private/x"
        assert cookie.startswith("__Host-gateway=")
        for attribute in ("; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie
        assert len(cookie.partition(";")[0]) < 200


def test_a_session_shared_between_sub_domains(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"public_url": "https://app.shop.example", "session__cookie_domain": "shop.example"}
    with serve_gateway(simulator, upstream, **changes) as running:
        assert running.settings.cookie_name == "__Secure-gateway"
        signed_out = httpx.post(
            running.url + "/oauth2/sign_out", headers={"origin": "https://app.shop.example"}, trust_env=False
        )
        assert "Domain=shop.example" in signed_out.headers["set-cookie"]


def test_tiktok_is_asked_as_the_operator_says(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"tiktok__pkce": "off", "tiktok__always_ask": "true", "tiktok__scopes": '["user.info.basic"]'}
    with serve_gateway(simulator, upstream, **changes) as running, Browser(running.url) as browser:
        location = browser.navigate("/private/x").headers["location"]
        assert "code_challenge" not in location
        assert "disable_auto_auth=1" in location
        assert "scope=user.info.basic&" in location
        assert browser.sign_in("/private/x").status_code == 200


def test_the_standard_challenge(simulator: RunningSimulator, upstream: str) -> None:
    simulator.troubles.update({"require_challenge": True, "challenge_form": "base64url"})
    try:
        with serve_gateway(simulator, upstream, tiktok__pkce="base64url") as running, Browser(running.url) as browser:
            assert browser.sign_in("/private/x").status_code == 200
    finally:
        simulator.troubles.reset()


def test_idle_sessions_end(simulator: RunningSimulator, upstream: str) -> None:
    changes = {"session__idle_timeout": "1s", "session__absolute_timeout": "1h"}
    with serve_gateway(simulator, upstream, **changes) as running, Browser(running.url) as browser:
        browser.sign_in("/private/x")
        assert browser.fetch("/private/x").status_code == 200
        time.sleep(1.3)
        assert browser.fetch("/private/x").status_code == 401


def test_without_an_upstream_there_is_nothing_to_forward_to(simulator: RunningSimulator) -> None:
    with serve_gateway(simulator, "none") as running:
        answer = get(running, "/public/x")
        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_here")
