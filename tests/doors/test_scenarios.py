"""The same scenarios through every door: reverse proxy, ASGI and WSGI middleware, real fronts with forward-auth."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.harness import Browser, Running, headers_of

FORGED = {
    "X-TikTok-Open-Id": "evil",
    "x-tiktok-access-token": "evil",
    "X_TikTok_Open_Id": "evil",
    "X-TikTok_Union-Id": "evil",
    "X.TikTok.Open.Id": "evil",
    "X-Forwarded-User": "evil",
    "Remote-User": "evil",
    "X-WEBAUTH-USER": "evil",
    "X-Auth-Request-User": "evil",
}


def test_a_navigation_goes_to_tiktok(door: Running) -> None:
    with Browser(door.url) as browser:
        answer = browser.navigate("/private/x?a=1")
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location.startswith(door.simulator.authorize_url)
    query = parse_qs(urlsplit(location).query)
    assert query["redirect_uri"] == [f"{door.url}/oauth2/callback"]
    assert query["scope"] == ["user.info.basic,user.info.profile"]
    assert len(query["code_challenge"][0]) == 64
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/json"},
        {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image", "accept": "image/*"},
        {
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
            "sec-purpose": "prefetch",
            "accept": "text/html",
        },
    ],
    ids=["json", "image", "prefetch"],
)
def test_what_is_not_a_navigation_gets_401(door: Running, headers: dict[str, str]) -> None:
    answer = httpx.get(door.url + "/private/x", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"]
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["sign_in_url"].startswith(f"{door.url}/oauth2/start")


def test_a_frame_shows_a_way_out_of_it_and_is_never_redirected(door: Running) -> None:
    headers = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe", "accept": "text/html"}
    answer = httpx.get(door.url + "/private/x?a=1", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'href="{door.url}/oauth2/start?rd=/private/x%3Fa%3D1" id="start" target="_top"' in answer.text
    # it is to be seen where the app would have been
    assert "frame-ancestors" not in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "/private/x",
        "/private/a%20b/?q=%2F%2f&u=https://x//y&empty=",
        "/private/%E2%82%AC?x='\"|\\",
        "/",
        "/?x=1",
    ],
)
def test_a_sign_in_returns_to_where_it_began_byte_for_byte(door: Running, target: str) -> None:
    with Browser(door.url) as browser:
        begun = browser.navigate(target)
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        assert returned.headers["location"] == door.url + target
        assert browser.navigate(returned.headers["location"]).status_code == 200


def test_the_app_learns_who_it_is(door: Running) -> None:
    with Browser(door.url) as browser:
        answer = browser.sign_in("/private/x")
        told = headers_of(answer)
        assert told["x-tiktok-open-id"]
        assert set(told["x-tiktok-scopes"].split(",")) == {"user.info.basic", "user.info.profile"}
        assert told["x-tiktok-token-expires-at"].endswith("Z")
        user = httpx.get(
            door.simulator.user_info_url,
            params={"fields": "open_id"},
            headers={"authorization": f"Bearer {told['x-tiktok-access-token']}"},
            trust_env=False,
        ).json()["data"]["user"]
        assert user["open_id"] == told["x-tiktok-open-id"]
        # the browser itself never sees the token
        assert told["x-tiktok-access-token"] not in str(answer.headers)
        assert told["x-tiktok-access-token"] not in browser.fetch("/oauth2/userinfo").text


def test_in_process_apps_know_the_user_too(door: Running, request: pytest.FixtureRequest) -> None:
    with Browser(door.url) as browser:
        answer = browser.sign_in("/private/x").json()
    in_process = "asgi" in request.node.name or "wsgi" in request.node.name
    assert bool(answer["user"]) is in_process


@pytest.mark.parametrize("path", ["/public/x", "/optional/x"])
def test_forged_identity_never_arrives(door: Running, path: str) -> None:
    answer = httpx.get(door.url + path, headers=FORGED, trust_env=False)
    assert answer.status_code == 200
    assert "evil" not in str(answer.json()["headers"])


def test_forged_identity_never_arrives_when_signed_in(door: Running) -> None:
    with Browser(door.url) as browser:
        genuine = headers_of(browser.sign_in("/private/x"))
        answer = browser.fetch("/private/x", headers=FORGED | {"Connection": "close, X-TikTok-Open-Id, cookie"})
        assert "evil" not in str(answer.json()["headers"])
        assert headers_of(answer)["x-tiktok-open-id"] == genuine["x-tiktok-open-id"]


def test_our_cookies_stay_with_us_and_the_apps_pass(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        browser.client.cookies.set("theirs", "kept", domain="127.0.0.1")
        cookie = headers_of(browser.fetch("/private/x")).get("cookie", "")
        assert "theirs=kept" in cookie
        assert "gateway" not in cookie


def test_the_app_cannot_set_our_cookies(door: Running, is_asked_by_a_front: bool) -> None:
    if is_asked_by_a_front:
        return  # which hands the app's answer on itself; the gateway never sees it
    answer = httpx.get(door.url + "/public/cookies", trust_env=False)
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.split("=")[0] for cookie in cookies] == ["app", "app2"]


def test_public_and_optional_routes_are_open(door: Running) -> None:
    assert httpx.get(door.url + "/public/x", trust_env=False).status_code == 200
    assert httpx.get(door.url + "/optional/x", trust_env=False).status_code == 200


def test_an_optional_route_knows_who_is_there_and_a_public_one_does_not(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        assert "x-tiktok-open-id" in headers_of(browser.fetch("/optional/x"))
        assert "x-tiktok-open-id" not in headers_of(browser.fetch("/public/x"))


@pytest.mark.parametrize("path", ["/denied/x", "/nowhere", "/DENIED/x", "/denied;x/y"])
def test_what_is_denied_or_unmatched_is_forbidden(door: Running, path: str) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        assert browser.fetch(path).status_code == 403
        page = browser.navigate(path)
        assert page.status_code == 403


def test_methods_narrow_a_route(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        assert browser.fetch("/only-get/x").status_code == 200
        assert browser.fetch("/only-get/x", method="POST", content=b"x").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/public/../private/x",
        "/public/%2e%2e/private/x",
        "/public/%2E./private/x",
        "/public//../private/x",
        "/public/..%2fprivate/x",
        "/public/..%5cprivate/x",
        "/public/..;/private/x",
        "/public/%00/../private/x",
        "/PUBLIC/x",
        "/public%2fx",
    ],
)
def test_no_spelling_opens_what_is_closed(door: Running, path: str) -> None:
    with Browser(door.url) as browser:
        answer = browser.fetch(path)
    assert answer.status_code in {400, 401, 403}


def test_bodies_arrive(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        answer = browser.fetch("/private/form", method="POST", content=b"hello=world").json()
        assert (answer["method"], answer["body"]) == ("POST", "hello=world")


def test_userinfo_tells_and_hides(door: Running) -> None:
    with Browser(door.url) as browser:
        assert browser.fetch("/oauth2/userinfo").status_code == 401
        browser.sign_in("/private/x")
        answer = browser.fetch("/oauth2/userinfo")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert {"open_id", "scopes", "token_expires_at", "session_expires_at"} <= set(answer.json())


def test_sign_out_ends_it_at_once(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        copied = dict(browser.client.cookies)
        answer = browser.fetch("/oauth2/sign_out", method="POST")
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert answer.headers["clear-site-data"] == '"cache"'
        assert browser.fetch("/private/x").status_code == 401
    # a copy of the cookie is worth nothing either
    stolen = {"cookie": "; ".join(f"{name}={value}" for name, value in copied.items())}
    assert httpx.get(door.url + "/private/x", headers=stolen, trust_env=False).status_code == 401


@pytest.mark.parametrize("call", ["sign_out", "disconnect", "refresh"])
def test_another_site_cannot_act_for_the_person(door: Running, call: str) -> None:
    cross_site = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        assert browser.fetch(f"/oauth2/{call}", method="POST", headers=cross_site).status_code == 403
        assert browser.fetch(f"/oauth2/{call}").status_code == (200 if call == "sign_out" else 405)
        assert browser.fetch("/private/x").status_code == 200


def test_refresh_gives_a_new_token(door: Running) -> None:
    with Browser(door.url) as browser:
        before = headers_of(browser.sign_in("/private/x"))["x-tiktok-access-token"]
        assert browser.fetch("/oauth2/refresh", method="POST").status_code == 200
        assert headers_of(browser.fetch("/private/x"))["x-tiktok-access-token"] != before


def test_disconnect_revokes_at_tiktok(door: Running) -> None:
    with Browser(door.url) as browser, Browser(door.url) as elsewhere:
        token = headers_of(browser.sign_in("/private/x"))["x-tiktok-access-token"]
        elsewhere.sign_in("/private/x")
        assert browser.fetch("/oauth2/disconnect", method="POST").status_code == 204
        assert browser.fetch("/private/x").status_code == 401
        assert elsewhere.fetch("/private/x").status_code == 401
        answer = httpx.get(
            door.simulator.user_info_url,
            params={"fields": "open_id"},
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.json()["error"]["code"] == "access_token_invalid"


def test_asking_auth_directly_tells_no_token(door: Running) -> None:
    with Browser(door.url) as browser:
        browser.sign_in("/private/x")
        answer = browser.fetch("/oauth2/auth", headers={"x-forwarded-uri": "/private/x"})
        assert answer.status_code in {202, 404}  # nginx keeps it to itself
        assert not [name for name in answer.headers if name.startswith("x-tiktok")]


def test_scopes_that_a_person_unticked_are_respected(door: Running) -> None:
    with Browser(door.url) as browser:
        told = headers_of(browser.sign_in("/private/x", untick=("user.info.profile",)))
        assert told["x-tiktok-scopes"] == "user.info.basic"
        assert "x-tiktok-username" not in told
