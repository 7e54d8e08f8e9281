"""Checks: proven over a listener of their own or by a secret, judged as every request is, and closed when in doubt."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from gateway.telemetry.logs import RequestLine
from tests.harness import NAVIGATION, WAYS, Browser, Running, asgi_form

SECRET = "a-secret-of-thirty-two-characters"
OTHERS = '["https://other.example"]'
TOKEN = "x-tiktok-access-token"
ROUTES = """[
  {path: /public/**, access: public},
  {path: /optional/**, access: optional},
  {path: /denied/**, access: deny},
  {path: /read/**, methods: [GET], access: public},
  {path: /staff/**, allow: {open_ids: [somebody-else]}},
  {path: /videos/**, scopes: [video.list]},
  {path: /passed/**, preflight: pass},
  {path: /answered/**, preflight: answer},
  {path: /hosted/**, host: pub.example.test, access: public},
  {path: /**}
]"""
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
PREFLIGHT = {"Origin": "https://other.example", "Access-Control-Request-Method": "PUT"}
Fields = Iterable[tuple[str, str]]


@dataclass
class Front:
    """Asks as a front does, for a visitor with this cookie."""

    gateway: Running
    address: str
    proof: dict[str, str]
    cookie: str

    def ask(
        self, uri: str | None = "/private/x", method: str | None = "GET", *, cookie: str | None = None, **fields: Any
    ) -> httpx.Response:
        """Ask about a request; `more` are further fields, as a list of pairs or a mapping."""
        said = {
            "X-Forwarded-Uri": uri,
            "X-Forwarded-Method": method,
            "Cookie": self.cookie if cookie is None else cookie,
        }
        more = fields.pop("more", {})
        pairs = [*((name, value) for name, value in said.items() if value), *self.proof.items()]
        pairs += more.items() if isinstance(more, dict) else more
        return httpx.get(self.address + "/oauth2/auth", headers=pairs, trust_env=False)

    def status(self, *words: Any, **more: Any) -> int:
        return self.ask(*words, **more).status_code


@pytest.fixture(scope="module")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture(scope="module", params=WAYS)
def running(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with WAYS[request.param](
        simulator,
        "none",
        routes=ROUTES,
        trusted_proxies='["127.0.0.1"]',
        forward_auth__listen="127.0.0.1:0",
        forward_auth__secret=SECRET,
        cors__allowed_origins=OTHERS,
    ) as running:
        yield running


def sign_in(url: str) -> str:
    with Browser(url) as browser:
        begun = browser.navigate("/oauth2/start")
        assert browser.navigate(browser.consent(begun.headers["location"])).status_code == 302
        return f"gateway={browser.client.cookies['gateway']}"


@pytest.fixture(scope="module")
def cookie(running: Running) -> str:
    return sign_in(running.url)


@pytest.fixture(params=["listener", "secret"])
def front(request: pytest.FixtureRequest, running: Running, cookie: str) -> Front:
    if request.param == "listener":
        return Front(running, running.checks, {}, cookie)
    return Front(running, running.url, {"X-Gateway-Check": SECRET}, cookie)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is told of requests in the log, as fields."""
    told: list[dict[str, Any]] = []
    since = time.perf_counter()

    def tell(fields: dict[str, Any]) -> None:
        began_at = time.perf_counter() - fields.get("duration_ms", 0) / 1000
        if began_at >= since:  # those of earlier requests may still be to come: each is written after its answer
            told.append(fields)

    class Log:
        def __getattr__(self, level: str) -> Any:
            return lambda event, **fields: tell({"event": event, "level": level, **fields})

    def log_request(line: RequestLine) -> None:
        tell(line.fields())

    monkeypatch.setattr("gateway.web.exchange.log", Log())
    monkeypatch.setattr("gateway.web.exchange.log_request", log_request)
    return told


def told(lines: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return the lines once there are so many: each is written when its answer is out."""
    give_up_at = time.monotonic() + 10
    while len(lines) < number and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert len(lines) == number
    return lines


# What is answered


def test_yes_says_who_it_is(front: Front) -> None:
    answer = front.ask()
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["x-tiktok-open-id"]
    assert answer.headers[TOKEN]
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("uri", "signed_in", "signed_out"),
    [
        ("/private/x", 202, 401),
        ("/public/x", 202, 202),
        ("/optional/x", 202, 202),
        ("/denied/x", 403, 403),
        ("/staff/x", 403, 401),
        ("/videos/x", 403, 401),
    ],
)
def test_the_decision_in_the_codes_of_fronts(front: Front, uri: str, signed_in: int, signed_out: int) -> None:
    assert front.status(uri) == signed_in
    assert front.status(uri, cookie="") == signed_out


def test_a_public_route_tells_of_nobody_and_an_optional_one_of_who_is_there(front: Front) -> None:
    assert TOKEN not in front.ask("/public/x").headers
    assert TOKEN in front.ask("/optional/x").headers


@pytest.mark.parametrize("uri", ["/private/x", "/public/x", "/optional/x"])
@pytest.mark.parametrize(
    ("others", "left"),
    [("", None), ("a=1; ", "a=1; "), ("gateway-sign-in=x; gateway=old; a=1;b=2; ", "a=1;b=2; ")],
)
def test_the_apps_cookies_go_on_without_ours_on_every_route(
    front: Front, uri: str, others: str, left: str | None
) -> None:
    twice = "gateway=" in others
    answer = front.ask("/public/x" if twice else uri, cookie=others + front.cookie)
    assert answer.status_code == 202
    assert answer.headers.get("cookie") == (left.rstrip(" ;") if left else None)


def test_two_cookie_fields_become_one(front: Front) -> None:
    more = [("Cookie", "b=2"), ("Cookie", "gateway-sign-in=x")]
    assert front.ask(cookie=f"a=1; {front.cookie}", more=more).headers.get_list("cookie") == ["a=1; b=2"]


def test_head_asks_too_and_nothing_else_does(front: Front) -> None:
    fields = {"X-Forwarded-Uri": "/private/x", "Cookie": front.cookie, **front.proof}
    assert httpx.head(front.address + "/oauth2/auth", headers=fields, trust_env=False).headers[TOKEN]
    assert httpx.post(front.address + "/oauth2/auth", headers=fields, trust_env=False).status_code == 405


def test_a_query_on_the_check_means_nothing(front: Front) -> None:
    fields = {"X-Forwarded-Uri": "/private/x", "Cookie": front.cookie, **front.proof}
    answer = httpx.get(front.address + "/oauth2/auth?rd=/x&uri=/public/x", headers=fields, trust_env=False)
    assert answer.status_code == 202


# WebSockets and preflights


def test_an_upgrade_on_the_check_means_nothing(front: Front) -> None:
    assert TOKEN in front.ask(more=HANDSHAKE).headers
    assert front.status(more={"Connection": "Upgrade", "Upgrade": "websocket"}) == 202
    assert front.status(more={"Upgrade": "websocket"}) == 202
    assert front.status(more=HANDSHAKE, cookie="") == 401


def test_the_connection_serves_on_after_an_upgrade(front: Front) -> None:
    fields = {"X-Forwarded-Uri": "/private/x", "Cookie": front.cookie, **front.proof}
    with httpx.Client(base_url=front.address, headers=fields, trust_env=False) as client:
        for more in (HANDSHAKE, {}, HANDSHAKE, {"Connection": "keep-alive, Upgrade", "Upgrade": "h2c"}):
            assert client.get("/oauth2/auth", headers=more).headers[TOKEN]


@pytest.mark.parametrize("uri", ["/private/x", "/public/x"])
def test_a_websocket_of_another_site_is_refused(front: Front, uri: str) -> None:
    key = {"Sec-WebSocket-Key": HANDSHAKE["Sec-WebSocket-Key"]}
    ours = front.gateway.settings.public_url
    for handshake in (HANDSHAKE, key):
        assert front.status(uri, more=handshake | {"Origin": "https://evil.example"}) == 403
        assert front.status(uri, more=handshake | {"Sec-Fetch-Site": "cross-site"}) == 403
        assert front.status(uri, more=handshake | {"Origin": "null"}) == 403
        assert front.status(uri, more=handshake | {"Origin": ours}) == 202
        assert front.status(uri, more=handshake) == 202  # a program
    assert front.status(uri, more={"Origin": "https://evil.example"}) == 202  # no WebSocket


def test_preflights_are_what_they_are_in_the_proxy_form(front: Front) -> None:
    passed = front.ask("/passed/x", "OPTIONS", cookie="", more=PREFLIGHT)
    assert (passed.status_code, TOKEN in passed.headers) == (202, False)
    assert front.status("/private/x", "OPTIONS", cookie="", more=PREFLIGHT) == 401
    # the gateway's own yes has headers, which `start` answers with
    assert front.status("/answered/x", "OPTIONS", cookie="", more=PREFLIGHT) == 401
    fields = {"X-Forwarded-Uri": "/answered/x", "X-Forwarded-Method": "OPTIONS", **PREFLIGHT}
    answer = httpx.get(front.gateway.url + "/oauth2/start", headers=fields, trust_env=False)
    assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "PUT")


# Closed when in doubt


def test_a_check_that_does_not_say_what_about_is_refused_and_told(front: Front, lines: list[dict[str, Any]]) -> None:
    answer = front.ask(None)
    assert (answer.status_code, TOKEN in answer.headers) == (403, False)
    (line,) = told(lines, 1)
    assert (line["level"], line["error"], line["status"]) == ("error", "check_misconfigured", 403)
    assert "X-Forwarded-Uri" in line["reason"]


def test_without_a_method_only_what_holds_for_every_one(front: Front) -> None:
    assert front.status("/read/x", "GET", cookie="") == 202
    assert front.status("/read/x", "POST", cookie="") == 401
    assert front.status("/read/x", None, cookie="") == 401
    assert front.status("/read/x", None) == 202
    assert front.status("/public/x", None, cookie="") == 202


@pytest.mark.parametrize(
    "more",
    [
        {"X-Original-URL": "/public/x"},
        {"X-Original-URI": "/public/x"},
        {"X-Original-Method": "POST"},
        {"X-Original-URL": "https://www.example.com/private/x"},
        {"X-Forwarded-Host": "pub.example.test", "X-Original-URL": "http://app.example.com/private/x"},
        [("X-Forwarded-Uri", "/public/x")],
        [("X-Forwarded-Method", "POST")],
    ],
)
def test_contradictions_are_refused(front: Front, more: Any) -> None:
    answer = front.ask(more=more)
    assert (answer.status_code, TOKEN in answer.headers) == (403, False)


def test_the_host_is_what_the_front_says(front: Front) -> None:
    assert front.status("/hosted/x", cookie="") == 401
    assert front.status("/hosted/x", cookie="", more={"X-Forwarded-Host": "pub.example.test"}) == 202


@pytest.mark.parametrize(
    "name",
    [
        "X_TikTok_Open_Id",
        "X_Remote_User",  # of a family that no client may send either
        "X.Remote-User",
        "X.TikTok.Open.Id",
        "X~TikTok!Open+Id",
        "x-tiktok_open-id",
        "X_Gateway_Check",
        "Remote_User",
        "X-WEBAUTH.USER",
    ],
)
def test_a_look_alike_of_identity_is_refused(front: Front, name: str) -> None:
    for uri in ("/private/x", "/public/x", "/optional/x"):
        assert front.status(uri, more={name: "evil"}) == 403


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name", "Daphne-Root-Path", "PATH_INFO"])
def test_a_field_that_has_the_apps_server_cut_the_path_is_refused(front: Front, name: str) -> None:
    for uri in ("/private/x", "/public/x"):
        assert front.status(uri, more={name: "/public"}) == 403


@pytest.mark.parametrize("name", ["X-TikTok-Open-Id", "x-tiktok-access-token", "X-Forwarded-User", "Remote-User"])
def test_the_exact_names_are_ignored(front: Front, name: str) -> None:
    answer = front.ask(more={name: "evil"})
    assert answer.status_code == 202
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize(
    "uri", ["/oauth2/auth", "/oauth2", "/oauth2/start?rd=/x", "/%6fauth2/x", "/oauth2/../oauth2/x"]
)
def test_no_app_is_given_a_path_of_the_gateways_own(front: Front, uri: str) -> None:
    assert front.status(uri) == 403


@pytest.mark.parametrize(
    "uri",
    ["/public/../denied/x", "/public//x", "/public/..%2fdenied", "/public/%2e%2e/x", "/PUBLIC/x", "/public;x/y", "x"],
)
def test_no_spelling_of_the_original_opens_anything(front: Front, uri: str) -> None:
    assert front.status(uri, cookie="") in {401, 403}


def test_what_cannot_be_read_is_forbidden_on_the_listener(running: Running, cookie: str) -> None:
    """A front makes of anything but 401 and 403 an error of its own; `start` then tells the browser what is wrong."""
    front = Front(running, running.checks, {}, cookie)
    assert front.status(more={"Forwarded": "host=evil.test", "X-Forwarded-Host": "app.test"}) == 403
    assert front.status(more=[(f"X-{number}", "1") for number in range(120)]) == 403


def test_a_store_that_is_down_is_503(
    front: Front, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, Any]]
) -> None:
    front.gateway.take_store_away(monkeypatch)
    answer = front.ask("/private/x")
    assert (answer.status_code, TOKEN in answer.headers) == (503, False)
    assert answer.headers["retry-after"]
    assert front.status("/public/x") == 202
    assert [(line["path"], line["status"]) for line in told(lines, 2)] == [("/private/x", 503), ("/public/x", 202)]


# Told in the log


def test_the_log_tells_of_the_request_that_is_asked_about(front: Front, lines: list[dict[str, Any]]) -> None:
    front.ask("/private/x?secret=1", "POST", more={"X-Forwarded-For": "203.0.113.9"})
    front.ask("/staff/x", "PUT")
    front.ask("/private/x", None, cookie="")
    said = [
        {name: line.get(name) for name in ("method", "path", "status", "decision", "route", "client")}
        for line in told(lines, 3)
    ]
    assert said == [
        {
            "method": "POST",
            "path": "/private/x",
            "status": 202,
            "decision": "allow",
            "route": 9,
            "client": "203.0.113.9",
        },
        {"method": "PUT", "path": "/staff/x", "status": 403, "decision": "deny", "route": 4, "client": "127.0.0.1"},
        {
            "method": "-",
            "path": "/private/x",
            "status": 401,
            "decision": "challenge",
            "route": 9,
            "client": "127.0.0.1",
        },
    ]
    assert lines[0]["session"]
    assert SECRET not in json.dumps(lines)


# Who is no front


def test_the_listener_answers_checks_and_health_and_nothing_else(running: Running, cookie: str) -> None:
    def get(path: str) -> int:
        return httpx.get(running.checks + path, headers={"cookie": cookie} | NAVIGATION, trust_env=False).status_code

    assert get("/oauth2/livez") == get("/oauth2/readyz") == 200
    others = ["/", "/private/x", "/livez", "/metrics", "/oauth2", "/oauth2/", "/oauth2/authx", "/oauth2/auth/x"]
    others += [f"/oauth2/{page}" for page in ("userinfo", "account", "start", "sign_in", "callback", "static/x")]
    assert {path: get(path) for path in others} == dict.fromkeys(others, 404)


@contextlib.contextmanager
def unproven(simulator: RunningSimulator, way: str, **changes: str) -> Generator[Front]:
    changes = {"routes": ROUTES, "cors__allowed_origins": OTHERS, "trusted_proxies": '["127.0.0.1"]'} | changes
    with WAYS[way](simulator, "none", **changes) as running:
        yield Front(running, running.url, {}, sign_in(running.url))


@pytest.mark.parametrize("way", WAYS)
def test_without_proof_a_status_and_nothing_more(simulator: RunningSimulator, way: str) -> None:
    with unproven(simulator, way) as front:
        for uri in ("/private/x", "/optional/x", "/public/x", "/oauth2/start", None):
            answer = front.ask(uri)
            assert answer.status_code == 202
            assert set(answer.headers) == {"cache-control", "content-length", "date"}
            assert front.status(uri, cookie="") == 401
        # a front that was set up before checks had to be proven opens nothing that is closed
        for uri in ("/denied/x", "/staff/x", "/videos/x", "/public/../x"):
            assert front.status(uri) == 403
        assert front.status(more=HANDSHAKE | {"Origin": "https://evil.example"}) == 403


def test_another_secret_is_no_proof_and_opens_nothing(
    running: Running, cookie: str, lines: list[dict[str, Any]]
) -> None:
    for more in (
        {"X-Gateway-Check": SECRET[:-1]},
        {"X-Gateway-Check": SECRET.upper()},
        {"X-Gateway-Check": "x"},
        [("X-Gateway-Check", SECRET), ("X-Gateway-Check", "x")],
    ):
        answer = Front(running, running.url, {}, cookie).ask(more=more)
        assert (answer.status_code, TOKEN in answer.headers) == (403, False)
    assert {line["error"] for line in told(lines, 4)} == {"check_refused"}
    assert "forward_auth.secret" in lines[0]["reason"]
    assert SECRET[:-1] not in json.dumps(lines)


def test_a_peer_that_is_not_trusted_may_prove_itself(simulator: RunningSimulator) -> None:
    changes = {"routes": ROUTES, "cors__allowed_origins": OTHERS, "forward_auth__secret": SECRET}
    with WAYS["fast"](simulator, "none", **changes) as running:
        proven = Front(running, running.url, {"X-Gateway-Check": SECRET}, sign_in(running.url))
        assert TOKEN in proven.ask().headers
        assert proven.status("/hosted/x", cookie="", more={"X-Forwarded-Host": "pub.example.test"}) == 202


def test_the_middleware_takes_the_secret_too(simulator: RunningSimulator) -> None:
    with asgi_form(simulator, forward_auth__secret=SECRET) as running:
        front = Front(running, running.url, {"X-Gateway-Check": SECRET}, sign_in(running.url))
        assert TOKEN in front.ask().headers
        assert TOKEN not in Front(running, running.url, {}, front.cookie).ask().headers
        # a server that is not ours takes it for a WebSocket
        assert TOKEN in front.ask(more=HANDSHAKE).headers
        assert front.status(more=HANDSHAKE, cookie="") == 401
        assert front.status(more=HANDSHAKE | {"Origin": "https://evil.example"}) == 403


# What a front hands to `start`


def test_start_never_takes_its_own_path_for_the_original(running: Running, cookie: str) -> None:
    def start(query: str, **more: str) -> httpx.Response:
        uri = "/oauth2/start" + query
        fields = {"X-Forwarded-Uri": uri, "X-Forwarded-Method": "GET", **NAVIGATION, **more}
        return httpx.get(running.url + uri, headers=fields, trust_env=False)

    begun = start("?rd=/deep/x%3Fa")
    assert begun.headers["location"].startswith(running.simulator.authorize_url)
    with Browser(running.url) as browser:
        browser.client.cookies.update(begun.cookies)
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        assert returned.headers["location"] == running.url + "/deep/x?a"
    # who is signed in can be asked for more
    asked = start("?scopes=video.list&rd=/deep", Cookie=cookie)
    assert "video.list" in asked.headers["location"]


def test_start_answers_the_original_request_in_full(running: Running, cookie: str) -> None:
    def start(uri: str, method: str | None = "GET", **fields: str) -> httpx.Response:
        said = {"X-Forwarded-Uri": uri} | ({"X-Forwarded-Method": method} if method else {})
        raw = [(name.encode(), value.encode("latin-1")) for name, value in {**said, **fields}.items()]
        return httpx.get(running.url + "/oauth2/start", headers=raw, trust_env=False)

    assert start("/private/x", **NAVIGATION).headers["location"].startswith(running.simulator.authorize_url)
    problem = start("/private/x", accept="application/json", origin="https://other.example")
    assert problem.status_code == 401
    assert problem.headers.get_list("access-control-allow-origin") == ["https://other.example"]
    # where it is not known whether a redirect would lose a form, a person is shown the button
    page = start("/private/x", None, **NAVIGATION)
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert start("/read/x", None, **NAVIGATION).status_code == 401  # not sent back to where it is refused
    assert start("/staff/x", Cookie=cookie).status_code == 403
    assert start("/videos/x", Cookie=cookie).json()["missing_scopes"] == ["video.list"]
    cross = {"Sec-WebSocket-Key": "x", "Origin": "https://evil.example"}
    assert start("/private/x", Cookie=cookie, **cross).json()["code"] == "cross_site"
    assert start("/private/x", Cookie=cookie, X_TikTok_Open_Id="evil").status_code == 403
    assert start("/a?\xe4").status_code == 400
    assert start("/a//b").status_code == 400


def test_a_browser_that_a_front_keeps_out_all_the_same_does_not_go_round_and_round(
    running: Running, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.forward_auth.endpoint.SHORTLY", 3600.0)

    def start(uri: str, cookie: str) -> int:
        fields = {"X-Forwarded-Uri": uri, "X-Forwarded-Method": "GET", "Cookie": cookie, **NAVIGATION}
        return httpx.get(running.url + "/oauth2/start", headers=fields, trust_env=False).status_code

    somebody, another = sign_in(running.url), sign_in(running.url)
    # whoever has signed in in another tab meanwhile is sent back, but not for ever
    statuses = [start("/private/x", somebody) for _ in range(20)]
    assert (statuses[0], statuses[-1]) == (302, 403)
    assert statuses == sorted(statuses)
    assert start("/private/x", another) == 302
    assert start("/public/x", "") == 403
    assert "check_misconfigured" in {line.get("error") for line in tuple(lines)}


def test_the_listener_takes_as_many_connections_as_its_front_makes(simulator: RunningSimulator) -> None:
    with (
        WAYS["fast"](
            simulator, "none", forward_auth__listen="127.0.0.1:0", limits__connections_per_address="3"
        ) as running,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(httpx.Client(trust_env=False)) for _ in range(9)]
        assert {client.get(running.checks + "/oauth2/livez").status_code for client in clients} == {200}


def test_the_operator_hears_of_a_front_that_proves_nothing(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    with unproven(simulator, "fast") as front:
        monkeypatch.setattr(
            "gateway.web.forward_auth.endpoint.log.warning", lambda event, **more: heard.append(event + str(more))
        )
        front.ask(None)
        assert heard == []  # that may be anybody
        for _ in range(3):
            front.ask("/private/x")
    assert len(heard) == 1
    assert "a front asks at 0.0.0.0:8080 (`listen`) without proof" in heard[0]
    assert "set forward_auth.listen" in heard[0]


def test_the_operator_hears_of_a_front_that_is_not_trusted_either(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    with unproven(simulator, "fast", trusted_proxies="[]") as front:
        monkeypatch.setattr("gateway.web.forward_auth.endpoint.log.warning", lambda event, **_: heard.append(event))
        assert front.ask("/denied/x").status_code == 202  # as before: anybody may have said what it is about
        front.ask("/denied/x", cookie="")
    assert heard == ["check_unproven"]


def test_the_operator_hears_where_a_front_should_have_asked(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    places = {"listen": "127.0.0.1:7000", "forward_auth__listen": "127.0.0.1:7001"}
    with unproven(simulator, "fast", **places) as front:
        monkeypatch.setattr(
            "gateway.web.forward_auth.endpoint.log.warning", lambda event, **more: heard.append(event + str(more))
        )
        front.ask("/private/x")
    (told,) = heard
    assert "a front asks at 127.0.0.1:7000 (`listen`)" in told
    assert "have it ask at 127.0.0.1:7001 (`forward_auth.listen`)" in told
