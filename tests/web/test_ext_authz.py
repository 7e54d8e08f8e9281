"""Forward-auth in whole answers: by the rest of the path (Envoy) or by fields (Traefik, Caddy, HAProxy)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import NAVIGATION, WAYS, Browser, Running
from tests.talk import Talk
from tests.web.test_forward_auth import HANDSHAKE, PREFLIGHT, ROUTES, SECRET, sign_in

IDENTITY = {"x-tiktok-open-id", "x-tiktok-access-token"}
KEPT = ROUTES.replace("  {path: /**}", "  {path: /kept/**, keep_post: true},\n  {path: /**}")


@pytest.fixture(scope="module", params=WAYS)
def running(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with WAYS[request.param](
        simulator,
        "none",
        routes=KEPT,
        trusted_proxies='["127.0.0.1"]',
        forward_auth__listen="127.0.0.1:0",
        forward_auth__secret=SECRET,
        cors__allowed_origins='["https://other.example"]',
    ) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(running: Running) -> str:
    return sign_in(running.url)


class Front:
    """Asks as a front does; `in_path` as Envoy does."""

    def __init__(self, running: Running, *, in_path: bool, listener: bool) -> None:
        self.running = running
        self.in_path = in_path
        self.proof = {} if listener else {"X-Gateway-Check": SECRET}
        self.address = (running.checks if listener else running.url) + "/oauth2/ext_authz"
        self.host = running.url.removeprefix("http://")

    def ask(
        self, target: str, cookie: str = "", *, method: str = "GET", content: bytes | None = None, **more: Any
    ) -> httpx.Response:
        fields = {**self.proof, "Host": self.host, **({"Cookie": cookie} if cookie else {})}
        fields |= {name.replace("_", "-"): value for name, value in more.items()}
        if not self.in_path:
            fields |= {"X-Forwarded-Uri": target, "X-Forwarded-Method": method}
        with httpx.Client(trust_env=False) as client:
            url = self.address + (target if self.in_path else "")
            return client.request(method if self.in_path else "GET", url, headers=fields, content=content)


@pytest.fixture(params=["path-listener", "path-secret", "fields-listener", "fields-secret"])
def front(request: pytest.FixtureRequest, running: Running) -> Front:
    form, proof = request.param.split("-")
    return Front(running, in_path=form == "path", listener=proof == "listener")


def navigation(**more: str) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in NAVIGATION.items()} | more


def test_a_yes_is_200_and_says_who(front: Front, cookie: str) -> None:
    answer = front.ask("/private/x?a=1", "mine=1; " + cookie, method="POST")
    assert (answer.status_code, answer.content) == (200, b"")
    assert set(answer.headers) >= IDENTITY
    assert answer.headers["cookie"] == "mine=1"
    assert "set-cookie" not in answer.headers


def test_a_navigation_is_led_to_tiktok_and_back_byte_for_byte(front: Front) -> None:
    target = "/deep/%C3%A4;p=1/x?x=1&y=a%2Fb&z=%26+%20"
    with Browser(front.running.url) as browser:
        begun = front.ask(target, **navigation())
        assert begun.status_code == 302
        assert begun.headers["location"].startswith(front.running.simulator.url)
        assert "set-cookie" in begun.headers
        for line in begun.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            browser.client.cookies.set(name, value)
        ended = browser.navigate(browser.consent(begun.headers["location"]))
        assert ended.headers["location"].removeprefix(front.running.url) == target


def test_a_program_is_told_to_sign_in(front: Front) -> None:
    answer = front.ask("/private/x", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'TikTok realm="sign-in"'
    assert answer.json()["sign_in_url"].startswith(front.running.url)


def test_a_missing_scope_is_a_page_with_a_button(front: Front, cookie: str) -> None:
    answer = front.ask("/videos/x", cookie, **navigation())
    assert answer.status_code == 403
    assert "scopes=video.list" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_who_may_not_is_told_so_on_a_page(front: Front, cookie: str) -> None:
    answer = front.ask("/staff/x", cookie, **navigation())
    assert answer.status_code == 403
    assert "may not see this" in answer.text
    assert not IDENTITY & set(answer.headers)


def test_a_store_that_is_away_is_a_503(front: Front, cookie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    front.running.take_store_away(monkeypatch)
    problem, page = front.ask("/private/x", cookie), front.ask("/private/x", cookie, **navigation())
    for answer in (problem, page):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert problem.json()["code"] == "store_unavailable"
    assert "still signed in" in page.text


def test_two_sessions_at_once_are_told_on_a_page_that_leads_back(front: Front, cookie: str) -> None:
    page = front.ask("/private/x?a=1", f"{cookie}; {sign_in(front.running.url)}", **navigation())
    assert page.status_code == 401
    assert "/private/x%3Fa%3D1" in page.text.partition('href="/oauth2/start?rd=')[2].partition('"')[0]


def test_a_method_decides(front: Front) -> None:
    assert front.ask("/read/x").status_code == 200
    assert front.ask("/read/x", method="POST").status_code == 401


def test_a_preflight_is_the_visitors(front: Front) -> None:
    fields: dict[str, Any] = {name.replace("-", "_"): value for name, value in PREFLIGHT.items()}
    assert front.ask("/passed/x", method="OPTIONS", **fields).status_code == 200
    answered = front.ask("/answered/x", method="OPTIONS", **fields)
    assert answered.status_code == 204
    assert answered.headers["access-control-allow-origin"] == "https://other.example"
    assert front.ask("/private/x", method="OPTIONS", **fields).status_code == 401


@pytest.mark.parametrize("upgrade", [True, False])
def test_a_websocket_is_judged_by_its_origin(front: Front, cookie: str, upgrade: bool) -> None:
    sent = {name: value for name, value in HANDSHAKE.items() if upgrade or name.startswith("Sec-")}
    fields: dict[str, Any] = {name.replace("-", "_"): value for name, value in sent.items()}
    assert front.ask("/private/s", cookie, **fields, Origin=front.running.url).status_code == 200
    answer = front.ask("/private/s", cookie, **fields, Origin="https://evil.example")
    assert answer.status_code == 403


@pytest.mark.parametrize("in_path", [True, False])
def test_a_form_is_kept_where_the_front_passes_it(running: Running, in_path: bool) -> None:
    front = Front(running, in_path=in_path, listener=True)
    fields: dict[str, Any] = navigation(Content_Type="application/x-www-form-urlencoded", Origin=running.url)
    kept = front.ask("/kept/x", method="POST", content=b"a=1", **fields) if in_path else None
    if kept is not None:
        assert kept.status_code == 401
        assert "kept_post" in kept.text
    lost = front.ask("/kept/x", method="POST", **fields)
    assert lost.status_code == 401
    assert "kept_post" not in lost.text


@pytest.mark.parametrize(
    "rest",
    [
        *("/../livez", "/../../oauth2/livez", "/..%2flivez", "/%2e%2e/livez", "/../static/gateway.css", "/./../livez"),
        *("/a/../../livez", "/../ext_authz/public/x", "/../auth", "//", "/..", "/..;/livez", "/../../public/x"),
    ],
)
@pytest.mark.parametrize("proven", [True, False])
def test_no_rest_of_a_path_leads_anywhere_else(running: Running, cookie: str, rest: str, proven: bool) -> None:
    """Envoy sends whatever a browser has sent: a page of ours that says 200 would let it pass."""
    address = running.checks if proven else running.url
    for who in ("", f"Cookie: {cookie}\r\n"):
        with Talk(tuple_of(address)) as talk:
            talk.say(f"GET /oauth2/ext_authz{rest} HTTP/1.1\r\nHost: {running.url[7:]}\r\n{who}\r\n".encode())
            answer = talk.answer()
        assert answer is not None
        assert answer.status in {400, 401, 403}


def tuple_of(address: str) -> Any:
    host, _, port = address.removeprefix("http://").rpartition(":")
    return host, int(port)


def test_the_path_and_the_fields_must_agree(running: Running, cookie: str) -> None:
    front = Front(running, in_path=True, listener=True)
    assert front.ask("/private/x", cookie, X_Forwarded_Uri="/private/x").status_code == 200
    assert front.ask("/private/x", cookie, X_Forwarded_Uri="/public/x").status_code == 403
    assert front.ask("/private/x", cookie, X_Forwarded_Method="POST").status_code == 403


@pytest.mark.parametrize("listener", [True, False])
def test_without_an_address_it_is_no(running: Running, cookie: str, listener: bool) -> None:
    proof = {} if listener else {"X-Gateway-Check": SECRET}
    address = running.checks if listener else running.url
    for target in ("/oauth2/ext_authz", "/oauth2/ext_authz?x=/public/y"):
        assert httpx.get(address + target, headers={"Cookie": cookie, **proof}, trust_env=False).status_code == 403


@pytest.mark.parametrize("length", [8192, 8193])
def test_a_target_may_be_as_long_as_without_a_front(front: Front, length: int) -> None:
    target = "/public/" + "x" * (length - len("/public/"))
    assert front.ask(target).status_code == (200 if length == 8192 else 414)


@pytest.mark.parametrize("path", ["/oauth2/start", "/oauth2/livez", "/oauth2"])
def test_a_path_of_ours_is_no_apps(front: Front, cookie: str, path: str) -> None:
    assert front.ask(path, cookie).status_code == 403


@pytest.mark.parametrize("fields", [{}, dict(NAVIGATION)])
@pytest.mark.parametrize("target", ["/private/x", "/staff/x", "/videos/x", "/denied/x"])
def test_whoever_proves_nothing_hears_a_status(
    running: Running, cookie: str, target: str, fields: dict[str, str]
) -> None:
    allowed = 200 if target == "/private/x" else 403
    for who, status in ((cookie, allowed), ("", 401)):
        answer = httpx.get(
            running.url + "/oauth2/ext_authz" + target, headers={"Cookie": who, **fields}, trust_env=False
        )
        assert (answer.status_code, answer.content) == (status, b"")
        assert not IDENTITY & set(answer.headers)
        assert "location" not in answer.headers
        if status == 200:  # who trusts a bare yes passes no client's word of who it is
            assert set(answer.headers["x-envoy-auth-headers-to-remove"].split(",")) >= IDENTITY | {"cookie"}


def test_envoy_is_told_what_to_remove(running: Running, cookie: str) -> None:
    """It lets a client's own field pass where the answer has none of that name."""
    front = Front(running, in_path=True, listener=True)
    stranger, person = front.ask("/public/x"), front.ask("/private/x", "a=1; " + cookie)
    removed = [set(answer.headers["x-envoy-auth-headers-to-remove"].split(",")) for answer in (stranger, person)]
    assert removed[0] >= IDENTITY | {"cookie", "x-auth-request-user", "remote-user"}
    assert not removed[1] & (IDENTITY | {"cookie"})
    assert removed[1] >= {"x-auth-request-user", "remote-user"}
    assert not IDENTITY & set(stranger.headers)
    assert "x-envoy-auth-headers-to-remove" not in Front(running, in_path=False, listener=True).ask("/public/x").headers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rest", ["/../../public/x", "/../../../public/x", "?/../../public/x"])
def test_no_rest_reaches_an_app_behind_the_gateway(
    simulator: RunningSimulator, upstream: str, way: str, rest: str
) -> None:
    routes = "[{path: /**, access: public}]"
    with WAYS[way](simulator, upstream, routes=routes) as running, Talk(tuple_of(running.url)) as talk:
        for _ in range(2):  # what was learned is asked again
            talk.say(f"GET /oauth2/ext_authz{rest} HTTP/1.1\r\nHost: {running.url[7:]}\r\n\r\n".encode())
            answer = talk.answer()
            assert answer is not None
            assert answer.status in {401, 403}
            assert answer.body == b""
